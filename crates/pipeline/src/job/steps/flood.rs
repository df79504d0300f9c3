//! Seeded flood fill of a volume that need not fit into memory, and of which only the blocks are read that
//! the flood comes to.
//!
//! A block that the flood comes to is read once and its components are found; what is kept of it are their
//! labels on its six sides. Over these the flood goes on from block to block. When it has come to its end,
//! the blocks it has reached are read once more and painted. The result is that of
//! [`crate::flood::flood`], bit for bit.

use std::collections::BTreeMap;
use std::path::Path;

use exavox_compute::ops::connected_components::{
    Components as Found, Foreground, bytes_needed, label_mask,
};
use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::{BoundingBox, Volume, Voxels};
use serde::{Deserialize, Serialize};

use super::codec::CodecName;
use super::components::six;
use super::finish::Finish;
use super::part::{PartSpec, SourcePart};
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::flood::{FloodSeed, label_type, seeds_from_csv};
use crate::job::{Inputs, SharedTarget, StageContext};

mod paint;
mod reach;
mod states;

pub use reach::FloodTotals;

use reach::Reach;

/// Memory that stage `reach` takes besides that of a block.
const STATES_BYTES: u64 = 16 << 20;

/// `run = "flood"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloodSpec {
    /// The volume to read.
    pub source: String,
    /// The labels to write: `uint8`, or `uint32` if a seed has a label above 255.
    pub target: String,
    /// Which part of the source. Default: all of it.
    #[serde(default)]
    pub part: PartSpec,
    /// Values that are flooded, `LOW:HIGH`, both included.
    pub range: String,
    /// Where floods start: `{ position_zyx = [1, 2, 3], label = 5 }`, voxels of the source; without a
    /// label it is 1. Where seeds of several labels lie in one object, the first of them takes it.
    #[serde(default)]
    pub seeds: Vec<FloodSeed>,
    /// More seeds, from a CSV file: `z,y,x` or `z,y,x,label` in each line.
    pub seed_file: Option<String>,
    /// Neighbours of a voxel: 6, 18 or 26.
    #[serde(default = "six")]
    pub connectivity: u8,
    /// Voxels that may be reached; a flood that goes further has leaked and is stopped.
    pub max_voxels: Option<u64>,
    /// Compression. Default: `zstd:3`.
    pub codec: Option<CodecName>,
    /// Chunks, shards and blocks of what is written.
    #[serde(default)]
    pub layout: Layout,
}

/// The step, planned.
struct Flood {
    part: SourcePart,
    range: ValueRange,
    connectivity: Connectivity,
    max_voxels: Option<u64>,
    seeds: Vec<FloodSeed>,
    target: SharedTarget,
    grid: BlockGrid,
    stages: Vec<StagePlan>,
}

impl FloodSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        same_place::refuse(&self.source, &self.target)?;
        let part = self.part.of(&self.source, inputs)?;
        let (range, connectivity) = (self.range.parse()?, self.connectivity.to_string().parse()?);
        let seeds = self.all_seeds(&part, inputs)?;
        let mut options = part.options(label_type(&seeds), &self.layout);
        options.codec = self.codec.map_or(options.codec, |codec| codec.0);
        let grid = part.grid(&self.layout)?;
        let target = SharedTarget::new(&self.target, options);
        inputs.plan(&self.target, target.metadata());
        let (max_voxels, stages) = (self.max_voxels, Vec::new());
        let mut step = Flood { part, range, connectivity, max_voxels, seeds, target, grid, stages };
        // A range without values of the type is found before anything is read.
        step.find(&Voxels::zeros(step.part.dtype(), [1; 3])?)?;
        step.stages = step.planned_stages();
        Ok(Box::new(step))
    }

    fn all_seeds(&self, part: &SourcePart, inputs: &mut Inputs) -> Result<Vec<FloodSeed>> {
        let mut seeds = self.seeds.clone();
        if let Some(file) = &self.seed_file {
            inputs.file(Path::new(file));
            seeds.extend(seeds_from_csv(Path::new(file))?);
        }
        let wrong = |message: String| Err(Error::settings(part.name(), message));
        let region = part.region();
        if seeds.is_empty() {
            return wrong("no seed to flood from".to_owned());
        }
        for FloodSeed { position_zyx: [z, y, x], label } in &seeds {
            if !region.contains(&BoundingBox::from_start_shape([*z, *y, *x], [1; 3])) {
                return wrong(format!("seed {z},{y},{x} lies outside of {region}"));
            }
            if *label == 0 {
                return wrong(format!("seed {z},{y},{x}: label 0 is background"));
            }
        }
        Ok(seeds)
    }
}

impl Flood {
    fn planned_stages(&self) -> Vec<StagePlan> {
        let [z, y, x] = self.grid.block_shape();
        let (voxels, sides) = (z * y * x, 2 * (z * y + z * x + y * x));
        let labelling = bytes_needed(self.part.dtype(), self.grid.block_shape())
            .saturating_add(self.part.bytes_per_block(0));
        let reach = StagePlan {
            // Sizes of all labels; a surface and its copies.
            bytes_per_block: labelling
                .saturating_add(6 * voxels)
                .saturating_add(64 * sides + STATES_BYTES),
            ..StagePlan::single("reach")
        };
        let size = self.target.options().dtype.size() as u64;
        let paint = StagePlan {
            blocks: self.grid.len(),
            voxels_per_block: voxels,
            // Numbers of all labels; the block as it is written, and its chunks as they are coded.
            bytes_per_block: labelling.saturating_add((2 + 2 * size) * voxels),
            read_bytes_per_block: voxels * self.part.dtype().size() as u64,
            write_bytes_per_block: voxels * size,
            ..StagePlan::single("paint")
        };
        vec![reach, paint, StagePlan::single("finish")]
    }

    fn find(&self, voxels: &Voxels) -> Result<Found> {
        label_mask(voxels, Foreground::Range(self.range), self.connectivity)
            .map_err(|e| Error::settings(self.part.name(), e.to_string()))
    }

    /// Reads and labels a block.
    fn label(&self, volume: &Volume, area: &BoundingBox) -> Result<Found> {
        self.find(&self.part.read(volume, area)?)
    }

    /// Seeds by block, each with its voxel in the block; in the order in which they were given.
    fn seeds_by_block(&self) -> BTreeMap<u64, Vec<(usize, usize)>> {
        let mut found: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
        let shape = self.grid.block_shape();
        for (n, seed) in self.seeds.iter().enumerate() {
            let start = self.part.region().start;
            let at: [u64; 3] = std::array::from_fn(|a| seed.position_zyx[a] - start[a]);
            let block = self.grid.number(std::array::from_fn(|a| at[a] / shape[a]));
            let [_, ny, nx] = self.grid.block(block).shape();
            let [z, y, x] = std::array::from_fn(|a| at[a] % shape[a]);
            found.entry(block).or_default().push((n, ((z * ny + y) * nx + x) as usize));
        }
        found
    }
}

impl Step for Flood {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        Ok(match stage {
            0 => Box::new(Reach::open(self, context)?),
            1 => Box::new(paint::open(self, context)?),
            _ => Box::new(Finish(&self.target)),
        })
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }
}
