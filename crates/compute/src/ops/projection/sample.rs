//! The arithmetic that projections need of an element type.

use std::ops::AddAssign;

use exavox_io::Element;

use super::deviation::{Moments, Spread, Welford};
use super::projector::Accumulator;

/// Values of one cell that can be added up before the sums must move to [`Sample::Total`]: 65 536
/// values of 16 bits just fit into 32 bits.
pub(super) const FEW: usize = 1 << 16;

/// Bytes of a group of cells: so many of a plane are read before those of the next plane. Of 512 on,
/// what goes past the caches does not leave in time, and the reads wait for it.
pub(super) const GROUP_BYTES: usize = 256;

/// Something done with groups of cells, `C` in each.
pub(super) trait WithGroup {
    fn run<const C: usize>(self);
}

/// Sums that accumulators are made of.
pub(super) trait Sum: Copy + Default + AddAssign + Send {
    fn to_f64(self) -> f64;
}

/// An element type with what projections compute of it.
pub(super) trait Sample: Element {
    /// Sum of up to [`FEW`] values.
    type Part: Sum;
    /// Sum of any number of values.
    type Total: Sum;
    /// Type of a sum projection.
    type SumOutput: Element;
    /// Standard deviation or variance of this type.
    type Spread<S: Spread>: Accumulator<Self>;

    const LOWEST: Self;
    const HIGHEST: Self;

    fn part(self) -> Self::Part;
    fn total(part: Self::Part) -> Self::Total;
    /// The low bits of a sum: 64-bit sums wrap as they do in NumPy.
    fn sum_output(total: Self::Total) -> Self::SumOutput;
    /// The larger of two; NaN if one is.
    fn higher(self, other: Self) -> Self;
    /// The smaller of two; NaN if one is.
    fn lower(self, other: Self) -> Self;
    /// Whether this takes the place of an earlier maximum; the first NaN does, none after it.
    fn beats(self, best: Self) -> bool;
    fn is_nan(self) -> bool;
    /// Mean of the two middle values of a median; toward zero for integers.
    fn middle(self, other: Self) -> Self;
    /// Does something with groups as large as they are to be for this type.
    fn with_group<W: WithGroup>(work: W);
}

/// An integer type whose squares can be added up exactly.
pub(super) trait Squared: Sample<Total = i128> {
    /// Sum of up to [`FEW`] squares.
    type Squares: Sum;

    fn squared(self) -> Self::Squares;
    fn total_squares(squares: Self::Squares) -> i128;
}

macro_rules! sum {
    ($($type:ty)*) => {$(
        impl Sum for $type {
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

sum! { u32 u64 i32 i64 u128 f64 }

impl Sum for i128 {
    /// By way of 64 bits where it fits: the conversion of 128 bits is a call of a function.
    #[inline(always)]
    fn to_f64(self) -> f64 {
        i64::try_from(self).map_or(self as f64, |small| small as f64)
    }
}

// Example: `u8: part u32, sum u64, wide i64, spread Moments;`
macro_rules! integer {
    ($($type:ty: part $part:ty, sum $sum:ty, wide $wide:ty, spread $spread:ident;)*) => {$(
        impl Sample for $type {
            type Part = $part;
            type Total = i128;
            type SumOutput = $sum;
            type Spread<S: Spread> = $spread<$type, S>;
            const LOWEST: Self = <$type>::MIN;
            const HIGHEST: Self = <$type>::MAX;

            #[inline(always)]
            fn part(self) -> $part {
                self.into()
            }
            #[inline(always)]
            fn total(part: $part) -> i128 {
                part.into()
            }
            #[inline(always)]
            fn sum_output(total: i128) -> $sum {
                total as $sum
            }
            #[inline(always)]
            fn higher(self, other: Self) -> Self {
                self.max(other)
            }
            #[inline(always)]
            fn lower(self, other: Self) -> Self {
                self.min(other)
            }
            #[inline(always)]
            fn beats(self, best: Self) -> bool {
                self > best
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
            #[inline(always)]
            fn middle(self, other: Self) -> Self {
                ((<$wide>::from(self) + <$wide>::from(other)) / 2) as Self
            }
            #[inline(always)]
            fn with_group<W: WithGroup>(work: W) {
                work.run::<{ GROUP_BYTES / size_of::<$type>() }>();
            }
        }
    )*};
}

integer! {
    u8: part u32, sum u64, wide i32, spread Moments;
    u16: part u32, sum u64, wide i32, spread Moments;
    u32: part u64, sum u64, wide i64, spread Moments;
    u64: part i128, sum u64, wide i128, spread Welford;
    i8: part i32, sum i64, wide i32, spread Moments;
    i16: part i32, sum i64, wide i32, spread Moments;
    i32: part i64, sum i64, wide i64, spread Moments;
    i64: part i128, sum i64, wide i128, spread Welford;
}

// Example: `u8: u32, u32;` squares u8 in u32 and adds the squares up in u32.
macro_rules! squared {
    ($($type:ty: $wide:ty, $squares:ty;)*) => {$(
        impl Squared for $type {
            type Squares = $squares;

            #[inline(always)]
            fn squared(self) -> $squares {
                let wide = <$wide>::from(self);
                (wide * wide) as $squares
            }
            #[inline(always)]
            fn total_squares(squares: $squares) -> i128 {
                squares as i128
            }
        }
    )*};
}

squared! {
    u8: u32, u32;
    u16: u32, u64;
    u32: u64, u128;
    i8: i32, u32;
    i16: i32, u64;
    i32: i64, u128;
}

macro_rules! float {
    ($($type:ty)*) => {$(
        impl Sample for $type {
            type Part = f64;
            type Total = f64;
            type SumOutput = f64;
            type Spread<S: Spread> = Welford<$type, S>;
            const LOWEST: Self = <$type>::NEG_INFINITY;
            const HIGHEST: Self = <$type>::INFINITY;

            #[inline(always)]
            fn part(self) -> f64 {
                self.into()
            }
            #[inline(always)]
            fn total(part: f64) -> f64 {
                part
            }
            #[inline(always)]
            fn sum_output(total: f64) -> f64 {
                total
            }
            #[inline(always)]
            fn higher(self, other: Self) -> Self {
                if self >= other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn lower(self, other: Self) -> Self {
                if self <= other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn beats(self, best: Self) -> bool {
                self > best || (self.is_nan() & !best.is_nan())
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$type>::is_nan(self)
            }
            #[inline(always)]
            fn middle(self, other: Self) -> Self {
                (self + other) / 2.0
            }
            #[inline(always)]
            fn with_group<W: WithGroup>(work: W) {
                work.run::<{ GROUP_BYTES / size_of::<$type>() }>();
            }
        }
    )*};
}

float! { f32 f64 }
