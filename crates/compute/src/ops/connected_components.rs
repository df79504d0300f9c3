//! Connected components: every voxel of an object gets the object's number.
//!
//! Components are numbered from 1 on in the order of their first voxels (z, y, x), which is the order of
//! cc3d; 0 is background. The result depends on neither threads nor instruction set. How it works is told
//! in the private module `runs`.

use exavox_io::{DataType, Element, Voxels, match_dtype};
use rayon::prelude::*;

use super::runs::build::{EqualRuns, MaskRuns, RowBits, Test};

use super::runs::isa::Level;
use super::runs::layout::Layout;
use super::runs::links::{EqualLinks, Links, MaskLinks};
use super::runs::seams::{Joining, Unnamed, named_within, resolve};
use super::runs::slab::{Memory, Slab, parts};
use super::{Connectivity, ValueRange};
use crate::error::{Error, Result};
use paint::{Paint, paint};

mod paint;

/// Which voxels belong to objects.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Foreground {
    /// All that are not 0. NaN is background.
    #[default]
    NonZero,
    /// Those in a range of values. NaN is background.
    Range(ValueRange),
}

/// Components of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// `[z, y, x]` as the block: 0, or the number of the component. `uint32`; `uint64` for blocks of
    /// 2^32 voxels and more.
    pub labels: Voxels,
    /// How many there are: the largest label.
    pub count: u64,
}

/// Components of the voxels that are foreground, whatever their values.
///
/// Cost: a pass over the voxels and one over the labels, on the threads of the current rayon pool. Memory
/// besides block and labels: 20 bytes for 64 voxels of a row, whose length is rounded up to the next
/// multiple of 64 that is larger.
///
/// # Errors
/// [`Error::Usage`] if the range holds no value of the block's type; [`Error::Io`] if the memory cannot
/// be had.
pub fn label_mask(
    voxels: &Voxels,
    foreground: Foreground,
    connectivity: Connectivity,
) -> Result<Components> {
    match_dtype!(voxels.dtype(), T => {
        let values = voxels.as_slice::<T>()?;
        let test = test_of::<T>(foreground)?;
        label(voxels.shape(), connectivity, &MaskRuns { values, test }, &MaskLinks)
    })
}

/// Components of labels: neighbours belong together if they have the same value, which is not 0.
///
/// Cost and memory as for [`label_mask`].
///
/// # Errors
/// [`Error::Usage`] for blocks of floats; [`Error::Io`] if the memory cannot be had.
pub fn label_equal(voxels: &Voxels, connectivity: Connectivity) -> Result<Components> {
    if voxels.dtype().kind() == 'f' {
        let message = format!("labels must be integers, found {}", voxels.dtype());
        return Err(Error::Usage(message));
    }
    // Integers of one size are equal if their bits are.
    match voxels.dtype().size() {
        1 => equal::<u8>(voxels, connectivity),
        2 => equal::<u16>(voxels, connectivity),
        4 => equal::<u32>(voxels, connectivity),
        _ => equal::<u64>(voxels, connectivity),
    }
}

fn equal<T: Element>(voxels: &Voxels, connectivity: Connectivity) -> Result<Components> {
    let values: &[T] = bytemuck::cast_slice(voxels.bytes());
    label(voxels.shape(), connectivity, &EqualRuns { values }, &EqualLinks { values })
}

/// The test for a foreground in values of a type.
pub(super) fn test_of<T: Element>(foreground: Foreground) -> Result<Test<T>> {
    Ok(match foreground {
        Foreground::NonZero => Test::NonZero,
        Foreground::Range(range) => {
            let (low, high) = range.ends::<T>()?;
            Test::Within(low, high)
        }
    })
}

fn label(
    shape: [usize; 3],
    connectivity: Connectivity,
    rule: &impl RowBits,
    links: &impl Links,
) -> Result<Components> {
    let level = Level::best();
    if u32::try_from(shape.iter().product::<usize>()).is_ok() {
        label_as::<u32>(level, shape, connectivity, rule, links)
    } else {
        label_as::<u64>(level, shape, connectivity, rule, links)
    }
}

