//! What a step reads: channels of a region of a volume.

use exavox_io::volume::FileAccess;
use exavox_io::{BoundingBox, Metadata, OpenOptions, Volume, Voxels, WriteOptions};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::{Inputs, StageContext};
use crate::selection::{channels_of, region_of};

/// Decoded chunks take at most this share of the memory.
const CACHE_SHARE: u64 = 16;

/// Which part of a volume a step reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSpec {
    /// Scale of a pyramid, 0 = finest.
    pub scale: usize,
    /// Time point of a volume with a time axis.
    pub time: usize,
    /// Names or numbers of channels, in the order of the output. Default: all.
    pub channels: Vec<String>,
    /// `z0:z1,y0:y1,x0:x1`; an end may be left out. Default: the whole volume.
    pub region: Option<String>,
}

/// A part of a volume that is there or will be. Boxes are counted from its first voxel.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    open: OpenOptions,
    /// Of the volume, in the order of the output.
    pub(super) channels: Vec<usize>,
    pub(super) region: BoundingBox,
    pub(super) metadata: Metadata,
}

impl SourceSpec {
    /// The part of a volume.
    pub(super) fn of(&self, name: &str, inputs: &mut Inputs) -> Result<Source> {
        let choose = |names: &[String]| channels_of(name, names, &self.channels);
        Source::of(name, inputs, [self.scale, self.time], choose, self.region.as_deref())
    }
}

impl Source {
    /// Channels and a region of a volume at a scale and a time point.
    pub(super) fn of(
        name: &str,
        inputs: &mut Inputs,
        [scale, time]: [usize; 2],
        choose: impl Fn(&[String]) -> Result<Vec<usize>>,
        region: Option<&str>,
    ) -> Result<Self> {
        let open = OpenOptions::default().with_scale(scale).with_time(time);
        let metadata = inputs.metadata_with(name, &open)?;
        let channels = choose(&metadata.channels)?;
        let region = region_of(name, metadata.shape, region.map(str::parse).transpose()?)?;
        Ok(Self { name: name.to_owned(), open, channels, region, metadata })
    }

    /// A target with the same channels and voxels as large.
    pub(super) fn like(&self, options: WriteOptions) -> WriteOptions {
        let names = self.channels.iter().map(|c| self.metadata.channels[*c].clone()).collect();
        options.with_channels(names).with_voxel_size(self.metadata.voxel_size)
    }

    /// What later steps know of a volume with these options.
    pub(super) fn planned(&self, options: &WriteOptions) -> Metadata {
        let mut planned = Metadata::new(&self.metadata.format, options.dtype, options.shape);
        planned.chunk_shape = options.chunk_shape.unwrap_or(self.metadata.chunk_shape);
        planned.voxel_size = options.voxel_size;
        planned.channels.clone_from(&options.channels);
        planned
    }

    /// Bytes of the chunks that are decoded while a box is read.
    pub(super) fn decoding_bytes(&self) -> u64 {
        self.metadata.chunk_shape.iter().fold(2 * self.voxel_bytes(), |n, v| n.saturating_mul(*v))
    }

    /// Bytes of a voxel.
    pub(super) fn voxel_bytes(&self) -> u64 {
        self.metadata.dtype.size() as u64
    }

    /// Opens the volume.
    pub(super) fn open(&self, context: &StageContext<'_>) -> Result<Volume> {
        let cache = self.open.cache_bytes.min(context.memory_bytes / CACHE_SHARE);
        // Pages of a mapping would count as memory of the process.
        let open = self.open.clone().with_cache_bytes(cache).with_file_access(FileAccess::Read);
        Ok(Volume::open_with(&self.name, &open)?)
    }

    /// Reads a box of a channel of the output.
    pub(super) fn read(
        &self,
        volume: &Volume,
        channel: usize,
        area: &BoundingBox,
    ) -> Result<Voxels> {
        let start = std::array::from_fn(|a| self.region.start[a] + area.start[a]);
        let area = BoundingBox::from_start_shape(start, area.shape());
        Ok(volume.read(self.channels[channel], &area)?)
    }
}

/// Voxels of a shape; saturates.
pub(super) fn voxels_of(shape: [u64; 3]) -> u64 {
    shape.into_iter().fold(1, u64::saturating_mul)
}
