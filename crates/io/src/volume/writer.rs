//! The handle on a volume that is being written.

use std::path::PathBuf;

use crate::bounding_box::BoundingBox;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format;
use crate::location::{ArrayFormat, Location};
use crate::store::Directory;
use crate::trace::{Activity, span};
use crate::voxels::Voxels;

use super::{Volume, WriteOptions, WriteOrder};

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

/// A volume being written. It appears under its name when [`VolumeWriter::finish`] succeeds; dropped
/// before, it leaves nothing, or, if [`super::WriteMode::keeps_parts`], what a later writer goes on with.
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
        check_shape(name, options)?;
        let location: Location = name.parse()?;
        if options.mode.keeps_parts() {
            format::resume_path(&location)?;
        }
        let writer = format::create(&location, options)?;
        Ok(Self { name: name.to_owned(), options: options.clone(), writer })
    }

    /// Where an unfinished volume lies that [`super::WriteMode::Resume`] and [`super::WriteMode::Shared`] go
    /// on with: beside its final path, under a hidden name.
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
        let name = directory.place("").to_string();
        check_shape(&name, options)?;
        let writer = format::create_directory(directory, format, options)?;
        Ok(Self { name, options: options.clone(), writer })
    }

    /// Adds a coarser scale to a pyramid (OME-Zarr, N5, precomputed) that is there: voxels `factor`
    /// (`[z, y, x]`) times as large as those of its finest scale. `options` give shape and type of the
    /// new scale; the pyramid lists it when [`VolumeWriter::finish`] succeeds.
    ///
    /// # Errors
    /// [`Error::Exists`] if the scale is there, [`Error::Unsupported`] if the format has no scales,
    /// [`Error::Usage`] if type or channels are not those of the finest scale; as
    /// [`VolumeWriter::create`].
    pub fn add_scale(name: &str, factor: [u64; 3], options: &WriteOptions) -> Result<Self> {
        check_shape(name, options)?;
        check_like_finest(name, factor, options)?;
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
        let _span = span(Activity::Write, start);
        self.writer.write(channel, start, voxels)
    }

    /// Makes the volume visible under its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses; nothing is left then, unless [`super::WriteMode::keeps_parts`].
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

fn check_shape(name: &str, options: &WriteOptions) -> Result<()> {
    if options.shape.contains(&0) || options.channels.is_empty() {
        let (shape, channels) = (options.shape, options.channels.len());
        let message = format!("cannot write {channels} channels of shape {shape:?}");
        return Err(Error::usage(Place::new(name), message));
    }
    Ok(())
}

fn check_like_finest(name: &str, factor: [u64; 3], options: &WriteOptions) -> Result<()> {
    let finest = Volume::open(name)?;
    let expected = (finest.metadata().dtype, finest.metadata().channels.len());
    let found = (options.dtype, options.channels.len());
    if found != expected || factor.contains(&0) {
        let message = format!(
            "a scale of {} with {} channels at factor {factor:?} in a volume of {} with {}",
            found.0, found.1, expected.0, expected.1
        );
        return Err(Error::usage(Place::new(name), message));
    }
    Ok(())
}
