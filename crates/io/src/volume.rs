//! The one handle on a volume: open by name, read any region, create outputs.

use std::sync::Arc;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::format;
use crate::limits::Limits;
use crate::location::Location;
use crate::metadata::Metadata;
pub use crate::staging::WriteMode;
use crate::store::Directory;
use crate::trace::{Activity, span};
use crate::voxels::Voxels;

mod read_options;
#[cfg(feature = "remote")]
mod remote;
mod write_options;
mod writer;

pub use read_options::{FileAccess, OpenOptions};
pub use write_options::{Codec, Encoding, OmeVersion, WriteOptions, WriteOrder};
pub use writer::VolumeWriter;
pub(crate) use writer::Writer;

/// A format's side of a volume that can be read. Object safe; regions are checked by [`Volume`].
pub(crate) trait Reader: Send + Sync {
    fn metadata(&self) -> &Metadata;

    /// Fills `out`, whose type is the volume's and whose shape is the region's. `region` is not
    /// empty and lies inside the volume; `channel` exists. Only the chunks that touch the region
    /// are read.
    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()>;
}

/// A volume open for reading: `[channel, z, y, x]`, whatever the format. Regions can be read from
/// many threads at once. A clone is another handle on the same open volume and its cache.
#[derive(Clone)]
pub struct Volume {
    name: String,
    limits: Limits,
    scale: usize,
    time: usize,
    reader: Arc<dyn Reader>,
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume")
            .field("name", &self.name)
            .field("metadata", self.metadata())
            .finish()
    }
}

impl Volume {
    /// Opens a volume by name: `v.zarr`, `v.h5:raw`, `v.npy`, `v.raw:uint8:z,y,x`, `stack.tif`,
    /// `folder/`, `mosaic_{channel}_z{z}.tif`, `s3://bucket/v.zarr`, `https://host/v.n5/raw`,
    /// `precomputed://gs://bucket/segmentation`. Reads headers only.
    ///
    /// # Errors
    /// Names the file and what was expected against what was found.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_with(name, &OpenOptions::default())
    }

    /// Opens a volume by name with a scale, a time point or limits of one's own.
    ///
    /// # Errors
    /// As [`Volume::open`]; also if the scale or time point does not exist.
    pub fn open_with(name: &str, options: &OpenOptions) -> Result<Self> {
        let location: Location = name.parse()?;
        Self::from_reader(name, format::open(&location, options)?, options)
    }

    /// Opens a volume of many objects (Zarr, N5, precomputed) in a store of one's own.
    ///
    /// # Errors
    /// As [`Volume::open_with`].
    pub fn open_in(directory: &Directory, options: &OpenOptions) -> Result<Self> {
        let reader = format::open_directory(directory, None, options)?;
        Self::from_reader(&directory.place("").to_string(), reader, options)
    }

    fn from_reader(name: &str, reader: Box<dyn Reader>, options: &OpenOptions) -> Result<Self> {
        let metadata = reader.metadata();
        if metadata.shape.contains(&0) {
            let message = format!("volume of shape {:?} has no voxels", metadata.shape);
            return Err(Error::format(Place::new(name), message));
        }
        let mut scales = metadata.scales.clone();
        if let [only] = &mut scales[..] {
            only.voxel_size = metadata.voxel_size;
        }
        let scale = options.scale.index_in(&scales, &Place::new(name))?;
        let (name, limits) = (name.to_owned(), options.limits.clone());
        Ok(Self { name, limits, scale, time: options.time, reader: reader.into() })
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Index of the scale of a pyramid that is open, 0 = finest.
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// Index of the time point that is open.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Shape, type, voxel size and storage of the volume.
    pub fn metadata(&self) -> &Metadata {
        self.reader.metadata()
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [u64; 3] {
        self.metadata().shape
    }

    /// Reads a region of one channel into a new block of the region's shape.
    ///
    /// # Errors
    /// [`Error::Usage`] if the region or channel is outside, [`Error::LimitExceeded`] if the region
    /// is too large, [`Error::Format`] if a chunk is damaged or missing.
    pub fn read(&self, channel: usize, region: &BoundingBox) -> Result<Voxels> {
        let place = Place::new(&self.name);
        region.check_inside(self.shape(), &self.name)?;
        self.limits.check_region(&region.shape(), self.metadata().dtype.size(), &place)?;
        let mut out = Voxels::zeros(self.metadata().dtype, region.shape().map(|v| v as usize))?;
        self.read_into(channel, region, &mut out)?;
        Ok(out)
    }

    /// Reads a region of one channel into a block that is there, whose shape must be the region's.
    ///
    /// # Errors
    /// As [`Volume::read`]; [`Error::Usage`] also if shape or type of the block is another.
    pub fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        region.check_inside(self.shape(), &self.name)?;
        let channels = self.metadata().channels.len();
        if channel >= channels {
            let message = format!("channel {channel} does not exist, there are {channels}");
            return Err(Error::usage(Place::new(&self.name), message));
        }
        let expected = (self.metadata().dtype, region.shape().map(|v| v as usize));
        if (out.dtype(), out.shape()) != expected {
            let found = (out.dtype(), out.shape());
            let message = format!("buffer: expected {expected:?}, found {found:?}");
            return Err(Error::usage(Place::new(&self.name), message));
        }
        let _span = span(Activity::Read, region.start);
        self.reader.read_into(channel, region, out)
    }
}
