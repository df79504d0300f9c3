//! Statistics of whole channels: blocks are counted, and what was counted merged, once for each pass.

use exavox_compute::ops::filter::{Sought, Survey, Tally};

use super::super::part_files::{PartFiles, PartStage, joined, split};
use super::super::source::{Source, voxels_of};
use crate::blocks::{BlockGrid, Stage, StagePlan, fitting_block};
use crate::error::Result;
use crate::job::StageContext;

/// Voxels of a block: few enough to go on with soon after a kill, so many that their counts are small beside
/// them.
const BLOCK_VOXELS: u64 = 1 << 24;
/// Voxels that are read at once.
const SLAB_VOXELS: u64 = 1 << 21;
/// Bytes of the counts of a thread at most.
const TALLY_BYTES: u64 = 4 << 20;

/// What is counted, and in which blocks.
#[derive(Debug)]
pub(super) struct Statistics {
    sought: Sought,
    grid: BlockGrid,
    slab: [u64; 3],
    passes: usize,
}

impl Statistics {
    /// Of all channels of a source.
    pub(super) fn new(source: &Source, sought: Sought) -> Result<Self> {
        let (shape, chunk) = (source.region.shape(), source.metadata.chunk_shape);
        let grid = BlockGrid::new(
            exavox_io::BoundingBox::whole(shape),
            fitting_block(shape, chunk, BLOCK_VOXELS),
        )?;
        let slab = fitting_block(grid.block_shape(), chunk, SLAB_VOXELS);
        let passes = Survey::new(sought, source.metadata.dtype).passes();
        Ok(Self { sought, grid, slab, passes })
    }

    /// Passes over the volume.
    pub(super) fn passes(&self) -> usize {
        self.passes
    }

    /// The stage in which a pass counts.
    pub(super) fn count_plan(&self, source: &Source, pass: usize) -> StagePlan {
        let (size, channels) = (source.voxel_bytes(), source.channels.len() as u64);
        let voxels = voxels_of(self.grid.block_shape());
        StagePlan {
            blocks: self.grid.len(),
            voxels_per_block: voxels,
            bytes_per_block: voxels_of(self.slab)
                .saturating_mul(size)
                .saturating_add(source.decoding_bytes())
                .saturating_add(3 * TALLY_BYTES + channels.saturating_mul(1 << 20)),
            read_bytes_per_block: voxels.saturating_mul(size).saturating_mul(channels),
            ..StagePlan::single(&self.name("statistics", pass))
        }
    }

    /// The stage in which what a pass has counted is merged.
    pub(super) fn merge_plan(&self, pass: usize) -> StagePlan {
        let bytes_per_block = 4 * TALLY_BYTES;
        StagePlan { bytes_per_block, ..StagePlan::single(&self.name("merge", pass)) }
    }

    fn name(&self, name: &str, pass: usize) -> String {
        if self.passes == 1 { name.to_owned() } else { format!("{name}-{}", pass + 1) }
    }

    fn files(&self, name: &str, pass: usize, context: &StageContext<'_>) -> PartFiles {
        PartFiles::new(context.data.join(self.name(name, pass)), context.durability)
    }

    /// The surveys of all channels after some passes.
    pub(super) fn surveys(
        &self,
        source: &Source,
        passes: usize,
        context: &StageContext<'_>,
    ) -> Result<Vec<Survey>> {
        let survey = Survey::new(self.sought, source.metadata.dtype);
        let mut surveys = vec![survey; source.channels.len()];
        for pass in 0..passes {
            let merged = self.files("merge", pass, context);
            let tallies = tallies(&merged, 0, surveys.len())?;
            surveys.iter_mut().zip(&tallies).for_each(|(survey, tally)| survey.advance(tally));
        }
        Ok(surveys)
    }

    /// Opens a stage that counts.
    pub(super) fn open_count<'a>(
        &'a self,
        source: &'a Source,
        pass: usize,
        context: &StageContext<'_>,
    ) -> Result<Box<dyn Stage + 'a>> {
        let (volume, surveys) = (source.open(context)?, self.surveys(source, pass, context)?);
        let make = move |block: u64| {
            let mut parts = Vec::new();
            for (channel, survey) in surveys.iter().enumerate() {
                let mut all = survey.none();
                for slab in self.grid.block(block).tiles(self.slab) {
                    all.merge(&survey.tally(&source.read(&volume, channel, &slab)?)?);
                }
                parts.push(all.to_bytes());
            }
            Ok(joined(&parts))
        };
        Ok(Box::new(PartStage {
            files: self.files("statistics", pass, context),
            make: Box::new(make),
            describe: Box::new(move |block| self.grid.block(block).to_string()),
        }))
    }

    /// Opens the stage that merges.
    pub(super) fn open_merge<'a>(
        &'a self,
        source: &'a Source,
        pass: usize,
        context: &StageContext<'_>,
    ) -> Result<Box<dyn Stage + 'a>> {
        let counted = self.files("statistics", pass, context);
        let surveys = self.surveys(source, pass, context)?;
        let make = move |_: u64| {
            let mut all: Vec<Tally> = surveys.iter().map(Survey::none).collect();
            for block in 0..self.grid.len() {
                let tallies = tallies(&counted, block, all.len())?;
                all.iter_mut().zip(&tallies).for_each(|(all, tally)| all.merge(tally));
            }
            Ok(joined(&all.iter().map(Tally::to_bytes).collect::<Vec<_>>()))
        };
        Ok(Box::new(PartStage {
            files: self.files("merge", pass, context),
            make: Box::new(make),
            describe: Box::new(move |_| source.name.clone()),
        }))
    }
}

/// The tallies of all channels that a block has left.
fn tallies(files: &PartFiles, block: u64, channels: usize) -> Result<Vec<Tally>> {
    let bytes = files.read(block)?;
    let parts = split(&bytes, channels).ok_or_else(|| files.damaged(block))?;
    parts
        .into_iter()
        .map(|part| Tally::from_bytes(part).ok_or_else(|| files.damaged(block)))
        .collect()
}