/// Labels of a type that can number every voxel. The forest lies in the labels: at the beginning of each
/// slab's part, which holds more voxels than the slab has runs.
fn label_as<I: Paint>(
    level: Level,
    shape: [usize; 3],
    connectivity: Connectivity,
    rule: &impl RowBits,
    links: &impl Links,
) -> Result<Components> {
    let mut labels = Voxels::zeros(I::DTYPE, shape)?;
    if labels.is_empty() {
        return Ok(Components { labels, count: 0 });
    }
    let layout = Layout::new(shape);
    let joining = Joining { level, layout: &layout, connectivity, links };
    let out = labels.as_mut_slice::<I>()?;
    let ranges = layout.slabs(slabs_wanted(&layout));
    let offsets: Vec<usize> = ranges.iter().map(|rows| layout.voxels_before(rows.start)).collect();
    let mut memory = Memory::new(&layout, ranges)?;
    let slabs: Vec<Slab<'_>> = parts(out, &offsets)
        .into_par_iter()
        .zip(memory.pieces()?)
        .map(|((offset, part), piece)| {
            let slab = Slab::new(level, &layout, piece, rule)?;
            joining.within(&slab, offset, &mut part[..slab.runs]);
            Ok(slab)
        })
        .collect::<Result<_>>()?;
    let moved = joining.across(&slabs, &offsets, out);
    let mut parts = parts(out, &offsets);
    let runs: Vec<(usize, &[I])> = parts
        .iter()
        .zip(&slabs)
        .map(|((offset, part), slab)| (*offset, &part[..slab.runs]))
        .collect();
    let (before, named) = moved.number(&runs);
    parts.par_iter_mut().zip(&slabs).zip(&before).for_each(|(((offset, part), slab), before)| {
        let named = named_within(&named, *offset, part.len());
        resolve(*offset, &mut part[..slab.runs], named, Unnamed::Number(before + 1));
        paint(level, &layout, slab, part);
    });
    let count = before.last().map_or(0, |count| *count as u64);
    Ok(Components { labels, count })
}

/// Slabs for a block: a few for each thread, that none waits long for another.
pub(super) fn slabs_wanted(layout: &Layout) -> usize {
    /// Voxels whose runs stay in the second-level cache.
    const SMALL: usize = 1 << 21;
    let threads = rayon::current_num_threads();
    let voxels = layout.planes * layout.rows * layout.length;
    (voxels / SMALL).clamp(threads, 8 * threads)
}

/// The type of labels for a block of `shape`.
pub fn label_dtype(shape: [u64; 3]) -> DataType {
    let voxels = shape.into_iter().fold(1, u64::saturating_mul);
    if u32::try_from(voxels).is_ok() { DataType::U32 } else { DataType::U64 }
}

/// Bytes that are held at most while a block is labelled: the block, its labels, and the bits of its
/// rows. Saturates at `u64::MAX`.
pub fn bytes_needed(dtype: DataType, shape: [u64; 3]) -> u64 {
    let voxels = shape.into_iter().fold(1, u64::saturating_mul);
    let values = (dtype.size() + label_dtype(shape).size()) as u64;
    voxels.saturating_mul(values).saturating_add(row_bytes(shape))
}

/// Bytes of the bits and ranks of a block's rows; saturates at `u64::MAX`.
pub(super) fn row_bytes(shape: [u64; 3]) -> u64 {
    let [z, y, x] = shape;
    z.saturating_mul(y.saturating_add(1)).saturating_mul(x / 64 + 1).saturating_mul(20)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Every instruction set and both types of labels give the same.
    #[test]
    fn all_ways_are_one() {
        let shape = [5, 9, 200];
        let values: Vec<u16> =
            (0..9000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 30) as u16).collect();
        for connectivity in Connectivity::ALL {
            let rule = MaskRuns { values: &values, test: Test::NonZero };
            let (equal, links) = (EqualRuns { values: &values }, EqualLinks { values: &values });
            for level in Level::all() {
                let wide = label_as::<u64>(level, shape, connectivity, &rule, &MaskLinks).unwrap();
                let narrow =
                    label_as::<u32>(level, shape, connectivity, &rule, &MaskLinks).unwrap();
                let best = label(shape, connectivity, &rule, &MaskLinks).unwrap();
                assert_eq!(narrow, best, "{level:?}");
                assert_eq!(wide.labels.to_labels().unwrap(), best.labels.to_labels().unwrap());
                let narrow = label_as::<u32>(level, shape, connectivity, &equal, &links).unwrap();
                assert_eq!(
                    narrow,
                    label(shape, connectivity, &equal, &links).unwrap(),
                    "{level:?}"
                );
            }
        }
    }
}
