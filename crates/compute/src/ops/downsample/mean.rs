//! The mean: rows of voxels are added up element by element, in a type just wide enough, and then along
//! the row; both loops are what compilers vectorise best.

use std::ops::AddAssign;

use exavox_io::{DataType, Element, Voxels};

use super::cells::{CellRow, Cells};
use crate::error::Result;

/// A type that sums of voxels are held in.
trait Sum: Copy + Default + AddAssign + Send {
    /// The mean of `count` values whose sum this is, as a value of this type.
    fn mean(self, count: usize) -> Self;
    /// The means of cells of `count` values each.
    fn means(sums: impl Iterator<Item = Self>, count: usize, set: impl FnMut(Self));
}

/// A type of voxels whose sums fit into `S`.
trait Widen<S>: Copy {
    fn widen(self) -> S;
    fn narrow(sum: S) -> Self;
}

// Example: `integer! { u16 }` makes `u16` hold sums.
macro_rules! integer {
    ($($sum:ty)*) => {$(
        impl Sum for $sum {
            #[inline(always)]
            fn mean(self, count: usize) -> Self {
                let count = count as $sum;
                let (mean, rest) = (self.div_euclid(count), self.rem_euclid(count));
                // Compared without doubling, which could overflow.
                let up = match rest.cmp(&(count - rest)) {
                    std::cmp::Ordering::Less => 0,
                    std::cmp::Ordering::Equal => mean & 1,
                    std::cmp::Ordering::Greater => 1,
                };
                mean + up
            }

            #[inline(always)]
            fn means(sums: impl Iterator<Item = Self>, count: usize, mut set: impl FnMut(Self)) {
                if !count.is_power_of_two() || count == 1 {
                    return sums.for_each(|sum| set(sum.mean(count)));
                }
                // Half less one, and one more if the quotient is odd, rounds halves to even.
                let (bits, half) = (count.trailing_zeros(), (count / 2 - 1) as $sum);
                sums.for_each(|sum| set((sum + half + ((sum >> bits) & 1)) >> bits));
            }
        }
    )*};
}

integer! { u16 u32 u64 u128 i16 i32 i64 i128 }

impl Sum for f64 {
    fn mean(self, count: usize) -> Self {
        let mean = self / count as f64;
        // Sign and payload of a NaN depend on the order of operands, which is the compiler's.
        if mean.is_nan() { f64::NAN } else { mean }
    }

    fn means(sums: impl Iterator<Item = Self>, count: usize, mut set: impl FnMut(Self)) {
        sums.for_each(|sum| set(sum.mean(count)));
    }
}

// Example: `u8 => u16` adds up bytes in 16 bits.
macro_rules! widen {
    ($($type:ty => $($sum:ty),+;)*) => {$($(
        impl Widen<$sum> for $type {
            #[inline(always)]
            fn widen(self) -> $sum {
                self as $sum
            }
            #[inline(always)]
            fn narrow(sum: $sum) -> Self {
                sum as $type
            }
        }
    )+)*};
}

widen! {
    u8 => u16, u64;
    u16 => u32, u64;
    u32 => u64;
    u64 => u128;
    i8 => i16, i64;
    i16 => i32, i64;
    i32 => i64;
    i64 => i128;
    f32 => f64;
    f64 => f64;
}

/// Voxels of a cell whose sum, and half of it more, fits into twice the bits of a voxel.
const FEW_OF_8_BITS: usize = 128;
const FEW_OF_16_BITS: usize = 1 << 15;

pub(super) fn downsample(voxels: &Voxels, cells: &Cells) -> Result<Voxels> {
    let few_8 = cells.voxels() <= FEW_OF_8_BITS;
    let few_16 = cells.voxels() <= FEW_OF_16_BITS;
    match voxels.dtype() {
        DataType::U8 if few_8 => mean_in::<u8, u16>(voxels, cells),
        DataType::U8 => mean_in::<u8, u64>(voxels, cells),
        DataType::U16 if few_16 => mean_in::<u16, u32>(voxels, cells),
        DataType::U16 => mean_in::<u16, u64>(voxels, cells),
        DataType::U32 => mean_in::<u32, u64>(voxels, cells),
        DataType::U64 => mean_in::<u64, u128>(voxels, cells),
        DataType::I8 if few_8 => mean_in::<i8, i16>(voxels, cells),
        DataType::I8 => mean_in::<i8, i64>(voxels, cells),
        DataType::I16 if few_16 => mean_in::<i16, i32>(voxels, cells),
        DataType::I16 => mean_in::<i16, i64>(voxels, cells),
        DataType::I32 => mean_in::<i32, i64>(voxels, cells),
        DataType::I64 => mean_in::<i64, i128>(voxels, cells),
        DataType::F32 => mean_in::<f32, f64>(voxels, cells),
        DataType::F64 => mean_in::<f64, f64>(voxels, cells),
    }
}

fn mean_in<T: Element + Widen<S>, S: Sum>(voxels: &Voxels, cells: &Cells) -> Result<Voxels> {
    let values = voxels.as_slice::<T>()?;
    let mut out = Voxels::zeros(T::DTYPE, cells.count)?;
    let factor = cells.factor[2];
    cells.for_each_row(out.as_mut_slice::<T>()?, |sums: &mut Vec<S>, row, out| {
        add_rows(sums, row, values);
        match factor {
            1 => reduce::<T, S, 1>(sums, row.num_rows(), out),
            2 => reduce::<T, S, 2>(sums, row.num_rows(), out),
            4 => reduce::<T, S, 4>(sums, row.num_rows(), out),
            _ => reduce_any(sums, factor, row.num_rows(), out),
        }
    });
    Ok(out)
}

/// Sums of the rows of a row of cells, element by element.
fn add_rows<T: Widen<S>, S: Sum>(sums: &mut Vec<S>, row: &CellRow, values: &[T]) {
    let mut rows = row.rows(values);
    sums.clear();
    sums.extend(rows.next().unwrap_or_default().iter().map(|value| value.widen()));
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value.widen());
    }
}

/// Means of `FACTOR` neighbours; a number that is known lets the compiler unroll.
fn reduce<T: Widen<S>, S: Sum, const FACTOR: usize>(sums: &[S], rows: usize, out: &mut [T]) {
    let (cells, rest) = sums.as_chunks::<FACTOR>();
    let (whole, partial) = out.split_at_mut(cells.len());
    let mut target = whole.iter_mut();
    let totals = cells.iter().map(|cell| {
        let mut total = cell[0];
        cell[1..].iter().for_each(|sum| total += *sum);
        total
    });
    S::means(totals, rows * FACTOR, |mean| {
        if let Some(target) = target.next() {
            *target = T::narrow(mean);
        }
    });
    reduce_rest(rest, rows, partial);
}

fn reduce_any<T: Widen<S>, S: Sum>(sums: &[S], factor: usize, rows: usize, out: &mut [T]) {
    for (cell, target) in sums.chunks(factor).zip(out) {
        reduce_rest(cell, rows, std::slice::from_mut(target));
    }
}

/// The one cell whose sums are given.
fn reduce_rest<T: Widen<S>, S: Sum>(cell: &[S], rows: usize, out: &mut [T]) {
    let (Some((first, others)), [target]) = (cell.split_first(), out) else { return };
    let mut total = *first;
    others.iter().for_each(|sum| total += *sum);
    *target = T::narrow(total.mean(rows * cell.len()));
}
