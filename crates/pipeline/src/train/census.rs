//! How many voxels of each class every block of the labels has: a small table from which examples are
//! drawn, kept beside the checkpoints. The classes themselves are computed again where they are needed.

use std::collections::BTreeSet;
use std::path::Path;

use exavox_io::BoundingBox;
use exavox_io::staging::write_whole;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::memory::{mib, voxels};
use super::partition::{Classes, EXCLUDED};
use super::source::Source;
use crate::blocks::BlockGrid;
use crate::error::{Error, Result};
use crate::job::Inputs;
use crate::progress::{Event, Observer, Unit};

/// Voxels along the edge of a block.
const BLOCK: u64 = 64;
/// Bytes of a voxel of a block and around it, see [`Survey::block_bytes`].
const BLOCK_VOXEL: u64 = 26;
/// Bytes of a table that are read at most: that of a volume of 10^13 voxels.
const MAX_BYTES: u64 = 4 << 30;

/// The blocks of one volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VolumeCensus {
    /// Labels that are objects: enough voxels.
    pub(super) objects: BTreeSet<u64>,
    /// Their voxels in the region.
    pub(super) labelled_voxels: u64,
    /// Voxels of each class, block by block.
    pub(super) counts: Vec<Vec<u32>>,
}

/// All volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Census {
    /// Of everything that the table depends on.
    digest: String,
    pub(super) volumes: Vec<VolumeCensus>,
}

/// Volumes, and how their voxels are told apart.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) sources: Vec<Source>,
    /// Blocks of the voxels that may be centres, a grid for each volume.
    pub(super) grids: Vec<BlockGrid>,
    pub(super) classes: Classes,
    /// Labels of fewer voxels are no objects.
    pub(super) min_size: u64,
}

impl Survey {
    /// `reach`: half of the box that must stay inside around a centre.
    ///
    /// # Errors
    /// [`Error::Settings`] if a volume has no voxel far enough from its borders.
    pub(super) fn new(
        sources: Vec<Source>,
        classes: Classes,
        min_size: u64,
        reach: [usize; 3],
    ) -> Result<Self> {
        let reach = std::array::from_fn(|a| reach[a].max(classes.radius[a]));
        let grid = |source: &Source| BlockGrid::new(source.centres(reach)?, [BLOCK; 3]);
        let grids = sources.iter().map(grid).collect::<Result<_>>()?;
        Ok(Self { sources, grids, classes, min_size })
    }

    /// The table: as it was written beside the checkpoints, or counted now and written there, in so many
    /// bytes of memory.
    ///
    /// # Errors
    /// [`Error::Settings`] if there is no object, or no memory for a block; what the volumes and the disk say.
    pub(super) fn census(
        &self,
        path: &Path,
        memory: u64,
        observer: &dyn Observer,
    ) -> Result<Census> {
        let digest = self.digest()?;
        if let Some(census) = read(path, &digest) {
            return Ok(census);
        }
        let all = 0..self.sources.len();
        let count = || all.map(|v| self.count(v, observer)).collect::<Result<Vec<_>>>();
        let volumes = self.threads(memory)?.install(count)?;
        let census = Census { digest, volumes };
        let text = serde_json::to_vec(&census).map_err(|e| wrong(path, &e))?;
        write_whole(path, &text)?;
        Ok(census)
    }

    /// Bytes that the largest block takes while it is told apart: its labels and those around it as they
    /// are stored and as 64 bits, running sums, classes.
    pub(super) fn block_bytes(&self) -> u64 {
        let around = |grid: &BlockGrid| {
            let shape = grid.region().shape();
            voxels([0, 1, 2].map(|a| shape[a].min(BLOCK) as usize + 2 * self.classes.radius[a]))
        };
        let largest = self.grids.iter().map(around).max().unwrap_or_default();
        largest.saturating_mul(BLOCK_VOXEL)
    }

