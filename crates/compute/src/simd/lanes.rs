//! Sixteen f32 at once, for the loops that compilers do not keep in registers: one generic source, one
//! compiled body for each instruction set.

#[cfg(target_arch = "x86_64")]
mod x86;

/// Lanes of a [`Lanes`].
pub(crate) const LANES: usize = 16;

/// Sixteen f32 in registers. `min` and `max` are for numbers: with a NaN they give either operand.
pub(crate) trait Lanes: Copy {
    /// Values of this type that fit into registers, with some left over.
    const IN_REGISTERS: usize;

    fn splat(value: f32) -> Self;
    fn load(from: &[f32; LANES]) -> Self;
    fn store(self, to: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    /// `self * factor + summand`, rounded once where the instruction set does so.
    fn multiply_add(self, factor: Self, summand: Self) -> Self;
    /// Where `self < other`, `then`; elsewhere `otherwise`.
    fn select_less(self, other: Self, then: Self, otherwise: Self) -> Self;
    /// Whether a lane is larger than `bound`.
    fn any_above(self, bound: f32) -> bool;
    /// Rows become columns.
    fn transpose(rows: &mut [Self; LANES]);
}

/// A computation on [`Lanes`]. Implementations mark `run`, and what it calls, `#[inline(always)]`, and use
/// loops where closures would be on the way: these are functions of their own, without the instructions.
pub(crate) trait OnLanes {
    /// What comes out.
    type Output;

    /// Does the work.
    fn run<V: Lanes>(self) -> Self::Output;
}

/// Runs `work` on the widest vectors of this CPU. Results of `multiply_add` may differ in the last bit
/// between instruction sets; all others are the same.
pub(crate) fn dispatch_lanes<W: OnLanes>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(set) = x86::Set::detect() {
        return set.run(work);
    }
    work.run::<[f32; LANES]>()
}

impl Lanes for [f32; LANES] {
    const IN_REGISTERS: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        *from
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|l| self[l] + other[l])
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        std::array::from_fn(|l| if self[l] < other[l] { self[l] } else { other[l] })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        std::array::from_fn(|l| if self[l] > other[l] { self[l] } else { other[l] })
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, summand: Self) -> Self {
        std::array::from_fn(|l| self[l] * factor[l] + summand[l])
    }

    #[inline(always)]
    fn select_less(self, other: Self, then: Self, otherwise: Self) -> Self {
        std::array::from_fn(|l| if self[l] < other[l] { then[l] } else { otherwise[l] })
    }

    #[inline(always)]
    fn any_above(self, bound: f32) -> bool {
        self.into_iter().fold(false, |any, lane| any | (lane > bound))
    }

    #[inline(always)]
    fn transpose(rows: &mut [Self; LANES]) {
        for r in 1..LANES {
            for c in 0..r {
                (rows[r][c], rows[c][r]) = (rows[c][r], rows[r][c]);
            }
        }
    }
}
