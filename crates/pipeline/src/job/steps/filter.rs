//! A filter of every channel, block by block: the bits are those of the same filter of the whole.
//!
//! A filter that looks at neighbours reads a block with its halo. One that depends on the whole volume has
//! stages before: its statistics are counted and merged, CLAHE makes the mappings of its tiles, and distances
//! are passed on from axis to axis.

use exavox_compute::ops::distance_transform::DistancePasses;
use exavox_compute::ops::filter::{ClaheTiles, Filter, normalize_by};
use exavox_io::trace::{Activity, span};
use exavox_io::{BoundingBox, DataType, Volume, Voxels};
use serde::{Deserialize, Serialize};

use super::blockwise::Blockwise;
use super::codec::CodecName;
use super::finish::Finish;
use super::part_files::PartFiles;
use super::source::{Source, SourceSpec, voxels_of};
use super::{Layout, Step};
use crate::blocks::{BlockGrid, Stage, StagePlan};
use crate::convert::same_place;
use crate::error::Result;
use crate::filter::as_type;
use crate::job::{Inputs, SharedTarget, StageContext};
use distance::DistanceStep;
use mappings::Mappings;
use settings::{halo, sought};
use statistics::Statistics;

mod distance;
mod mappings;
mod settings;
mod statistics;

pub use settings::FilterSettings;

/// Voxels of a block where nothing is said: so many that its halo costs little.
const BLOCK_VOXELS: u64 = 1 << 24;

/// `run = "filter"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSpec {
    /// The volume to read.
    pub source: String,
    /// Which part of it. Default: all.
    #[serde(default)]
    pub part: SourceSpec,
    /// The volume to write.
    pub target: String,
    /// The filter.
    pub filter: FilterSettings,
    /// Element type of the result; integers are rounded and clipped, and results between 0 and 1 stretched
    /// to the type's highest value. Default: the filter's.
    pub dtype: Option<String>,
    /// Compression. Default: `zstd:3`.
    pub codec: Option<CodecName>,
    /// Chunks, shards and blocks of what is written. Default of a block: about 16 million voxels.
    #[serde(default)]
    pub layout: Layout,
}

/// The step, planned.
struct FilterStep {
    source: Source,
    filter: Filter,
    dtype: DataType,
    target: SharedTarget,
    grid: BlockGrid,
    statistics: Option<Statistics>,
    mappings: Option<Mappings>,
    kinds: Vec<Kind>,
    stages: Vec<StagePlan>,
}

/// What a stage does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Counts the blocks in a pass.
    Count(usize),
    /// Merges what was counted in a pass.
    Merge(usize),
    Mappings,
    Filter,
    Finish,
}

impl FilterSpec {
    pub(super) fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        let source = self.part.of(&self.source, inputs)?;
        same_place::refuse(&self.source, &self.target)?;
        let filter = self.filter.filter(source.metadata.voxel_size)?;
        let dtype = match &self.dtype {
            Some(name) => name.parse()?,
            None => filter.output_dtype(source.metadata.dtype),
        };
        let shape = source.region.shape();
        let layout = self.layout.with_blocks(shape, BLOCK_VOXELS);
        let grid = layout.grid(shape)?;
        let mut options = source.like(layout.options(dtype, shape));
        options.codec = self.codec.map_or(options.codec, |codec| codec.0);
        let target = SharedTarget::new(&self.target, options);
        inputs.plan(&self.target, source.planned(target.options()));
        if let Filter::Distance(options) = &filter {
            let whole = shape.map(|v| v as usize);
            let passes = DistancePasses::new(source.metadata.dtype, whole, *options)?;
            let step = DistanceStep::new(source, filter, passes, target, &self.layout)?;
            return Ok(Box::new(step));
        }
        let statistics =
            sought(&filter).map(|sought| Statistics::new(&source, sought)).transpose()?;
        let mappings = match &filter {
            Filter::Clahe(options) => Some(Mappings::new(&source, options)?),
            _ => None,
        };
        let (kinds, stages) = (Vec::new(), Vec::new());
        let mut step =
            FilterStep { source, filter, dtype, target, grid, statistics, mappings, kinds, stages };
        step.plan_stages();
        Ok(Box::new(step))
    }
}

impl FilterStep {
    fn plan_stages(&mut self) {
        let mut planned = Vec::new();
        if let Some(statistics) = &self.statistics {
            for pass in 0..statistics.passes() {
                planned.push((Kind::Count(pass), statistics.count_plan(&self.source, pass)));
                planned.push((Kind::Merge(pass), statistics.merge_plan(pass)));
            }
        }
        if let Some(mappings) = &self.mappings {
            planned.push((Kind::Mappings, mappings.plan(&self.source)));
        }
        planned.push((Kind::Filter, self.filter_plan()));
        planned.push((Kind::Finish, StagePlan::single("finish")));
        (self.kinds, self.stages) = planned.into_iter().unzip();
    }