    /// As many threads as have room for a block each.
    fn threads(&self, memory: u64) -> Result<rayon::ThreadPool> {
        let bytes = self.block_bytes();
        if bytes > memory {
            let message = format!(
                "{:?}: a block of labels needs {} MiB of memory, {} MiB may be used",
                self.classes.radius,
                mib(bytes),
                memory >> 20
            );
            return Err(Error::settings("sampling.lom_radius_zyx", message));
        }
        let fit = usize::try_from(memory / bytes.max(1)).unwrap_or(usize::MAX);
        let threads = fit.clamp(1, rayon::current_num_threads());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|e| Error::settings("threads for labels", e.to_string()))
    }

    /// Classes of the voxels of a block of a volume, C order.
    pub(super) fn block(
        &self,
        volume: usize,
        number: u64,
        objects: &BTreeSet<u64>,
    ) -> Result<Vec<u8>> {
        let (source, block) = (&self.sources[volume], self.grids[volume].block(number));
        let radius = self.classes.radius.map(|r| r as u64);
        let around = BoundingBox::new(
            std::array::from_fn(|a| block.start[a] - radius[a]),
            std::array::from_fn(|a| block.end[a] + radius[a]),
        );
        let labels = source.read_labels(&around)?;
        let shape = block.shape().map(|s| s as usize);
        let mut classes = self.classes.block(&labels, shape, |label| objects.contains(&label));
        if let Some(mask) = source.read_mask(&block)? {
            let excluded = classes.iter_mut().zip(mask).filter(|(_, masked)| *masked);
            excluded.for_each(|(class, _)| *class = EXCLUDED);
        }
        Ok(classes)
    }

    fn count(&self, volume: usize, observer: &dyn Observer) -> Result<VolumeCensus> {
        let (grid, whole) =
            (&self.grids[volume], BlockGrid::new(self.sources[volume].roi, [BLOCK; 3])?);
        let total = grid.len() + whole.len();
        observer.notify(&Event::Started { stage: "labels", total, unit: Unit::Blocks });
        let started = std::time::Instant::now();
        let sizes = self.sizes(volume, &whole, observer)?;
        let name = self.sources[volume].labels.name();
        if sizes.is_empty() {
            let message = format!("no voxel above 0 in {}", self.sources[volume].roi);
            return Err(Error::settings(name, message));
        }
        let large = sizes.iter().filter(|(_, voxels)| **voxels >= self.min_size);
        let objects: BTreeSet<u64> = large.clone().map(|(label, _)| *label).collect();
        let labelled_voxels = large.map(|(_, voxels)| voxels).sum();
        if objects.is_empty() {
            let largest = sizes.values().max().copied().unwrap_or_default();
            let message = format!(
                "sampling.min_size: expected labels of at least {} voxels, the largest has {largest}",
                self.min_size
            );
            return Err(Error::settings(name, message));
        }
        let count = |number: u64| -> Result<Vec<u32>> {
            let mut counts = vec![0_u32; self.classes.count()];
            for class in self.block(volume, number, &objects)? {
                if let Some(count) = counts.get_mut(usize::from(class)) {
                    *count += 1;
                }
            }
            observer.notify(&Event::Advanced { by: 1, note: "" });
            Ok(counts)
        };
        let counts = (0..grid.len()).into_par_iter().map(count).collect::<Result<_>>()?;
        let seconds = started.elapsed().as_secs_f64();
        observer.notify(&Event::Finished { stage: "labels", seconds });
        Ok(VolumeCensus { objects, labelled_voxels, counts })
    }

    /// Voxels of each label above 0 of the region.
    fn sizes(
        &self,
        volume: usize,
        grid: &BlockGrid,
        observer: &dyn Observer,
    ) -> Result<FxHashMap<u64, u64>> {
        let source = &self.sources[volume];
        let of_block = |number: u64| -> Result<FxHashMap<u64, u64>> {
            let mut sizes = FxHashMap::default();
            for run in source.read_labels(&grid.block(number))?.chunk_by(|a, b| a == b) {
                if run[0] > 0 {
                    *sizes.entry(run[0]).or_insert(0) += run.len() as u64;
                }
            }
            observer.notify(&Event::Advanced { by: 1, note: "" });
            Ok(sizes)
        };
        let add = |mut all: FxHashMap<u64, u64>, part: FxHashMap<u64, u64>| {
            part.into_iter().for_each(|(label, voxels)| *all.entry(label).or_insert(0) += voxels);
            Ok(all)
        };
        (0..grid.len()).into_par_iter().map(of_block).try_reduce(FxHashMap::default, add)
    }

    fn digest(&self) -> Result<String> {
        let mut inputs = Inputs::default();
        let mut regions = Vec::new();
        for (source, grid) in self.sources.iter().zip(&self.grids) {
            inputs.metadata(source.labels.name())?;
            if let Some(mask) = &source.mask {
                inputs.metadata(mask.name())?;
            }
            regions.push((source.roi.to_string(), grid.region().to_string()));
        }
        let all = json!({
            "inputs": inputs.take_seen(),
            "regions": regions,
            "radius": self.classes.radius,
            "thresholds": self.classes.thresholds,
            "min_size": self.min_size,
            "block": BLOCK,
        });
        Ok(blake3::hash(all.to_string().as_bytes()).to_hex().to_string())
    }
}

/// The table of an earlier run, if it is there, whole, and of the same labels.
fn read(path: &Path, digest: &str) -> Option<Census> {
    let bytes =
        path.metadata().ok().filter(|m| m.len() <= MAX_BYTES).and(std::fs::read(path).ok())?;
    let census: Census = serde_json::from_slice(&bytes).ok()?;
    (census.digest == digest).then_some(census)
}

fn wrong(path: &Path, error: &serde_json::Error) -> Error {
    Error::settings(path.display().to_string(), error.to_string())
}
