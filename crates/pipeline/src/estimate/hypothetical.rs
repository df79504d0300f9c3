//! Stages of a volume that need not exist, from its shape alone.

use exavox_io::DataType;

use super::distribution::Distribution;
use super::grid::BlockGrid;
use super::label_space::LabelSpace;
use super::stage::StageModel;
use crate::error::{Error, Result};

mod assumptions;
mod checks;
mod labels;
mod memory;
mod merges;
mod pyramid;
mod segment;
mod single;
mod work;

pub use work::{ComputeRate, Work};

/// A volume that need not exist, and what is to be done with it. Shapes are in voxels along z, y, x.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothetical {
    /// What is to be done.
    pub work: Work,
    /// Voxels of the volume.
    pub shape_zyx: [u64; 3],
    /// Type of its values.
    pub dtype: DataType,
    /// Chunks of the output.
    pub chunk_zyx: [u64; 3],
    /// Shards of the output, a multiple of the chunk.
    pub shard_zyx: Option<[u64; 3]>,
    /// Blocks of all stages but inference, a multiple of what is written as one piece; if not given, the
    /// smallest one of at least 256 voxels along each axis.
    pub block_zyx: Option<[u64; 3]>,
    /// Blocks of inference.
    pub subvolume_zyx: [u64; 3],
    /// Voxels that neighbouring subvolumes share.
    pub overlap_zyx: [u64; 3],
    /// Voxels that a filter reads around a block.
    pub halo_zyx: [u64; 3],
    /// Levels of the pyramid; if not given, until a level is a single block for labels, none for the
    /// rest.
    pub levels: Option<u32>,
    /// How fast a slot is, if that is known.
    pub rate: Option<ComputeRate>,
    /// Standard deviation of the time of a block, as a share of its mean.
    pub spread: f64,
    /// How many times smaller the image is in the store.
    pub image_compression: f64,
    /// How many times smaller labels are in the store.
    pub label_compression: f64,
}

impl Hypothetical {
    /// Work on a volume with defaults for the rest: chunks of 64^3, subvolumes of 512^3 that share 64
    /// voxels, a halo of 8.
    pub fn new(work: Work, shape_zyx: [u64; 3], dtype: DataType) -> Self {
        Self {
            work,
            shape_zyx,
            dtype,
            chunk_zyx: [64; 3],
            shard_zyx: None,
            block_zyx: None,
            subvolume_zyx: [512; 3],
            overlap_zyx: [64; 3],
            halo_zyx: [8; 3],
            levels: None,
            rate: None,
            spread: 0.25,
            image_compression: 1.0,
            label_compression: 10.0,
        }
    }

    /// The stages, counted by arithmetic: the size of the volume costs nothing.
    ///
    /// # Errors
    ///
    /// If a shape is 0 or does not fit to another one, if a rate is not one of this work, or if there
    /// are more labels than 63 bits can number.
    pub fn stages(&self) -> Result<Vec<StageModel>> {
        self.check()?;
        self.label_space()?;
        let mut stages = match self.work {
            Work::Segment => segment::stages(self)?,
            Work::Components => labels::stages(self)?,
            Work::Filter => vec![single::filter(self)?],
            Work::Project => vec![single::project(self)?],
            Work::Convert => vec![single::convert(self)?],
            Work::Downsample => Vec::new(),
        };
        stages.extend(pyramid::stages(self)?);
        if stages.is_empty() {
            let message = "the volume is a single block, and no levels are asked for";
            return Err(Error::settings("pyramid", message));
        }
        Ok(stages)
    }

    /// How labels are numbered; `None` if the work makes none.
    ///
    /// # Errors
    ///
    /// If there are more labels than 63 bits can number.
    pub fn label_space(&self) -> Result<Option<LabelSpace>> {
        if !self.work.makes_labels() {
            return Ok(None);
        }
        let (grid, block) = match self.work {
            Work::Segment => (self.subvolumes()?, self.subvolume_zyx),
            _ => (self.blocks()?, self.block()?),
        };
        LabelSpace::new(grid.blocks(), self.voxels_within(block)).map(Some)
    }

    /// Voxels of a block of this shape, as far as the volume goes.
    fn voxels_within(&self, block_zyx: [u64; 3]) -> u128 {
        let inside = (0..3).map(|a| u128::from(block_zyx[a].min(self.shape_zyx[a])));
        inside.fold(1, u128::saturating_mul)
    }

    /// Voxels of the volume.
    pub fn voxels(&self) -> u128 {
        self.voxels_within([u64::MAX; 3])
    }

    /// Bytes of the volume, not compressed.
    pub fn bytes(&self) -> u128 {
        self.voxels().saturating_mul(self.dtype.size() as u128)
    }

