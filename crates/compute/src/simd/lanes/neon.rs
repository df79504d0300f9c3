//! NEON of 64-bit ARM.
//!
//! The value [`Neon`] comes from `detect` alone, so that it is a proof that the CPU has the
//! instructions. Unsafe by name: loads and stores through pointers are.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::{LANES, Lanes, Simd};
use crate::simd::{Instructions, allows};

/// Proof that the CPU has NEON, as all of 64 bits that Rust knows have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        let found = allows(Instructions::Avx2) && std::arch::is_aarch64_feature_detected!("neon");
        found.then_some(Self(()))
    }
}

type Vector = [float32x4_t; 4];

#[inline(always)]
fn each(work: impl Fn(usize) -> float32x4_t) -> Vector {
    [work(0), work(1), work(2), work(3)]
}

// SAFETY of all calls below: `self` proves that the CPU has NEON; references to 16 f32 are readable
// or writable in whole.
impl Simd for Neon {
    type Vector = Vector;
    /// 24 sums, 4 quarters of weights, 1 factor: 29 of 32 registers.
    const TILE: [usize; 2] = [6, 1];
    const REGISTERS: usize = 7;

    #[inline(always)]
    fn splat(self, value: f32) -> Vector {
        // SAFETY: see above.
        unsafe { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Vector {
        // SAFETY: see above.
        each(|i| unsafe { vld1q_f32(from.as_ptr().add(4 * i)) })
    }

    #[inline(always)]
    fn store(self, value: Vector, to: &mut Lanes) {
        for (i, value) in value.into_iter().enumerate() {
            // SAFETY: see above.
            unsafe { vst1q_f32(to.as_mut_ptr().add(4 * i), value) }
        }
    }

    #[inline(always)]
    fn add(self, a: Vector, b: Vector) -> Vector {
        // SAFETY: see above.
        each(|i| unsafe { vaddq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn sub(self, a: Vector, b: Vector) -> Vector {
        // SAFETY: see above.
        each(|i| unsafe { vsubq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul_add(self, a: Vector, b: Vector, c: Vector) -> Vector {
        // SAFETY: see above.
        each(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
    }

    #[inline(always)]
    fn min(self, a: Vector, b: Vector) -> Vector {
        // SAFETY: see above. `vminnmq` prefers the number where one of the two is NaN.
        each(|i| unsafe { vminnmq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn max(self, a: Vector, b: Vector) -> Vector {
        // SAFETY: see above. `vmaxnmq` prefers the number where one of the two is NaN.
        each(|i| unsafe { vmaxnmq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn select_less(self, a: Vector, b: Vector, then: Vector, otherwise: Vector) -> Vector {
        // SAFETY: see above.
        each(|i| unsafe { vbslq_f32(vcltq_f32(a[i], b[i]), then[i], otherwise[i]) })
    }

    #[inline(always)]
    fn any_above(self, a: Vector, bound: f32) -> bool {
        // SAFETY: see above.
        unsafe {
            let bound = vdupq_n_f32(bound);
            let [p, q, r, s] = a.map(|part| vcgtq_f32(part, bound));
            vmaxvq_u32(vorrq_u32(vorrq_u32(p, q), vorrq_u32(r, s))) != 0
        }
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [Vector; LANES]) {
        let blocks = *rows;
        for (r, c) in (0..4).flat_map(|r| (0..4).map(move |c| (r, c))) {
            let [a, b, c1, d] = [0, 1, 2, 3].map(|i| blocks[4 * r + i][c]);
            // SAFETY: see above.
            unsafe {
                let (low, high) = (vtrnq_f32(a, b), vtrnq_f32(c1, d));
                let [p, q] = [low.0, low.1].map(|v| vreinterpretq_f64_f32(v));
                let [s, t] = [high.0, high.1].map(|v| vreinterpretq_f64_f32(v));
                rows[4 * c][r] = vreinterpretq_f32_f64(vzip1q_f64(p, s));
                rows[4 * c + 1][r] = vreinterpretq_f32_f64(vzip1q_f64(q, t));
                rows[4 * c + 2][r] = vreinterpretq_f32_f64(vzip2q_f64(p, s));
                rows[4 * c + 3][r] = vreinterpretq_f32_f64(vzip2q_f64(q, t));
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, _line: &Lanes) {}
}
