//! Sixteen f32 at a time, on whatever registers the CPU has: one of AVX-512, two of AVX, four of NEON.
//!
//! Loops that the compiler vectorises by itself go through [`super::dispatch`]; this is for those whose
//! sums must stay in registers.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Values of one vector.
pub(crate) const LANES: usize = 16;

/// A vector in memory.
pub(crate) type Lanes = [f32; LANES];

/// An instruction set, as a value that exists only where the CPU has it.
///
/// All methods are to be inlined into a function compiled for the instruction set, which
/// [`with_lanes`] sees to: implementations mark them, and [`WithLanes::run`], `#[inline(always)]`.
pub(crate) trait Simd: Copy + Send + Sync {
    /// Sixteen f32 in registers.
    type Vector: Copy;
    /// Rows and vectors of a matrix product's tile whose sums fit the registers, with at least 16
    /// columns.
    const TILE: [usize; 2];
    /// Vectors that fit into the registers, with some left over.
    const REGISTERS: usize;

    /// All lanes `value`.
    fn splat(self, value: f32) -> Self::Vector;
    /// From memory.
    fn load(self, from: &Lanes) -> Self::Vector;
    /// To memory.
    fn store(self, value: Self::Vector, to: &mut Lanes);
    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a - b.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a b + c, in one rounding where the instruction set has it.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The smaller; `b` where `a` is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger; `b` where `a` is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Where a < b, `then`; elsewhere `otherwise`.
    fn select_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        then: Self::Vector,
        otherwise: Self::Vector,
    ) -> Self::Vector;
    /// Whether a lane is larger than `bound`.
    fn any_above(self, a: Self::Vector, bound: f32) -> bool;
    /// Rows become columns.
    fn transpose(self, rows: &mut [Self::Vector; LANES]);
    /// Says that the line at this address will be read at once.
    fn prefetch(self, line: &Lanes);
}

/// Sixteen integers of 16 bits, as the bits of eight f32.
pub(crate) type HalfLine = [f32; LANES / 2];

/// Products of 16-bit integers with 32-bit sums. A vector then carries the bits of integers.
pub(crate) trait Integers: Simd {
    /// In each lane: the sum plus both products of a pair of 16-bit integers.
    fn dot_pairs(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;
    /// 32-bit integers to f32.
    fn integers_to_floats(self, a: Self::Vector) -> Self::Vector;
    /// Rounds to 16-bit integers, the largest and smallest where there is no nearer one.
    fn store_rounded(self, value: Self::Vector, to: &mut HalfLine);
}

/// A computation on [`Integers`].
pub(crate) trait WithIntegers {
    /// What comes out.
    type Output;

    /// Does the work.
    fn run<S: Integers>(self, simd: S) -> Self::Output;
}

/// Whether this CPU has faster products of 16-bit integers than of f32.
pub(crate) fn has_integers() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::Avx512Vnni::detect().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Runs `work` compiled for the instruction set that has them; `None` without it.
pub(crate) fn with_integers<W: WithIntegers>(work: W) -> Option<W::Output> {
    #[cfg(target_arch = "x86_64")]
    return x86::Avx512Vnni::detect().map(|simd| simd.run(work));
    #[cfg(not(target_arch = "x86_64"))]
    {
        drop(work);
        None
    }
}

/// A computation on [`Simd`] vectors, compiled once for each instruction set.
pub(crate) trait WithLanes {
    /// What comes out.
    type Output;

    /// Does the work.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(portable::Portable),
}

impl Isa {
    /// The best that this CPU has.
    pub(crate) fn best() -> Self {
        Self::all().next().unwrap_or(Self(Kind::Portable(portable::Portable)))
    }

    /// All that this CPU has, best first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special =
            [x86::Avx512::detect().map(Kind::Avx512), x86::Avx2::detect().map(Kind::Avx2)];
        #[cfg(target_arch = "aarch64")]
        let special = [neon::Neon::detect().map(Kind::Neon)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let special: [Option<Kind>; 0] = [];
        special.into_iter().flatten().chain([Kind::Portable(portable::Portable)]).map(Self)
    }

