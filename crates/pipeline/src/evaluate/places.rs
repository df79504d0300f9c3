//! Where an object is split, or a label merges others: the place that a picture shows.
//!
//! Objects are counted in cells: where in a cell most voxels lie on other labels than the most frequent one,
//! there at least two of them meet.

use exavox_compute::metrics::Side;
use exavox_io::{BoundingBox, Volume};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::block_shape;
use crate::blocks::BlockGrid;
use crate::error::Result;
use crate::label_volume::read_labels;
use crate::labelling::stage;
use crate::progress::{Event, Observer, Unit};

/// Edge of a cell in voxels.
const CELL: u64 = 48;

/// An object that is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Focus {
    /// The volume that it is an object of.
    pub(super) side: Side,
    /// Its label there.
    pub(super) label: u64,
    /// The label of the other volume that is no part of it.
    pub(super) background: Option<u64>,
}

/// Prediction and truth, and the part of them that is compared.
pub(super) struct Pair<'a> {
    pub(super) labels: &'a Volume,
    pub(super) truth: &'a Volume,
    pub(super) region: BoundingBox,
}

/// Voxels of an object in a cell that have a label of the other volume: (object, cell, label).
type Counts = FxHashMap<(u32, u64, u64), u64>;

impl Pair<'_> {
    /// A voxel of each object, in the volume, near to two of its largest parts. Reads both volumes once.
    pub(super) fn places(
        &self,
        objects: &[Focus],
        observer: &dyn Observer,
    ) -> Result<Vec<[u64; 3]>> {
        let cells = BlockGrid::new(self.region, [CELL; 3])?;
        let counts = self.count(objects, &cells, observer)?;
        let worst = worst_cells(objects, counts);
        let place = |(object, cell): (&Focus, u64)| self.meeting_point(object, &cells.block(cell));
        objects.iter().zip(worst).map(place).collect()
    }

    fn count(
        &self,
        objects: &[Focus],
        cells: &BlockGrid,
        observer: &dyn Observer,
    ) -> Result<Counts> {
        let chunks = [self.labels, self.truth].map(|volume| volume.metadata().chunk_shape);
        let blocks = BlockGrid::new(self.region, block_shape(chunks[0], chunks[1]))?;
        let find = |side| -> FxHashMap<u64, u32> {
            let of_side = (0..).zip(objects).filter(|(_, object)| object.side == side);
            of_side.map(|(number, object)| (object.label, number)).collect()
        };
        let sides = [find(Side::Truth), find(Side::Labels)];
        stage(observer, "places", self.region.num_voxels(), Unit::Voxels, || {
            let counts = (0..blocks.len()).into_par_iter().map(|number| {
                let area = blocks.block(number);
                let counts = self.count_block(&area, &sides, cells);
                observer.notify(&Event::Advanced { by: area.num_voxels(), note: "" });
                counts
            });
            counts.try_reduce(Counts::default, |mut a, b| {
                b.into_iter().for_each(|(key, count)| *a.entry(key).or_default() += count);
                Ok(a)
            })
        })
    }

    fn count_block(
        &self,
        area: &BoundingBox,
        [of_truth, of_labels]: &[FxHashMap<u64, u32>; 2],
        cells: &BlockGrid,
    ) -> Result<Counts> {
        let [truth, labels] = self.read(area)?;
        let mut counts = Counts::default();
        let [_, height, width] = area.shape();
        let rows = truth.chunks(width as usize).zip(labels.chunks(width as usize));
        for (row, (truth, labels)) in (0..).zip(rows) {
            let at = [area.start[0] + row / height, area.start[1] + row % height];
            for (x, (truth, labels)) in pieces(truth, labels, area.start[2], cells) {
                let found = [(of_truth.get(&truth), labels), (of_labels.get(&labels), truth)];
                let in_region = [at[0], at[1], x.start];
                for (object, other) in found {
                    let Some(object) = object else { continue };
                    let from = self.region.start;
                    let cell = std::array::from_fn(|a| (in_region[a] - from[a]) / CELL);
                    let key = (*object, cells.number(cell), other);
                    *counts.entry(key).or_default() += x.end - x.start;
                }
            }
        }
        Ok(counts)
    }

    /// `[truth, labels]` of a box.
    fn read(&self, area: &BoundingBox) -> Result<[Vec<u64>; 2]> {
        let read = |volume: &Volume| read_labels(volume, area);
        Ok([read(self.truth)?, read(self.labels)?])
    }

    /// The voxel of an object that is nearest to the middle between the two largest parts in a cell.
    fn meeting_point(&self, object: &Focus, cell: &BoundingBox) -> Result<[u64; 3]> {
        let [truth, labels] = self.read(cell)?;
        let (own, other) = match object.side {
            Side::Truth => (truth, labels),
            Side::Labels => (labels, truth),
        };
        let [_, height, width] = cell.shape();
        let position = |i: usize| {
            let i = i as u64;
            [i / (height * width), i / width % height, i % width]
        };
        let voxels: Vec<([u64; 3], u64)> = (0..own.len())
            .filter(|i| own[*i] == object.label)
            .map(|i| (position(i), other[i]))
            .collect();
        let middle = middle(object, &voxels);
        let distance = |at: &[u64; 3]| -> f64 {
            [0, 1, 2].iter().map(|a| (at[*a] as f64 - middle[*a]).powi(2)).sum()
        };
        let nearest = voxels.iter().map(|(at, _)| at);
        let nearest = nearest.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let at = nearest.copied().unwrap_or(cell.shape().map(|size| size / 2));
        Ok(std::array::from_fn(|a| cell.start[a] + at[a]))
    }
}

