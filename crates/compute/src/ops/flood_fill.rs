//! Seeded flood fill: the voxels within a range of values that can be reached from seeds.
//!
//! All runs of the range are found and joined, then those that hold a seed are kept: near percolation,
//! where a flood takes every turn that there is, this is as fast as anywhere else.

use std::collections::BTreeMap;

use exavox_io::{DataType, Element, Voxels, match_dtype};
use rayon::prelude::*;

use super::connected_components::{row_bytes, slabs_wanted};
use super::runs::build::{MaskRuns, RowBits, Test};
use super::runs::forest::Id;
use super::runs::isa::Level;
use super::runs::layout::Layout;
use super::runs::links::MaskLinks;
use super::runs::seams::{Joining, Unnamed, named_within, resolve};
use super::runs::slab::{Memory, Slab, parts, zeroed};
use super::{Connectivity, ValueRange};
use crate::error::{Error, Result};

mod fill;

/// Where a flood starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// Voxel of the block, `[z, y, x]`.
    pub position_zyx: [usize; 3],
    /// What the voxels get that are reached from here; above 0. Seeds may share a label.
    pub label: u32,
}

impl Seed {
    /// A seed of label 1.
    pub fn new(position_zyx: [usize; 3]) -> Self {
        Self { position_zyx, label: 1 }
    }
}

/// How to flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FloodOptions {
    /// Which voxels are neighbours. Default: the 6 that share a face.
    pub connectivity: Connectivity,
    /// Voxels that may be filled at most; a flood that goes further has leaked and is an error. Default:
    /// no bound.
    pub max_voxels: Option<u64>,
}

/// What was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Flood {
    /// `[z, y, x]` as the block: the seed's label, or 0. `uint8`; `uint32` if a label is above 255.
    pub labels: Voxels,
    /// Voxels that were reached.
    pub voxels: u64,
    /// Connected objects that were reached.
    pub components: u64,
    /// Seeds whose own value is out of the range: nothing is reached from them.
    pub seeds_out_of_range: u64,
    /// Seeds whose object an earlier seed with another label has taken.
    pub seeds_taken: u64,
}

/// Fills from seeds. Where seeds of several labels lie in one object, the first of them takes it.
///
/// Cost: a pass over the voxels and one over the labels, on the threads of the current rayon pool. Memory
/// besides block and labels: 20 bytes for 64 voxels of a row, whose length is rounded up to the next
/// multiple of 64 that is larger, and 4 bytes for each run along x.
///
/// # Errors
/// [`Error::Usage`] if there is no seed, a seed lies outside of the block or has label 0, the range holds
/// no value of the block's type, or the flood leaks; [`Error::Io`] if the memory cannot be had.
pub fn flood_fill(
    voxels: &Voxels,
    range: ValueRange,
    seeds: &[Seed],
    options: &FloodOptions,
) -> Result<Flood> {
    check_seeds(seeds, voxels.shape())?;
    let mut memory = Runs::memory(voxels.shape())?;
    let found = match_dtype!(voxels.dtype(), T => {
        let (low, high) = range.ends::<T>()?;
        let values = voxels.as_slice::<T>()?;
        let rule = MaskRuns { values, test: Test::Within(low, high) };
        Runs::find(Level::best(), voxels.shape(), &rule, &mut memory)?
    });
    if u32::try_from(found.count()).is_ok() {
        found.flood::<u32>(seeds, options)
    } else {
        found.flood::<u64>(seeds, options)
    }
}

/// Bytes that are held at most while a block is flooded: the block, one byte for each voxel, the bits of
/// its rows, and as many runs as there can be. Saturates at `u64::MAX`.
pub fn bytes_needed(dtype: DataType, shape: [u64; 3]) -> u64 {
    let [z, y, x] = shape;
    let voxels = shape.into_iter().fold(1, u64::saturating_mul);
    let values = voxels.saturating_mul(dtype.size() as u64 + 1);
    let runs = z.saturating_mul(y).saturating_mul(x.div_ceil(2)).saturating_mul(4);
    values.saturating_add(row_bytes(shape)).saturating_add(runs)
}

/// An error if more voxels were reached than may be.
pub(super) fn check_leak(voxels: u64, options: &FloodOptions) -> Result<()> {
    match options.max_voxels.filter(|most| voxels > *most) {
        Some(most) => Err(Error::Usage(format!(
            "the flood leaks: {voxels} voxels are reached, at most {most} may be"
        ))),
        None => Ok(()),
    }
}

pub(super) fn check_seeds(seeds: &[Seed], shape: [usize; 3]) -> Result<()> {
    if seeds.is_empty() {
        return Err(Error::Usage("no seed to flood from".to_owned()));
    }
    for Seed { position_zyx, label } in seeds {
        if (0..3).any(|a| position_zyx[a] >= shape[a]) {
            let message = format!("seed {position_zyx:?} lies outside of the block of {shape:?}");
            return Err(Error::Usage(message));
        }
        if *label == 0 {
            return Err(Error::Usage(format!("seed {position_zyx:?}: label 0 is background")));
        }
    }
    Ok(())
}

/// All runs of a block.
struct Runs<'m> {
    level: Level,
    shape: [usize; 3],
    layout: Layout,
    slabs: Vec<Slab<'m>>,
    /// Runs before each slab.
    offsets: Vec<usize>,
}

impl<'m> Runs<'m> {
    /// Memory for the runs of a block.
    fn memory(shape: [usize; 3]) -> Result<Memory> {
        let layout = Layout::new(shape);
        Memory::new(&layout, layout.slabs(slabs_wanted(&layout)))
    }