    /// `avx512`, `avx2`, `neon` or `portable`.
    #[cfg(test)]
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            Kind::Portable(_) => "portable",
        }
    }

    /// [`Simd::TILE`] of the instruction set.
    pub(crate) fn tile(self) -> [usize; 2] {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => x86::Avx512::TILE,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => x86::Avx2::TILE,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => neon::Neon::TILE,
            Kind::Portable(_) => portable::Portable::TILE,
        }
    }
}

/// Runs `work` compiled for an instruction set.
pub(crate) fn with_lanes<W: WithLanes>(isa: Isa, work: W) -> W::Output {
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512(simd) => simd.run(work),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2(simd) => simd.run(work),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon(simd) => work.run(simd),
        Kind::Portable(simd) => work.run(simd),
    }
}

/// A slice as vectors; what is left over at its end is not part of it.
#[inline(always)]
pub(crate) fn vectors(values: &[f32]) -> &[Lanes] {
    values.as_chunks().0
}

/// A slice as vectors to be written.
#[inline(always)]
pub(crate) fn vectors_mut(values: &mut [f32]) -> &mut [Lanes] {
    values.as_chunks_mut().0
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Polynomial<'a>(&'a Lanes, &'a Lanes);

    impl WithLanes for Polynomial<'_> {
        type Output = Lanes;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Lanes {
            let (a, b) = (simd.load(self.0), simd.load(self.1));
            simd.prefetch(self.0);
            let sum = simd.mul_add(a, b, simd.splat(0.5));
            let value = simd.max(simd.sub(simd.add(sum, a), b), simd.splat(-2.0));
            let mut out = [0.0; LANES];
            simd.store(value, &mut out);
            out
        }
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        let a: Lanes = std::array::from_fn(|i| i as f32 - 7.5);
        let b: Lanes = std::array::from_fn(|i| 3.0 - i as f32 * 0.25);
        let expected: Lanes = std::array::from_fn(|i| (a[i] * b[i] + 0.5 + a[i] - b[i]).max(-2.0));
        for isa in Isa::all() {
            // Halves and quarters: every result is exact.
            assert_eq!(with_lanes(isa, Polynomial(&a, &b)), expected, "{}", isa.name());
        }
    }

    #[test]
    fn not_a_number_loses_against_a_number() {
        let nan = [f32::NAN; LANES];
        for isa in Isa::all() {
            let found = with_lanes(isa, Polynomial(&nan, &nan));
            assert_eq!(found, [-2.0; LANES], "{}", isa.name());
        }
    }

    struct Choices<'a>(&'a [Lanes; LANES], &'a Lanes);

    impl WithLanes for Choices<'_> {
        type Output = ([Lanes; LANES], Lanes, [bool; 2]);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let (a, b) = (simd.load(&self.0[3]), simd.load(self.1));
            let mut rows = [a; LANES];
            for r in 0..LANES {
                rows[r] = simd.load(&self.0[r]);
            }
            simd.transpose(&mut rows);
            let mut columns = [[0.0; LANES]; LANES];
            for r in 0..LANES {
                simd.store(rows[r], &mut columns[r]);
            }
            let mut chosen = [0.0; LANES];
            simd.store(simd.select_less(a, b, simd.min(a, b), simd.splat(7.0)), &mut chosen);
            (columns, chosen, [simd.any_above(b, 14.5), simd.any_above(b, 15.0)])
        }
    }

    #[test]
    fn rows_become_columns_and_lanes_are_chosen() {
        let rows: [Lanes; LANES] =
            std::array::from_fn(|r| std::array::from_fn(|c| (r * LANES + c) as f32 - 56.0));
        let b: Lanes = std::array::from_fn(|i| (LANES - 1 - i) as f32);
        for isa in Isa::all() {
            let (columns, chosen, above) = with_lanes(isa, Choices(&rows, &b));
            for (r, c) in (0..LANES).flat_map(|r| (0..LANES).map(move |c| (r, c))) {
                assert_eq!(columns[c][r], rows[r][c], "{}", isa.name());
            }
            for i in 0..LANES {
                let expected = if rows[3][i] < b[i] { rows[3][i] } else { 7.0 };
                assert_eq!(chosen[i], expected, "{}", isa.name());
            }
            assert_eq!(above, [true, false], "{}", isa.name());
        }
    }
}
