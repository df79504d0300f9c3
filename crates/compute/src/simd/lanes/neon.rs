//! NEON of 64-bit ARM.
//!
//! The value [`Neon`] comes from `detect` alone, so that it is a proof that the CPU has the
//! instructions. Unsafe by name: loads and stores through pointers are.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::{Lanes, Simd};

/// Proof that the CPU has NEON, as all of 64 bits that Rust knows have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
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
    fn max(self, a: Vector, b: Vector) -> Vector {
        // SAFETY: see above. `vmaxnmq` prefers the number where one of the two is NaN.
        each(|i| unsafe { vmaxnmq_f32(a[i], b[i]) })
    }

    #[inline(always)]
    fn prefetch(self, _line: &Lanes) {}
}