    fn find(
        level: Level,
        shape: [usize; 3],
        rule: &impl RowBits,
        memory: &'m mut Memory,
    ) -> Result<Self> {
        let layout = Layout::new(shape);
        let pieces = memory.pieces()?.into_par_iter();
        let slabs: Vec<Slab<'_>> =
            pieces.map(|piece| Slab::new(level, &layout, piece, rule)).collect::<Result<_>>()?;
        let mut offsets = vec![0];
        for slab in &slabs[..slabs.len() - 1] {
            offsets.push(offsets[offsets.len() - 1] + slab.runs);
        }
        Ok(Self { level, shape, layout, slabs, offsets })
    }

    fn count(&self) -> usize {
        self.slabs.iter().map(|slab| slab.runs).sum()
    }

    fn flood<I: Id>(mut self, seeds: &[Seed], options: &FloodOptions) -> Result<Flood> {
        let Self { level, layout, .. } = self;
        let connectivity = options.connectivity;
        let joining = Joining { level, layout: &layout, connectivity, links: &MaskLinks };
        let mut labels: Vec<I> = zeroed(self.count())?;
        parts(&mut labels, &self.offsets)
            .into_par_iter()
            .zip(&self.slabs)
            .for_each(|((offset, part), slab)| joining.within(slab, offset, part));
        let moved = joining.across(&self.slabs, &self.offsets, &mut labels);
        let taken = self.take(seeds, |run| moved.root(&labels, run));
        let named = moved.name(&taken.roots);
        let filled: Vec<u64> = parts(&mut labels, &self.offsets)
            .into_par_iter()
            .zip(&mut self.slabs)
            .map(|((offset, part), slab)| {
                let named = named_within(&named, offset, part.len());
                resolve(offset, part, named, Unnamed::Zero);
                fill::keep_labelled(level, slab, part)
            })
            .collect();
        let voxels = filled.iter().sum();
        check_leak(voxels, options)?;
        let most = seeds.iter().map(|seed| seed.label).max().unwrap_or(1);
        let labels = match u8::try_from(most) {
            Ok(_) => self.paint::<I, u8>(&labels, seeds)?,
            Err(_) => self.paint::<I, u32>(&labels, seeds)?,
        };
        let components = taken.roots.len() as u64;
        let (seeds_out_of_range, seeds_taken) = (taken.out_of_range, taken.by_others);
        Ok(Flood { labels, voxels, components, seeds_out_of_range, seeds_taken })
    }

    /// Which objects the seeds take.
    fn take(&self, seeds: &[Seed], root: impl Fn(usize) -> usize) -> Taken {
        let mut roots = BTreeMap::new();
        let (mut out_of_range, mut by_others) = (0, 0);
        for Seed { position_zyx: [z, y, x], label } in seeds {
            let [_, ny, nx] = self.shape;
            let Some(run) = self.run_at((z * ny + y) * nx + x) else {
                out_of_range += 1;
                continue;
            };
            let first = *roots.entry(root(run)).or_insert(*label as usize);
            by_others += u64::from(first != *label as usize);
        }
        Taken { roots: roots.into_iter().collect(), out_of_range, by_others }
    }

    /// Number of the run at a voxel, if the voxel is in the range.
    fn run_at(&self, voxel: usize) -> Option<usize> {
        let (row, x) = self.layout.locate(voxel);
        let slab = self.slabs.partition_point(|slab| slab.rows.end <= row);
        let run = self.slabs[slab].run_at(&self.layout, row, x)?;
        Some(self.offsets[slab] + run)
    }

    fn paint<I: Id, T: Element>(&self, labels: &[I], seeds: &[Seed]) -> Result<Voxels> {
        let mut out = Voxels::zeros(T::DTYPE, self.shape)?;
        let first = |slab: &Slab<'_>| self.layout.voxels_before(slab.rows.start);
        let begins: Vec<usize> = self.slabs.iter().map(first).collect();
        let one = seeds.iter().all(|seed| seed.label == seeds[0].label);
        parts(out.as_mut_slice::<T>()?, &begins)
            .into_par_iter()
            .zip(&self.slabs)
            .zip(&self.offsets)
            .for_each(|(((_, out), slab), offset)| {
                let labels = match one {
                    true => fill::Labels::One(T::from_f64(f64::from(seeds[0].label))),
                    false => fill::Labels::OfRuns(&labels[*offset..*offset + slab.runs]),
                };
                fill::paint(self.level, &self.layout, slab, labels, out);
            });
        Ok(out)
    }
}

/// What seeds take.
struct Taken {
    /// Roots with labels, ascending.
    roots: Vec<(usize, usize)>,
    out_of_range: u64,
    by_others: u64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Every instruction set and both types of run numbers give the same.
    #[test]
    fn all_ways_are_one() {
        let shape = [5, 9, 200];
        let values: Vec<u16> =
            (0..9000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 30) as u16).collect();
        let rule = MaskRuns { values: &values, test: Test::Within(1, 2) };
        for (connectivity, label) in Connectivity::ALL.into_iter().zip([1, 9, 999]) {
            let options = FloodOptions { connectivity, ..FloodOptions::default() };
            let seeds = [Seed { position_zyx: [2, 4, 70], label }, Seed::new([4, 8, 199])];
            let memory = || Runs::memory(shape).unwrap();
            let mut first = memory();
            let best = Runs::find(Level::best(), shape, &rule, &mut first).unwrap();
            let best = best.flood::<u32>(&seeds, &options).unwrap();
            for level in Level::all() {
                let mut memories = [memory(), memory()];
                let [narrow, wide] = memories
                    .each_mut()
                    .map(|memory| Runs::find(level, shape, &rule, memory).unwrap());
                assert_eq!(narrow.flood::<u32>(&seeds, &options).unwrap(), best, "{level:?}");
                assert_eq!(wide.flood::<u64>(&seeds, &options).unwrap(), best, "{level:?}");
            }
        }
    }
}
