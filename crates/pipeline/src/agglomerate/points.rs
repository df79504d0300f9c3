//! Decision points of a label volume: in one piece if it is small, else by blocks with a halo.

use std::path::Path;
use std::time::Instant;

use exavox_compute::ffn::agglomerate::{DecisionPointOptions, find_decision_points};
use exavox_io::{BoundingBox, Limits, Volume};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::blockwise::BlockSize;
use super::inputs::{distance_unit, voxel_size_zyx};
use super::pair_table::point_columns;
use super::record::rounded;
use crate::blocks::{BlockGrid, fitting_block, for_each_block};
use crate::error::{Error, Result};
use crate::label_volume::{check_integers, read_labels};
use crate::progress::{Event, Observer, Unit};
use crate::table::{TableFormat, table_bytes};

/// Voxels that are searched in one piece at most.
const MAX_VOXELS: u64 = 1 << 24;
/// Bytes a voxel takes: label, number, distance, and the watershed's front.
const BYTES_PER_VOXEL: u64 = 48;

/// How decision points are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PointOptions {
    /// Segments farther than this from the point between them are no pair, in the unit of the voxel size
    /// (nanometres). Default: four times the longest edge of a voxel.
    pub max_distance: Option<f64>,
    /// Segments of fewer voxels are left alone. Default: 0.
    pub min_voxels: u64,
    /// Bytes that blocks in flight may take. A volume that does not fit, at 48 bytes a voxel, or has more
    /// than 2^24 voxels is cut into blocks with a halo as wide as the distance. Default: half of what is
    /// available.
    pub memory_bytes: Option<u64>,
}

/// Two segments and the place at which they are closest. The names are those of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The smaller label.
    pub id_a: u64,
    /// The larger one.
    pub id_b: u64,
    /// A voxel between them, `[z, y, x]`.
    pub point_zyx: [u64; 3],
    /// Its distance from each of them, in the unit of the voxel size; 0 if they touch.
    pub distance: f64,
    /// Voxels of the two segments in all of the volume.
    pub voxels: [u64; 2],
}

/// The decision points of a volume. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Points {
    /// One for each pair, in ascending order of the labels.
    pub points: Vec<Point>,
    /// Number of pairs.
    pub pairs: u64,
    /// Labels of the volume.
    pub labels: u64,
    /// Labels that were large enough.
    pub large_labels: u64,
    /// Distance up to which segments were paired.
    pub max_distance: f64,
    /// Edge lengths of a voxel.
    pub voxel_size_zyx: [f64; 3],
    /// Unit of the distances: `nm`, or `voxels` where nothing has a voxel size.
    pub distance_unit: String,
    /// Blocks that the volume was cut into.
    pub blocks: u64,
    /// Wall-clock time.
    pub seconds: f64,
}

