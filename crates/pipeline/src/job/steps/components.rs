//! Connected components of a volume that need not fit into memory.
//!
//! Every block is labelled on its own; labels of neighbouring blocks whose voxels touch are edges; the sets
//! that edges make are numbered by their first voxels, and every block is labelled once more, with the
//! numbers. Labelling a block costs less than writing and reading its labels would, so none are kept.
//! The result is that of [`crate::components::components`], bit for bit.

use std::path::Path;

use exavox_compute::ops::Connectivity;
use exavox_compute::ops::connected_components::{
    Components as Found, Foreground, bytes_needed, label_dtype, label_equal, label_mask,
};
use exavox_io::{BoundingBox, Volume, Voxels};
use serde::{Deserialize, Serialize};

use super::codec::CodecName;
use super::finish::Finish;
use super::part::{PartSpec, SourcePart};
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::components::Objects;
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::job::{Inputs, SharedTarget, StageContext};
use crate::reconcile::GlobalIds;

mod edges;
mod label;
mod number;
mod relabel;

pub use number::ComponentTotals;

use edges::{Edges, Union};
use label::Label;
use number::Number;

/// `run = "components"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentsSpec {
    /// The volume to read.
    pub source: String,
    /// The labels to write: `uint32`, or `uint64` from 2^32 voxels on.
    pub target: String,
    /// Which part of the source. Default: all of it.
    #[serde(default)]
    pub part: PartSpec,
    /// Values of the mask, `LOW:HIGH`, both included. Default: all but 0.
    pub range: Option<String>,
    /// Whether voxels belong together only if they have the same value, as in a volume of labels.
    #[serde(default)]
    pub multi_label: bool,
    /// Neighbours of a voxel: 6, 18 or 26.
    #[serde(default = "six")]
    pub connectivity: u8,
    /// Components of fewer voxels become background; the others are numbered without gaps.
    #[serde(default)]
    pub min_size: u64,
    /// Compression. Default: `zstd:3`.
    pub codec: Option<CodecName>,
    /// Chunks, shards and blocks of what is written.
    #[serde(default)]
    pub layout: Layout,
}

pub(super) fn six() -> u8 {
    6
}

/// The step, planned.
struct Components {
    part: SourcePart,
    objects: Objects,
    connectivity: Connectivity,
    min_voxels: u64,
    target: SharedTarget,
    grid: BlockGrid,
    ids: GlobalIds,
    stages: Vec<StagePlan>,
}

impl ComponentsSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        same_place::refuse(&self.source, &self.target)?;
        let part = self.part.of(&self.source, inputs)?;
        let connectivity: Connectivity = self.connectivity.to_string().parse()?;
        let objects = self.objects()?;
        // An empty range or a wrong type is found before anything is read.
        find(&Voxels::zeros(part.dtype(), [1; 3])?, objects, connectivity, part.name())?;
        let mut options = part.options(label_dtype(part.region().shape()), &self.layout);
        options.codec = self.codec.map_or(options.codec, |codec| codec.0);
        let grid = part.grid(&self.layout)?;
        let ids = GlobalIds::for_blocks(grid.len(), voxels_of(&grid))?;
        let target = SharedTarget::new(&self.target, options);
        inputs.plan(&self.target, target.metadata());
        let (min_voxels, stages) = (self.min_size, Vec::new());
        let mut step =
            Components { part, objects, connectivity, min_voxels, target, grid, ids, stages };
        step.stages = step.planned_stages();
        Ok(Box::new(step))
    }

    fn objects(&self) -> Result<Objects> {
        match (&self.range, self.multi_label) {
            (Some(_), true) => {
                let message = "either a range or multi_label";
                Err(Error::settings(&self.source, message))
            }
            (Some(range), false) => Ok(Objects::Mask(Foreground::Range(range.parse()?))),
            (None, true) => Ok(Objects::Equal),
            (None, false) => Ok(Objects::Mask(Foreground::NonZero)),
        }
    }
}

