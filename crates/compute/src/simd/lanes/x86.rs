//! [`Lanes`] of AVX-512 and of AVX2 with FMA.
//!
//! Every `unsafe` here calls an instruction that the CPU must have. The two vector types are private to
//! this module, and [`Set::run`] is the only place that computes with one: after the CPU was asked.

use std::arch::x86_64::{
    __m256, __m512, _CMP_GT_OQ, _CMP_LT_OQ, _mm256_add_ps, _mm256_blendv_ps, _mm256_castpd_ps,
    _mm256_castps_pd, _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps,
    _mm256_min_ps, _mm256_movemask_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_storeu_ps,
    _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps, _mm512_add_ps,
    _mm512_castpd_ps, _mm512_castps_pd, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps, _mm512_shuffle_f32x4,
    _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};

use super::{LANES, Lanes, OnLanes};
use crate::simd::{Best, best, has_avx512};

/// An instruction set; a value of it means that this CPU has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(Isa);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isa {
    Avx512,
    Avx2,
}

impl Set {
    /// The best that this CPU has.
    pub(super) fn detect() -> Option<Self> {
        let best = best();
        if best >= Best::Avx512 && has_avx512() {
            return Some(Self(Isa::Avx512));
        }
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi2");
        (best >= Best::Avx2 && avx2).then_some(Self(Isa::Avx2))
    }