/// Finds the decision points of channel 0 of a volume ([`find_decision_points`] has the rule).
///
/// A volume that is cut gives of each pair the closest of the points that its blocks find, of equally close
/// ones that of the first block; in one piece it is the one nearest to the centroid of all of them.
///
/// # Errors
/// [`Error::Settings`] if labels are not integers, or the distance is not a number above 0; if the volume
/// cannot be read.
pub fn find_points(
    labels: &Volume,
    image: Option<&Volume>,
    options: &PointOptions,
    observer: &dyn Observer,
) -> Result<Points> {
    let started = Instant::now();
    check_integers(labels)?;
    check_distance(options)?;
    let volumes: Vec<&Volume> = [Some(labels), image].into_iter().flatten().collect();
    let voxel_size_zyx = voxel_size_zyx(&volumes, observer).map(rounded);
    let longest = voxel_size_zyx.into_iter().fold(0.0, f64::max);
    let max_distance = options.max_distance.unwrap_or(4.0 * longest);
    let sizes = sizes(labels, options, observer)?;
    let search = Search { labels, options, voxel_size_zyx, max_distance, sizes: &sizes };
    let grid = search.grid()?;
    let found = search.run(&grid, observer)?;
    let mut points: Vec<Point> = found.into_values().map(|(_, point)| point).collect();
    points.sort_unstable_by_key(|point| (point.id_a, point.id_b));
    Ok(Points {
        pairs: points.len() as u64,
        points,
        labels: sizes.len() as u64,
        large_labels: sizes.values().filter(|size| **size >= options.min_voxels).count() as u64,
        max_distance,
        voxel_size_zyx,
        distance_unit: distance_unit(&volumes).into(),
        blocks: grid.len(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// `Ok` if the distance that is given can be.
pub(super) fn check_distance(options: &PointOptions) -> Result<()> {
    match options.max_distance {
        Some(distance) if !(distance.is_finite() && distance >= 0.0) => {
            let message = format!("expected a finite distance of at least 0, found {distance}");
            Err(Error::settings("max_distance", message))
        }
        _ => Ok(()),
    }
}

/// Voxels of each label.
fn sizes(
    labels: &Volume,
    options: &PointOptions,
    observer: &dyn Observer,
) -> Result<FxHashMap<u64, u64>> {
    let size = BlockSize::within(options.memory_bytes);
    let grid = size.grid(labels.shape(), labels.metadata().chunk_shape)?;
    let count = |block: &BoundingBox| {
        let mut sizes = FxHashMap::default();
        for run in read_labels(labels, block)?.chunk_by(|a, b| a == b) {
            if run[0] != 0 {
                *sizes.entry(run[0]).or_insert(0) += run.len() as u64;
            }
        }
        Ok(sizes)
    };
    for_each_block("sizes", &grid, observer, FxHashMap::default, count, |all, block| {
        block.into_iter().for_each(|(label, size)| *all.entry(label).or_insert(0) += size);
    })
}

/// Points by pair, with the number of the block that found them.
type Found = FxHashMap<[u64; 2], (u64, Point)>;

/// A search through a volume.
struct Search<'a> {
    labels: &'a Volume,
    options: &'a PointOptions,
    voxel_size_zyx: [f64; 3],
    max_distance: f64,
    sizes: &'a FxHashMap<u64, u64>,
}

impl Search<'_> {
    fn grid(&self) -> Result<BlockGrid> {
        let whole = BoundingBox::whole(self.labels.shape());
        let at_once = (self.memory_bytes() / BYTES_PER_VOXEL).min(MAX_VOXELS);
        if whole.num_voxels() <= at_once {
            return BlockGrid::new(whole, self.labels.shape());
        }
        // The halo takes the rest.
        let chunk = self.labels.metadata().chunk_shape;
        BlockGrid::new(whole, fitting_block(self.labels.shape(), chunk, at_once / 4))
    }

    fn memory_bytes(&self) -> u64 {
        let half = || Limits::default().max_region_bytes / 3 * 2;
        self.options.memory_bytes.unwrap_or_else(half)
    }

    /// Voxels beyond a block that segments up to the distance from its last voxel may reach.
    fn halo(&self) -> [u64; 3] {
        let shape = self.labels.shape();
        std::array::from_fn(|a| {
            let reach = (self.max_distance / self.voxel_size_zyx[a]).ceil() as u64;
            reach.saturating_add(2).min(shape[a])
        })
    }

    fn run(&self, grid: &BlockGrid, observer: &dyn Observer) -> Result<Found> {
        let halo = self.halo();
        let shape = self.labels.shape();
        let voxels = |a: usize| grid.block_shape()[a].saturating_add(2 * halo[a]).min(shape[a]);
        let bytes = (0..3).map(voxels).fold(BYTES_PER_VOXEL, u64::saturating_mul);
        if grid.len() > 1 && bytes > self.memory_bytes() {
            let message = format!(
                "max_distance {} needs a halo of {halo:?} voxels: {bytes} bytes for a block, {} are allowed",
                self.max_distance,
                self.memory_bytes()
            );
            return Err(Error::settings(self.labels.name(), message));
        }
        let at_once = (self.memory_bytes() / bytes).clamp(1, 1 << 10);
        let total = grid.region().num_voxels();
        crate::labelling::stage(observer, "decision points", total, Unit::Voxels, || {
            let mut found = Found::default();
            for first in (0..grid.len()).step_by(at_once as usize) {
                let group = first..(first + at_once).min(grid.len());
                let points: Vec<Found> = group
                    .into_par_iter()
                    .map(|number| self.in_block(grid, number, observer))
                    .collect::<Result<_>>()?;
                points.into_iter().for_each(|points| keep_closest(&mut found, points));
            }
            Ok(found)
        })
    }

    fn in_block(&self, grid: &BlockGrid, number: u64, observer: &dyn Observer) -> Result<Found> {
        let (core, block) = (grid.block(number), grid.with_halo(number, self.halo()));
        let mut labels = read_labels(self.labels, &block)?;
        self.drop_small(&mut labels);
        // Meetings reach one voxel beyond the block that they belong to.
        let start = core.relative_to(block.start).start.map(|v| v as usize);
        let end = std::array::from_fn(|a| {
            ((core.end[a] + 1).min(block.end[a]) - block.start[a]) as usize
        });
        let mut options = DecisionPointOptions::default();
        options.voxel_size_zyx = self.voxel_size_zyx;
        options.max_distance = self.max_distance;
        options.inner = Some([start, end]);
        let points = find_decision_points(&labels, block.shape().map(|s| s as usize), &options)?;
        observer.notify(&Event::Advanced { by: core.num_voxels(), note: "" });
        let size = |label: u64| self.sizes.get(&label).copied().unwrap_or(0);
        let in_volume = points.into_iter().map(|point| {
            let [id_a, id_b] = point.labels;
            let point_zyx = [0, 1, 2].map(|a| block.start[a] + point.point_zyx[a] as u64);
            let voxels = [size(id_a), size(id_b)];
            (
                [id_a, id_b],
                (
                    number,
                    Point { id_a, id_b, point_zyx, distance: rounded(point.distance), voxels },
                ),
            )
        });
        Ok(in_volume.collect())
    }

    fn drop_small(&self, labels: &mut [u64]) {
        if self.options.min_voxels < 2 {
            return;
        }
        let is_large = |label: u64| self.sizes.get(&label) >= Some(&self.options.min_voxels);
        for run in labels.chunk_by_mut(|a, b| a == b) {
            if !is_large(run[0]) {
                run.fill(0);
            }
        }
    }
}

fn keep_closest(all: &mut Found, of_block: Found) {
    for (pair, new) in of_block {
        let old = all.entry(pair).or_insert(new);
        let closer = |a: &(u64, Point), b: &(u64, Point)| {
            a.1.distance.total_cmp(&b.1.distance).then(a.0.cmp(&b.0)).is_lt()
        };
        if closer(&new, old) {
            *old = new;
        }
    }
}

/// Writes points as a table, a line for each: Parquet if the name ends in `.parquet`, else CSV.
///
/// # Errors
/// If the system refuses.
pub fn write_points(path: &Path, points: &Points) -> Result<()> {
    let columns = point_columns(points.points.iter(), &points.distance_unit);
    let bytes = table_bytes(path, TableFormat::of(path), &columns)?;
    Ok(exavox_io::staging::write_whole(path, &bytes)?)
}
