//! The one handle on a volume: open by name, read any region, create outputs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bounding_box::BoundingBox;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format;
use crate::geometry::VoxelSize;
use crate::limits::Limits;
use crate::location::{ArrayFormat, Location};
use crate::metadata::{Metadata, ScaleChoice};
pub use crate::staging::WriteMode;
use crate::store::{Directory, Durability};
use crate::voxels::Voxels;

#[cfg(feature = "remote")]
mod remote;

/// A format's side of a volume that can be read. Object safe; regions are checked by [`Volume`].
pub(crate) trait Reader: Send + Sync {
    fn metadata(&self) -> &Metadata;

    /// Fills `out`, whose type is the volume's and whose shape is the region's. `region` is not
    /// empty and lies inside the volume; `channel` exists. Only the chunks that touch the region
    /// are read.
    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()>;
}

/// A format's side of a volume that is being written.
pub(crate) trait Writer: Send + Sync {
    /// Writes a block; `voxels` has the volume's type, the box lies inside and, where
    /// [`Writer::granule`] says so, is aligned.
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()>;

    /// Blocks must start at multiples of this and have this shape, except at the volume's end.
    fn granule(&self) -> [u64; 3];

    /// The order in which blocks must come.
    fn order(&self) -> WriteOrder;

    /// Makes the output visible under its final name. All blocks have been written.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// How to open a volume.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Bounds on memory that the file's header can ask for.
    pub limits: Limits,
    /// Scale of a pyramid. Default: the finest.
    pub scale: ScaleChoice,
    /// Time point of a volume that has a time axis.
    pub time: usize,
    /// Bytes of decoded chunks to keep for the next read, in formats made of compressed chunks. Chunks
    /// that a region takes whole are not kept. Default 64 MiB.
    pub cache_bytes: u64,
    /// How files of bare values (NPY, raw) are read.
    pub file_access: FileAccess,
}

/// How a file of bare values is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileAccess {
    /// Mapped into memory. Its pages count as memory of the process, though the system takes them
    /// back when it needs them.
    #[default]
    Mapped,
    /// By ordinary reads: for programs whose resident memory is bounded from outside.
    Read,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            scale: ScaleChoice::default(),
            time: 0,
            cache_bytes: 64 << 20,
            file_access: FileAccess::default(),
        }
    }
}

impl OpenOptions {
    /// Sets the scale of a pyramid, 0 = finest.
    #[must_use]
    pub fn with_scale(mut self, scale: usize) -> Self {
        self.scale = ScaleChoice::Index(scale);
        self
    }

    /// Chooses the scale of a pyramid by the size of its voxels, see [`ScaleChoice`].
    #[must_use]
    pub fn with_scale_of(mut self, voxel_size: VoxelSize) -> Self {
        self.scale = ScaleChoice::VoxelSize(voxel_size);
        self
    }

    /// Sets the bound on decoded chunks that are kept.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets how files of bare values are read.
    #[must_use]
    pub fn with_file_access(mut self, access: FileAccess) -> Self {
        self.file_access = access;
        self
    }

    /// Sets the time point of a volume that has a time axis.
    #[must_use]
    pub fn with_time(mut self, time: usize) -> Self {
        self.time = time;
        self
    }

    /// Sets the bounds on memory.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
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
        self.reader.read_into(channel, region, out)
    }
}

/// Description of a volume to be created.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Element type.
    pub dtype: DataType,
    /// Voxels along z, y and x.
    pub shape: [u64; 3],
    /// Names of the channels; at least one.
    pub channels: Vec<String>,
    /// Edge lengths of a voxel.
    pub voxel_size: Option<VoxelSize>,
    /// Chunk shape `[z, y, x]` for chunked formats; `None` = the format's default.
    pub chunk_shape: Option<[u64; 3]>,
    /// Shard shape `[z, y, x]` for OME-Zarr 0.5 and precomputed; `None` = no shards.
    pub shard_shape: Option<[u64; 3]>,
    /// Encoding of chunks before compression, where the format has a choice (precomputed).
    pub encoding: Encoding,
    /// Compression.
    pub codec: Codec,
    /// When written chunks are safe.
    pub durability: Durability,
    /// Version of OME-Zarr, where that is the format.
    pub ome: OmeVersion,
    /// What to do with an output that is there already.
    pub mode: WriteMode,
    /// Attributes to be kept with the volume where the format has room for them (Zarr).
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Encoding of the voxels of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// One value after the other.
    #[default]
    Raw,
    /// Neuroglancer's block-wise table look-up, for labels of `uint32` and `uint64`.
    CompressedSegmentation,
    /// A PNG image, for `uint8` and `uint16`.
    Png,
}

/// Version of the OME-Zarr metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OmeVersion {
    /// 0.4, on Zarr v2: read by everything.
    #[default]
    V04,
    /// 0.5, on Zarr v3: can have shards.
    V05,
}

/// The order in which the blocks of a volume must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOrder {
    /// Any order, from many threads.
    Any,
    /// C order of (z, y, x) within a channel; channels in any order, each from a thread of its own.
    WithinChannel,
    /// C order of (channel, z, y, x), one block after the other.
    Strict,
}

/// Compression of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// None.
    Raw,
    /// Zstandard with a level from 1 to 22.
    Zstd(i32),
    /// Blosc: LZ4 with byte shuffle and a level from 0 to 9 (Zarr, N5).
    Blosc(u32),
    /// Deflate (gzip, zlib) with a level from 0 to 9.
    Gzip(u32),
}

