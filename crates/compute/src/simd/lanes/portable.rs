//! What any CPU can do.

use super::{LANES, Lanes, Simd};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portable;

#[inline(always)]
fn each(work: impl Fn(usize) -> f32) -> Lanes {
    let mut out = [0.0; LANES];
    for (i, value) in out.iter_mut().enumerate() {
        *value = work(i);
    }
    out
}

impl Simd for Portable {
    type Vector = Lanes;
    /// Eight sums of four lanes leave half of 16 registers.
    const TILE: [usize; 2] = [2, 1];
    const REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn store(self, value: Lanes, to: &mut Lanes) {
        *to = value;
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        each(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        each(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        // Without an instruction for it a fused product is a library call.
        each(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn select_less(self, a: Lanes, b: Lanes, then: Lanes, otherwise: Lanes) -> Lanes {
        each(|i| if a[i] < b[i] { then[i] } else { otherwise[i] })
    }

    #[inline(always)]
    fn any_above(self, a: Lanes, bound: f32) -> bool {
        a.into_iter().fold(false, |any, lane| any | (lane > bound))
    }

    #[inline(always)]
    fn transpose(self, rows: &mut [Lanes; LANES]) {
        for r in 1..LANES {
            for c in 0..r {
                (rows[r][c], rows[c][r]) = (rows[c][r], rows[r][c]);
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, _line: &Lanes) {}
}
