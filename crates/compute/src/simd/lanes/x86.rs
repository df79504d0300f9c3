//! AVX-512 and AVX2 with FMA.
//!
//! The values [`Avx512`], [`Avx512Vnni`] and [`Avx2`] come from `detect` alone, so that each is a proof
//! that the CPU has the instructions. Unsafe by name: the intrinsics are, outside functions compiled for them.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{HalfLine, Integers, LANES, Lanes, Simd, WithIntegers, WithLanes};
use crate::simd::{Instructions, allows};

mod transpose;

/// AVX-512 F, BW, DQ and VL, and with `VNNI` also its products of 16-bit integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512Of<const VNNI: bool>(());

pub(super) type Avx512 = Avx512Of<false>;
pub(super) type Avx512Vnni = Avx512Of<true>;

impl<const VNNI: bool> Avx512Of<VNNI> {
    pub(super) fn detect() -> Option<Self> {
        let found = allows(Instructions::Avx512)
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma")
            && (!VNNI || is_x86_feature_detected!("avx512vnni"));
        found.then_some(Self(()))
    }
}

impl Avx512 {
    pub(super) fn run<W: WithLanes>(self, work: W) -> W::Output {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { self.compiled(work) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
    fn compiled<W: WithLanes>(self, work: W) -> W::Output {
        work.run(self)
    }
}

impl Avx512Vnni {
    pub(super) fn run<W: WithIntegers>(self, work: W) -> W::Output {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { self.compiled(work) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")]
    fn compiled<W: WithIntegers>(self, work: W) -> W::Output {
        work.run(self)
    }
}

impl Integers for Avx512Vnni {
    #[inline(always)]
    fn dot_pairs(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: see below.
        unsafe {
            let [a, b, sum] =
                [_mm512_castps_si512(a), _mm512_castps_si512(b), _mm512_castps_si512(sum)];
            _mm512_castsi512_ps(_mm512_dpwssd_epi32(sum, a, b))
        }
    }

    #[inline(always)]
    fn integers_to_floats(self, a: __m512) -> __m512 {
        // SAFETY: see below.
        unsafe { _mm512_cvtepi32_ps(_mm512_castps_si512(a)) }
    }

    #[inline(always)]
    fn store_rounded(self, value: __m512, to: &mut HalfLine) {
        // SAFETY: see below; 16 integers of 16 bits are 32 bytes.
        unsafe {
            let short = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(value));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), short);
        }
    }
}

// SAFETY of all calls below: `self` proves that the CPU has the features; references to 16 f32 are
// readable or writable in whole, and unaligned loads and stores need no more.
impl<const VNNI: bool> Simd for Avx512Of<VNNI> {
    type Vector = __m512;
    /// 22 sums, 2 vectors of weights, 1 factor: 25 of 32 registers. 33 voxels are 3 x 11 outputs.
    const TILE: [usize; 2] = [11, 2];
    const REGISTERS: usize = 28;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m512, to: &mut Lanes) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn select_less(self, a: __m512, b: __m512, then: __m512, otherwise: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), otherwise, then) }
    }

    #[inline(always)]
    fn any_above(self, a: __m512, bound: f32) -> bool {
        // SAFETY: see above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, _mm512_set1_ps(bound)) != 0 }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [__m512; LANES]) {
        // SAFETY: see above.
        unsafe { transpose::avx512(rows) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn prefetch(self, line: &Lanes) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
}

/// Proof that the CPU has AVX2 and FMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let found = allows(Instructions::Avx2)
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    pub(super) fn run<W: WithLanes>(self, work: W) -> W::Output {
        // SAFETY: `self` proves that the CPU has the features.
        unsafe { self.compiled(work) }
    }

    #[target_feature(enable = "avx2,fma")]
    fn compiled<W: WithLanes>(self, work: W) -> W::Output {
        work.run(self)
    }
}

impl Simd for Avx2 {
    type Vector = [__m256; 2];
    /// 12 sums, 2 halves of weights, 1 factor: 15 of 16 registers.
    const TILE: [usize; 2] = [6, 1];
    const REGISTERS: usize = 7;

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store(self, value: [__m256; 2], to: &mut Lanes) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), value[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), value[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn min(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn select_less(
        self,
        a: [__m256; 2],
        b: [__m256; 2],
        then: [__m256; 2],
        otherwise: [__m256; 2],
    ) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe {
            let (low, high) =
                (_mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1]));
            [
                _mm256_blendv_ps(otherwise[0], then[0], low),
                _mm256_blendv_ps(otherwise[1], then[1], high),
            ]
        }
    }

    #[inline(always)]
    fn any_above(self, a: [__m256; 2], bound: f32) -> bool {
        // SAFETY: see above.
        unsafe {
            let above =
                _mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_max_ps(a[0], a[1]), _mm256_set1_ps(bound));
            _mm256_movemask_ps(above) != 0
        }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [[__m256; 2]; LANES]) {
        // SAFETY: see above.
        unsafe { transpose::avx2(rows) }
    }

    #[inline(always)]
    fn max(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn prefetch(self, line: &Lanes) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
}