    fn subvolumes(&self) -> Result<BlockGrid> {
        BlockGrid::new(self.shape_zyx, self.subvolume_zyx, self.overlap_zyx)
    }

    fn blocks(&self) -> Result<BlockGrid> {
        BlockGrid::new(self.shape_zyx, self.block()?, [0; 3])
    }

    /// What is written as one piece.
    fn granule(&self) -> [u64; 3] {
        self.shard_zyx.unwrap_or(self.chunk_zyx)
    }

    /// The blocks of all stages but inference.
    fn block(&self) -> Result<[u64; 3]> {
        let granule = self.granule();
        let Some(block) = self.block_zyx else {
            return Ok(granule.map(|g| USUAL_EDGE.div_ceil(g).saturating_mul(g)));
        };
        match (0..3).find(|a| block[*a] % granule[*a] != 0 && block[*a] < self.shape_zyx[*a]) {
            Some(axis) => Err(Error::settings(
                "block",
                format!(
                    "{} voxels along {}, a multiple of the {} that are written as one piece was \
                     expected",
                    block[axis],
                    ["z", "y", "x"][axis],
                    granule[axis]
                ),
            )),
            None => Ok(block),
        }
    }

    /// The distribution around a mean.
    fn times(&self, mean_seconds: f64) -> Distribution {
        Distribution::from_mean(mean_seconds, self.spread)
    }

    /// Times of the first stage: as they were given, or from an assumed number of voxels a second.
    fn first_times(&self, voxels_per_block: f64, voxels_per_second: f64) -> Distribution {
        self.times(match self.rate {
            Some(ComputeRate::SecondsPerBlock(seconds)) => seconds,
            _ => voxels_per_block / voxels_per_second,
        })
    }

    fn image_bytes(&self, voxels: u128) -> u128 {
        stored(voxels, self.dtype.size(), self.image_compression)
    }

    fn label_bytes(&self, voxels: u128, size: usize) -> u128 {
        stored(voxels, size, self.label_compression)
    }
}

/// Edges of blocks that are not too small to be worth their marker, and not too large for memory.
const USUAL_EDGE: u64 = 256;

/// Bytes in the store of voxels of a size.
fn stored(voxels: u128, size: usize, compression: f64) -> u128 {
    let bytes = voxels.saturating_mul(size as u128);
    if compression == 1.0 { bytes } else { (bytes as f64 / compression) as u128 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(stages: &[StageModel]) -> Vec<&str> {
        stages.iter().map(|s| s.name.as_str()).collect()
    }

    #[test]
    fn small_volumes_need_no_reconciliation() {
        let mut one = Hypothetical::new(Work::Segment, [250; 3], DataType::U8);
        assert_eq!(names(&one.stages().unwrap()), ["infer", "relabel"]);
        one.subvolume_zyx = [160; 3];
        let stages = one.stages().unwrap();
        assert_eq!(names(&stages), ["infer", "faces", "union 1", "relabel"]);
        assert_eq!((stages[0].blocks, stages[2].blocks), (8, 1));
        assert_eq!(stages[0].read_bytes, 314_u128.pow(3));
    }

    #[test]
    fn pyramids_end_with_a_single_block() {
        let mut plan = Hypothetical::new(Work::Downsample, [1000, 500, 2000], DataType::U16);
        let stages = plan.stages().unwrap();
        assert_eq!(names(&stages), ["downsample 1", "downsample 2", "downsample 3"]);
        assert_eq!([stages[0].blocks, stages[1].blocks, stages[2].blocks], [2 * 4, 2, 1]);
        assert_eq!(stages[1].read_bytes, 2 * 500 * 250 * 1000);
        plan.levels = Some(0);
        assert!(plan.stages().unwrap_err().to_string().contains("no levels"));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let good = Hypothetical::new(Work::Convert, [1000; 3], DataType::U8);
        let wrong = |plan: Hypothetical| plan.stages().unwrap_err().to_string();
        let block = Hypothetical { block_zyx: Some([64, 100, 64]), ..good.clone() };
        assert!(wrong(block).contains("100 voxels along y"));
        let shard = Hypothetical { shard_zyx: Some([100; 3]), ..good.clone() };
        assert!(wrong(shard).contains("no multiple of the chunk"));
        let rate = Some(ComputeRate::StepsPerSecond(3.0));
        assert!(wrong(Hypothetical { rate, ..good.clone() }).contains("convert runs no network"));
        let overlap =
            Hypothetical { work: Work::Segment, overlap_zyx: [64, 0, 64], ..good.clone() };
        assert!(wrong(overlap).contains("along y"));
        let huge = Hypothetical { work: Work::Segment, shape_zyx: [4_000_000; 3], ..good };
        assert!(wrong(huge).contains("labels below 2^63"));
    }
}