/// Runs along a row of equal pairs that lie in one cell each: range along x, truth and label.
fn pieces(
    truth: &[u64],
    labels: &[u64],
    first: u64,
    cells: &BlockGrid,
) -> impl Iterator<Item = (std::ops::Range<u64>, (u64, u64))> {
    let origin = cells.region().start[2];
    let mut from = 0;
    std::iter::from_fn(move || {
        let pair = (*truth.get(from)?, labels[from]);
        let start = first + from as u64;
        let to_edge = (CELL - (start - origin) % CELL) as usize;
        let ahead = truth[from..].iter().zip(&labels[from..]).take(to_edge);
        let run = ahead.take_while(|(t, l)| (**t, **l) == pair).count();
        from += run;
        Some((start..start + run as u64, pair))
    })
}

/// The cell of each object with most voxels on other labels than its most frequent one; of equal ones the
/// one with most voxels, then the first.
fn worst_cells(objects: &[Focus], counts: Counts) -> Vec<u64> {
    let mut counts: Vec<((u32, u64, u64), u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut worst: Vec<Option<((u64, u64), u64)>> = vec![None; objects.len()];
    for cell in counts.chunk_by(|a, b| (a.0.0, a.0.1) == (b.0.0, b.0.1)) {
        let (number, at, _) = cell[0].0;
        let background = objects[number as usize].background;
        let parts = cell.iter().filter(|((_, _, label), _)| Some(*label) != background);
        let (sum, most) = parts.fold((0_u64, 0_u64), |(sum, most), (_, n)| (sum + n, most.max(*n)));
        let worst = &mut worst[number as usize];
        if worst.is_none_or(|(score, _)| (sum - most, sum) > score) {
            *worst = Some(((sum - most, sum), at));
        }
    }
    worst.into_iter().map(|worst| worst.map_or(0, |(_, cell)| cell)).collect()
}

/// The middle between the centres of the two largest parts; of one part its centre.
fn middle(object: &Focus, voxels: &[([u64; 3], u64)]) -> [f64; 3] {
    let mut parts: FxHashMap<u64, (u64, [u64; 3])> = FxHashMap::default();
    for (at, label) in voxels.iter().filter(|(_, label)| Some(*label) != object.background) {
        let (count, sum) = parts.entry(*label).or_default();
        *count += 1;
        (0..3).for_each(|a| sum[a] += at[a]);
    }
    let mut parts: Vec<(u64, (u64, [u64; 3]))> = parts.into_iter().collect();
    parts.sort_unstable_by_key(|(label, (count, _))| (std::cmp::Reverse(*count), *label));
    parts.truncate(2);
    let number = parts.len().max(1) as f64;
    std::array::from_fn(|a| {
        parts.iter().map(|(_, (count, sum))| sum[a] as f64 / *count as f64).sum::<f64>() / number
    })
}