    /// Runs `work` on the vectors of this set.
    #[allow(unsafe_code)]
    pub(super) fn run<W: OnLanes>(self, work: W) -> W::Output {
        match self.0 {
            // SAFETY: `Set::detect` gives this value only where the CPU has these features.
            Isa::Avx512 => unsafe { run_avx512(work) },
            // SAFETY: as above.
            Isa::Avx2 => unsafe { run_avx2(work) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn run_avx512<W: OnLanes>(work: W) -> W::Output {
    work.run::<Avx512>()
}

#[target_feature(enable = "avx2,fma,bmi2")]
fn run_avx2<W: OnLanes>(work: W) -> W::Output {
    work.run::<Avx2>()
}

#[derive(Clone, Copy)]
struct Avx512(__m512);

#[allow(unsafe_code)]
impl Lanes for Avx512 {
    const IN_REGISTERS: usize = 28;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: this CPU has AVX-512F, see the module.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: as above; the array has as many values as are read.
        Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: as above; the array has as many values as are written.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: this CPU has AVX-512F.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: this CPU has AVX-512F.
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: this CPU has AVX-512F.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: this CPU has AVX-512F.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn select_less(self, other: Self, then: Self, otherwise: Self) -> Self {
        // SAFETY: this CPU has AVX-512F.
        Self(unsafe {
            let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0);
            _mm512_mask_blend_ps(less, otherwise.0, then.0)
        })
    }

    #[inline(always)]
    fn any_above(self, bound: f32) -> bool {
        // SAFETY: this CPU has AVX-512F.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_set1_ps(bound)) != 0 }
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; LANES]) {
        // SAFETY: this CPU has AVX-512F.
        unsafe {
            for g in 0..4 {
                quarters(rows, 4 * g);
            }
            // Quarter q of row 4g + c is now column 4q + c of rows 4g to 4g + 3.
            for c in 0..4 {
                let [p, q, r, s] = [rows[c].0, rows[4 + c].0, rows[8 + c].0, rows[12 + c].0];
                let even = [_mm512_shuffle_f32x4::<0x88>(p, q), _mm512_shuffle_f32x4::<0x88>(r, s)];
                let odd = [_mm512_shuffle_f32x4::<0xdd>(p, q), _mm512_shuffle_f32x4::<0xdd>(r, s)];
                rows[c].0 = _mm512_shuffle_f32x4::<0x88>(even[0], even[1]);
                rows[4 + c].0 = _mm512_shuffle_f32x4::<0x88>(odd[0], odd[1]);
                rows[8 + c].0 = _mm512_shuffle_f32x4::<0xdd>(even[0], even[1]);
                rows[12 + c].0 = _mm512_shuffle_f32x4::<0xdd>(odd[0], odd[1]);
            }
        }
    }
}

/// Transposes four rows from `first` on within each quarter.
///
/// # Safety
/// The CPU has AVX-512F.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn quarters(rows: &mut [Avx512; LANES], first: usize) {
    let [a, b, c, d] = [rows[first].0, rows[first + 1].0, rows[first + 2].0, rows[first + 3].0];
    // SAFETY: the caller promises the instructions.
    unsafe {
        let low_ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        let low_cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        let high_ab = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        let high_cd = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
        rows[first].0 = _mm512_castpd_ps(_mm512_unpacklo_pd(low_ab, low_cd));
        rows[first + 1].0 = _mm512_castpd_ps(_mm512_unpackhi_pd(low_ab, low_cd));
        rows[first + 2].0 = _mm512_castpd_ps(_mm512_unpacklo_pd(high_ab, high_cd));
        rows[first + 3].0 = _mm512_castpd_ps(_mm512_unpackhi_pd(high_ab, high_cd));
    }
}

/// Two halves.
#[derive(Clone, Copy)]
struct Avx2([__m256; 2]);

#[allow(unsafe_code)]
impl Lanes for Avx2 {
    const IN_REGISTERS: usize = 7;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: this CPU has AVX2, see the module.
        Self([unsafe { _mm256_set1_ps(value) }; 2])
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        // SAFETY: as above; each half of the array has as many values as are read.
        Self(unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from[8..].as_ptr())] })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        // SAFETY: as above; each half of the array has as many values as are written.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(to[8..].as_mut_ptr(), self.0[1]);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: this CPU has AVX2.
        Self(unsafe {
            [_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])]
        })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: this CPU has AVX2.
        Self(unsafe {
            [_mm256_min_ps(self.0[0], other.0[0]), _mm256_min_ps(self.0[1], other.0[1])]
        })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: this CPU has AVX2.
        Self(unsafe {
            [_mm256_max_ps(self.0[0], other.0[0]), _mm256_max_ps(self.0[1], other.0[1])]
        })
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, summand: Self) -> Self {
        let ([a, b], [f, g], [s, t]) = (self.0, factor.0, summand.0);
        // SAFETY: this CPU has FMA.
        Self(unsafe { [_mm256_fmadd_ps(a, f, s), _mm256_fmadd_ps(b, g, t)] })
    }

    #[inline(always)]
    fn select_less(self, other: Self, then: Self, otherwise: Self) -> Self {
        let ([a, b], [c, d]) = (self.0, other.0);
        // SAFETY: this CPU has AVX2.
        Self(unsafe {
            let less = [_mm256_cmp_ps::<_CMP_LT_OQ>(a, c), _mm256_cmp_ps::<_CMP_LT_OQ>(b, d)];
            [
                _mm256_blendv_ps(otherwise.0[0], then.0[0], less[0]),
                _mm256_blendv_ps(otherwise.0[1], then.0[1], less[1]),
            ]
        })
    }

    #[inline(always)]
    fn any_above(self, bound: f32) -> bool {
        // SAFETY: this CPU has AVX2.
        unsafe {
            let higher = _mm256_max_ps(self.0[0], self.0[1]);
            let above = _mm256_cmp_ps::<_CMP_GT_OQ>(higher, _mm256_set1_ps(bound));
            _mm256_movemask_ps(above) != 0
        }
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; LANES]) {
        // SAFETY: this CPU has AVX2.
        unsafe {
            for first in [0, 4, 8, 12] {
                halves(rows, first, 0);
                halves(rows, first, 1);
            }
        }
        // Half h of part p of row 4g + c is now column 8p + 4h + c of rows 4g to 4g + 3.
        let parts = *rows;
        for part in 0..2 {
            for c in 0..4 {
                for above in 0..2 {
                    let (low, high) =
                        (parts[8 * above + c].0[part], parts[8 * above + 4 + c].0[part]);
                    // SAFETY: this CPU has AVX2.
                    unsafe {
                        let low_half = _mm256_permute2f128_ps::<0x20>(low, high);
                        let high_half = _mm256_permute2f128_ps::<0x31>(low, high);
                        rows[8 * part + c].0[above] = low_half;
                        rows[8 * part + 4 + c].0[above] = high_half;
                    }
                }
            }
        }
    }
}

/// Transposes four rows from `first` on within each half of a part.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn halves(rows: &mut [Avx2; LANES], first: usize, part: usize) {
    let (a, b) = (rows[first].0[part], rows[first + 1].0[part]);
    let (c, d) = (rows[first + 2].0[part], rows[first + 3].0[part]);
    // SAFETY: the caller promises the instructions.
    unsafe {
        let low_ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        let low_cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        let high_ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        let high_cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
        rows[first].0[part] = _mm256_castpd_ps(_mm256_unpacklo_pd(low_ab, low_cd));
        rows[first + 1].0[part] = _mm256_castpd_ps(_mm256_unpackhi_pd(low_ab, low_cd));
        rows[first + 2].0[part] = _mm256_castpd_ps(_mm256_unpacklo_pd(high_ab, high_cd));
        rows[first + 3].0[part] = _mm256_castpd_ps(_mm256_unpackhi_pd(high_ab, high_cd));
    }
}