    fn filter_plan(&self) -> StagePlan {
        let (block, halo) = (self.grid.block_shape(), halo(&self.filter));
        let shape = self.grid.region().shape();
        let wide: [u64; 3] = std::array::from_fn(|a| {
            block[a].saturating_add(halo[a].saturating_mul(2)).min(shape[a])
        });
        let (out, wide) = (voxels_of(block), voxels_of(wide));
        let (read, written) = (self.source.voxel_bytes(), self.dtype.size() as u64);
        let filtered = self.filter.output_dtype(self.source.metadata.dtype).size() as u64;
        let channels = self.source.channels.len() as u64;
        let near = self.mappings.as_ref().map_or(0, |mappings| mappings.near_bytes(block));
        StagePlan {
            blocks: self.grid.len(),
            voxels_per_block: out,
            // As read and as filtered, with the halo; without it, as cast and as its chunks are coded.
            bytes_per_block: wide
                .saturating_mul(read + filtered)
                .saturating_add(out.saturating_mul(filtered + 2 * written))
                .saturating_add(self.source.decoding_bytes())
                .saturating_add(near),
            read_bytes_per_block: wide.saturating_mul(read).saturating_mul(channels),
            write_bytes_per_block: out.saturating_mul(written).saturating_mul(channels),
            ..StagePlan::single("filter")
        }
    }

    /// The statistics of each channel; nothing for filters that need none.
    fn found(&self, context: &StageContext<'_>) -> Result<Vec<[f64; 2]>> {
        let channels = self.source.channels.len();
        let Some(statistics) = &self.statistics else { return Ok(vec![[0.0; 2]; channels]) };
        let surveys = statistics.surveys(&self.source, statistics.passes(), context)?;
        Ok(surveys.iter().map(|survey| survey.found().unwrap_or_default()).collect())
    }

    fn open_filter<'a>(&'a self, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        let volume = self.source.open(context)?;
        let found = self.found(context)?;
        let equaliser = match (&self.filter, &self.mappings) {
            (Filter::Clahe(options), Some(mappings)) => Some(Equaliser {
                tiles: mappings.tiles(&self.source, options, &found)?,
                files: mappings.files(context),
                mappings,
            }),
            _ => None,
        };
        let make = move |channel: usize, area: &BoundingBox| {
            let made = match (&self.filter, &equaliser) {
                (_, Some(equaliser)) => {
                    let voxels = self.source.read(&volume, channel, area)?;
                    let _span = span(Activity::Compute, area.start);
                    equaliser.equalise(&voxels, channel, area)?
                }
                (Filter::Normalize(method), _) => {
                    let voxels = self.source.read(&volume, channel, area)?;
                    let _span = span(Activity::Compute, area.start);
                    normalize_by(&voxels, *method, found[channel])?
                }
                _ => self.with_halo(&volume, channel, area)?,
            };
            as_type(made, &self.filter, self.dtype)
        };
        let durability = context.durability;
        Ok(Box::new(Blockwise::new(self.target.clone(), self.grid, durability, Box::new(make))))
    }

    /// Filters a box with its halo. Where the halo ends at the volume's border the filter sees what it would
    /// see there, and what it makes up beyond the other ends does not reach the box.
    fn with_halo(&self, volume: &Volume, channel: usize, area: &BoundingBox) -> Result<Voxels> {
        let (halo, end) = (halo(&self.filter), self.grid.region().end);
        let wide = BoundingBox {
            start: std::array::from_fn(|a| area.start[a].saturating_sub(halo[a])),
            end: std::array::from_fn(|a| area.end[a].saturating_add(halo[a]).min(end[a])),
        };
        let voxels = self.source.read(volume, channel, &wide)?;
        let _span = span(Activity::Compute, area.start);
        let filtered = self.filter.run(&voxels)?;
        drop(voxels);
        if wide == *area {
            return Ok(filtered);
        }
        let mut inner = Voxels::zeros(filtered.dtype(), area.shape().map(|v| v as usize))?;
        inner.copy_box([0; 3], &filtered, &area.relative_to(wide.start))?;
        Ok(inner)
    }
}

/// What CLAHE needs for a block: the tiles of each channel, and their mappings on disk.
struct Equaliser<'a> {
    tiles: Vec<ClaheTiles>,
    files: PartFiles,
    mappings: &'a Mappings,
}

impl Equaliser<'_> {
    fn equalise(&self, voxels: &Voxels, channel: usize, area: &BoundingBox) -> Result<Voxels> {
        let tiles = &self.tiles[channel];
        let near = tiles.near(area);
        let mappings = self.mappings.read(&self.files, channel, self.tiles.len(), &near)?;
        Ok(tiles.equalise(voxels, area.start, &near, &mappings)?)
    }
}

impl Step for FilterStep {
    fn stages(&self) -> &[StagePlan] {
        &self.stages
    }

    fn open<'a>(&'a self, stage: usize, context: &StageContext<'_>) -> Result<Box<dyn Stage + 'a>> {
        match (self.kinds[stage], &self.statistics, &self.mappings, &self.filter) {
            (Kind::Count(pass), Some(statistics), ..) => {
                statistics.open_count(&self.source, pass, context)
            }
            (Kind::Merge(pass), Some(statistics), ..) => {
                statistics.open_merge(&self.source, pass, context)
            }
            (Kind::Mappings, _, Some(mappings), Filter::Clahe(options)) => {
                mappings.open(&self.source, options, &self.found(context)?, context)
            }
            (Kind::Finish, ..) => Ok(Box::new(Finish(&self.target))),
            _ => self.open_filter(context),
        }
    }

    fn targets(&self) -> Vec<&SharedTarget> {
        vec![&self.target]
    }
}