fn voxels_of(grid: &BlockGrid) -> u64 {
    grid.block_shape().iter().product()
}

/// Labels a block.
fn find(
    voxels: &Voxels,
    objects: Objects,
    connectivity: Connectivity,
    source: &str,
) -> Result<Found> {
    let found = match objects {
        Objects::Mask(foreground) => label_mask(voxels, foreground, connectivity),
        Objects::Equal => label_equal(voxels, connectivity),
    };
    found.map_err(|e| Error::settings(source, e.to_string()))
}

impl Components {
    fn planned_stages(&self) -> Vec<StagePlan> {
        let (voxels, size) = (voxels_of(&self.grid), self.part.dtype().size() as u64);
        let labelling = bytes_needed(self.part.dtype(), self.grid.block_shape())
            .saturating_add(self.part.bytes_per_block(0));
        let label = StagePlan {
            blocks: self.grid.len(),
            voxels_per_block: voxels,
            // Part and index of each label.
            bytes_per_block: labelling
                .saturating_add(20 * self.most_labels())
                .saturating_add(self.surface_bytes()),
            read_bytes_per_block: voxels * size,
            write_bytes_per_block: 4 * self.surface_voxels(),
            ..StagePlan::single("label")
        };
        let edges = StagePlan {
            blocks: edges::batches(self.grid.len()),
            // Two rounds of a block and its neighbours; pairs.
            bytes_per_block: 56 * self.surface_bytes() + 160 * self.surface_voxels() + (1 << 20),
            ..StagePlan::single("faces")
        };
        let external = |name| StagePlan { bytes_per_block: 34 << 20, ..StagePlan::single(name) };
        let label_size = self.target.options().dtype.size() as u64;
        let relabel = StagePlan {
            // The block as it is written, and its chunks as they are coded.
            bytes_per_block: labelling
                .saturating_add(24 * self.most_labels())
                .saturating_add(2 * label_size * voxels),
            write_bytes_per_block: label_size * voxels,
            name: "relabel".to_owned(),
            ..label.clone()
        };
        let finish = StagePlan::single("finish");
        vec![label, edges, external("union"), external("number"), relabel, finish]
    }

    /// Labels that a block can have: voxels that do not touch.
    fn most_labels(&self) -> u64 {
        let share = match (self.objects, self.connectivity) {
            (Objects::Equal, _) => 1,
            (_, Connectivity::Six) => 2,
            (_, Connectivity::Eighteen) => 4,
            (_, Connectivity::TwentySix) => 8,
        };
        // Blocks of odd shapes hold a few more.
        voxels_of(&self.grid) / share + self.surface_voxels()
    }

    fn surface_voxels(&self) -> u64 {
        let [z, y, x] = self.grid.block_shape();
        2 * (z * y + z * x + y * x)
    }

    /// Bytes of a surface at most.
    fn surface_bytes(&self) -> u64 {
        16 * self.surface_voxels()
    }

    fn find(&self, voxels: &Voxels) -> Result<Found> {
        find(voxels, self.objects, self.connectivity, self.part.name())
    }

    /// Reads and labels a block.
    fn label(&self, volume: &Volume, area: &BoundingBox) -> Result<(Voxels, Found)> {
        let voxels = self.part.read(volume, area)?;
        let found = self.find(&voxels)?;
        Ok((voxels, found))
    }
}

/// The folder of what is known of each block.
fn blocks_folder(data: &Path) -> std::path::PathBuf {
    data.join("blocks")
}

impl Step for Components {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        Ok(match stage {
            0 => Box::new(Label::open(self, context)?),
            1 => Box::new(Edges::new(self, context)),
            2 => Box::new(Union::new(self, context)),
            3 => Box::new(Number::new(self, context)),
            4 => Box::new(relabel::open(self, context)?),
            _ => Box::new(Finish(&self.target)),
        })
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }
}