impl WriteOptions {
    /// One channel, the format's default chunks, zstd level 3 where the format has it, no overwriting.
    pub fn new(dtype: DataType, shape: [u64; 3]) -> Self {
        Self {
            dtype,
            shape,
            channels: vec!["0".to_owned()],
            voxel_size: None,
            chunk_shape: None,
            shard_shape: None,
            encoding: Encoding::default(),
            codec: Codec::Zstd(3),
            durability: Durability::default(),
            ome: OmeVersion::default(),
            mode: WriteMode::default(),
            attributes: BTreeMap::new(),
        }
    }

    /// Takes channels and voxel size from another volume.
    #[must_use]
    pub fn like(mut self, metadata: &Metadata) -> Self {
        self.channels.clone_from(&metadata.channels);
        self.voxel_size = metadata.voxel_size;
        self
    }

    /// Sets what happens to an output that is there already.
    #[must_use]
    pub fn with_mode(mut self, mode: WriteMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the names of the channels.
    #[must_use]
    pub fn with_channels(mut self, channels: Vec<String>) -> Self {
        self.channels = channels;
        self
    }

    /// Sets the voxel size.
    #[must_use]
    pub fn with_voxel_size(mut self, voxel_size: Option<VoxelSize>) -> Self {
        self.voxel_size = voxel_size;
        self
    }
}

/// A volume being written. It appears under its name when [`VolumeWriter::finish`] succeeds; dropped
/// before, it leaves nothing, or, with [`WriteMode::Resume`], what a later writer goes on with.
pub struct VolumeWriter {
    name: String,
    options: WriteOptions,
    writer: Box<dyn Writer>,
}

impl std::fmt::Debug for VolumeWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolumeWriter")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish()
    }
}

impl VolumeWriter {
    /// Creates a volume; the extension of the name tells the format: `.zarr` (OME-Zarr), `.n5`,
    /// `.npy`, `.nrrd`, `.mrc`, `.raw`, `.tif`/`.tiff`, `.png`, or a pattern of TIFF or PNG planes.
    ///
    /// # Errors
    /// [`Error::Exists`] if it is there and may not be replaced, [`Error::Unsupported`] if the format
    /// cannot hold such a volume.
    pub fn create(name: &str, options: &WriteOptions) -> Result<Self> {
        let place = || Place::new(name);
        if options.shape.contains(&0) || options.channels.is_empty() {
            let message = format!("cannot write a volume of shape {:?}", options.shape);
            return Err(Error::usage(place(), message));
        }
        let location: Location = name.parse()?;
        if options.mode == WriteMode::Resume {
            format::resume_path(&location)?;
        }
        let writer = format::create(&location, options)?;
        Ok(Self { name: name.to_owned(), options: options.clone(), writer })
    }

    /// Where an unfinished volume lies that [`WriteMode::Resume`] goes on with: beside its final path,
    /// under a hidden name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the format or the store of this name cannot be resumed.
    pub fn resume_path(name: &str) -> Result<PathBuf> {
        format::resume_path(&name.parse()?)
    }

    /// Creates a volume of many objects in a store of one's own.
    ///
    /// # Errors
    /// As [`VolumeWriter::create`].
    pub fn create_in(
        directory: &Directory,
        format: ArrayFormat,
        options: &WriteOptions,
    ) -> Result<Self> {
        let writer = format::create_directory(directory, format, options)?;
        let name = directory.place("").to_string();
        Ok(Self { name, options: options.clone(), writer })
    }

    /// Adds a coarser scale to a pyramid (OME-Zarr, N5, precomputed) that is there: voxels `factor`
    /// (`[z, y, x]`) times as large as those of its finest scale. `options` give shape and type of the
    /// new scale; the pyramid lists it when [`VolumeWriter::finish`] succeeds.
    ///
    /// # Errors
    /// [`Error::Exists`] if the scale is there, [`Error::Unsupported`] if the format has no scales;
    /// as [`VolumeWriter::create`].
    pub fn add_scale(name: &str, factor: [u64; 3], options: &WriteOptions) -> Result<Self> {
        let location: Location = name.parse()?;
        let writer = format::add_scale(&location, factor, options)?;
        Ok(Self { name: name.to_owned(), options: options.clone(), writer })
    }

    /// Blocks must start at multiples of this shape `[z, y, x]` and have it, except at the end of
    /// the volume. Blocks that are multiples of it are fine too.
    pub fn granule(&self) -> [u64; 3] {
        self.writer.granule()
    }

    /// The order in which blocks must be written.
    pub fn order(&self) -> WriteOrder {
        self.writer.order()
    }

    /// Writes a block of one channel at a start voxel `[z, y, x]`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the block is not aligned, lies outside, or has another type;
    /// [`Error::Io`] if the disk is full or read-only.
    pub fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let region = BoundingBox::from_start_shape(start, voxels.shape().map(|v| v as u64));
        region.check_inside(self.options.shape, &self.name)?;
        self.check_block(channel, &region, voxels.dtype())?;
        self.writer.write(channel, start, voxels)
    }

    /// Makes the volume visible under its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses; nothing is left then, but for [`WriteMode::Resume`].
    pub fn finish(self) -> Result<()> {
        self.writer.finish()
    }

    fn check_block(&self, channel: usize, region: &BoundingBox, dtype: DataType) -> Result<()> {
        let usage = |message: String| Err(Error::usage(Place::new(&self.name), message));
        if dtype != self.options.dtype {
            return usage(format!("expected a block of {}, found {dtype}", self.options.dtype));
        }
        if channel >= self.options.channels.len() {
            return usage(format!("channel {channel} of {}", self.options.channels.len()));
        }
        let granule = self.granule();
        let aligned = (0..3).all(|a| {
            let at_end = region.end[a] == self.options.shape[a];
            region.start[a].is_multiple_of(granule[a])
                && (at_end || region.end[a].is_multiple_of(granule[a]))
        });
        if !aligned {
            return usage(format!("block {region} is not aligned to chunks of {granule:?}"));
        }
        Ok(())
    }
}
