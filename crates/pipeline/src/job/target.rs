//! A volume that many processes write together, block by block.

use std::path::PathBuf;

use exavox_io::store::Durability;
use exavox_io::volume::WriteMode;
use exavox_io::{Metadata, OpenOptions, Volume, VolumeWriter, WriteOptions};

use crate::error::{Error, Result};

/// A local volume of many objects (`.zarr`, `.n5`, `.precomputed`) under construction, seen under its name
/// when it is finished.
#[derive(Debug, Clone)]
pub struct SharedTarget {
    name: String,
    options: WriteOptions,
    /// A scale of a pyramid that is there: edge of its voxels in voxels of the finest scale.
    factor: Option<[u64; 3]>,
}

impl SharedTarget {
    /// A new volume.
    pub fn new(name: impl Into<String>, options: WriteOptions) -> Self {
        let options = options.with_mode(WriteMode::Shared);
        Self { name: name.into(), options, factor: None }
    }

    /// A coarser scale of a volume that will be there.
    pub fn scale(name: impl Into<String>, factor: [u64; 3], options: WriteOptions) -> Self {
        Self { factor: Some(factor), ..Self::new(name, options) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is to be.
    pub fn options(&self) -> &WriteOptions {
        &self.options
    }

    /// What it will be when it is there, for steps that read it.
    pub fn metadata(&self) -> Metadata {
        let WriteOptions { dtype, shape, chunk_shape, shard_shape, .. } = self.options;
        let mut metadata = Metadata::new("planned", dtype, shape);
        metadata.channels.clone_from(&self.options.channels);
        metadata.voxel_size = self.options.voxel_size;
        metadata.chunk_shape = chunk_shape.unwrap_or(metadata.chunk_shape);
        metadata.shard_shape = shard_shape;
        metadata
    }

    /// Refuses names that many processes cannot write to.
    ///
    /// # Errors
    /// [`exavox_io::Error::Unsupported`].
    pub fn check(&self) -> Result<()> {
        let partial = self.partial()?;
        let many = [".zarr", ".n5", ".precomputed"];
        let stem = partial.file_name().map(|n| n.to_string_lossy().into_owned());
        let stem = stem.unwrap_or_default().replace(".resume.partial", "");
        if self.factor.is_none() && !many.iter().any(|e| stem.to_ascii_lowercase().ends_with(e)) {
            let message = "expected a volume that blocks can be written to from many processes: \
                .zarr, .n5 or .precomputed";
            return Err(Error::settings(&self.name, message));
        }
        Ok(())
    }

    /// Refuses a volume that is there before the job has begun.
    ///
    /// # Errors
    /// [`exavox_io::Error::Exists`].
    pub fn refuse_existing(&self) -> Result<()> {
        let path = self.path()?;
        if self.factor.is_none() && path.symlink_metadata().is_ok() {
            return Err(exavox_io::Error::Exists { place: exavox_io::Place::path(&path) }.into());
        }
        Ok(())
    }

    /// A writer of blocks. Dropped, it leaves what was written.
    ///
    /// # Errors
    /// As [`VolumeWriter::create`].
    pub fn writer(&self, durability: Durability) -> Result<VolumeWriter> {
        let mut options = self.options.clone();
        options.durability = durability;
        Ok(match self.factor {
            None => VolumeWriter::create(&self.name, &options)?,
            Some(factor) => VolumeWriter::add_scale(&self.name, factor, &options)?,
        })
    }

    /// Writes everything to the disk and shows the volume under its name. Nothing to do if that has been
    /// done, by whomever.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn finish(&self) -> Result<()> {
        if self.is_finished()? {
            return Ok(());
        }
        let finished = self.writer(Durability::Synced).and_then(|w| Ok(w.finish()?));
        match finished {
            // Somebody else was faster.
            Err(_) if self.is_finished()? => Ok(()),
            other => other,
        }
    }

    /// Removes what was written after others had finished the volume, as by a node that was cut off and went on;
    /// whether there was anything. The volume itself is out of reach: it has moved.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn remove_late(&self) -> Result<bool> {
        if self.factor.is_some() || !self.is_finished()? {
            return Ok(false);
        }
        let partial = self.partial()?;
        match std::fs::remove_dir_all(&partial) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(exavox_io::Error::io(exavox_io::Place::path(&partial), e).into()),
        }
    }

    /// Whether the volume is there under its name.
    ///
    /// # Errors
    /// If the name has no path.
    pub fn is_finished(&self) -> Result<bool> {
        match self.factor {
            None => Ok(self.path()?.exists()),
            Some(_) => {
                let Ok(volume) = Volume::open(&self.name) else { return Ok(false) };
                Ok(volume.metadata().scales.iter().any(|s| s.shape == self.options.shape))
            }
        }
    }

    /// Opens the finished volume, of a pyramid the scale that is meant.
    ///
    /// # Errors
    /// As [`Volume::open`].
    pub fn open(&self) -> Result<Volume> {
        let volume = Volume::open(&self.name)?;
        let scales = &volume.metadata().scales;
        match scales.iter().position(|scale| scale.shape == self.options.shape) {
            None | Some(0) => Ok(volume),
            Some(scale) => {
                let options = OpenOptions::default().with_scale(scale);
                Ok(Volume::open_with(&self.name, &options)?)
            }
        }
    }

    fn partial(&self) -> Result<PathBuf> {
        Ok(VolumeWriter::resume_path(&self.name)?)
    }

    fn path(&self) -> Result<PathBuf> {
        Self::local_path(&self.name)
    }

    /// Where a volume of this name lies when it is finished: `.NAME.resume.partial` -> `NAME`.
    pub(crate) fn local_path(name: &str) -> Result<PathBuf> {
        let partial = VolumeWriter::resume_path(name)?;
        let name = partial.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let name = name.trim_start_matches('.').trim_end_matches(".resume.partial");
        Ok(partial.with_file_name(name))
    }
}
