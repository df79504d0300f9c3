//! A new HDF5 file of one dataset, through the crate `hdf5-writer`.
//!
//! That crate takes a dataset as a whole and makes the file in memory. So does this writer: blocks are
//! gathered, and the file is made at the end. Memory: the volume and twice its chunks as they are stored,
//! three times the volume if nothing is compressed. Limits are checked before the first block.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hdf5_writer::{
    AttributeBuilder, ByteOrder, DatasetBuilder, FILTER_DEFLATE, FILTER_SHUFFLE, FilterDescription,
    H5WriteType, Hdf5Builder,
};

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::match_dtype;
use crate::staging::Staged;
use crate::volume::{Codec, WriteOptions, WriteOrder, Writer};
use crate::voxels::{Voxels, copy_rows};

/// Edge of a chunk where nothing else is asked for, and that of a single plane.
const CHUNK: [u64; 3] = [64, 64, 64];
const PLANE_CHUNK: [u64; 3] = [1, 512, 512];
/// Deflate stands in for Zstandard, which HDF5 reads by a plugin only.
const DEFLATE_FOR_ZSTD: u32 = 3;

/// A dataset that is gathered in memory.
pub(super) struct Hdf5Writer {
    place: Place,
    path: PathBuf,
    staged: Staged,
    dataset: String,
    options: WriteOptions,
    chunk: [u64; 3],
    /// Deflate's level, if chunks are compressed.
    deflate: Option<u32>,
    /// Values of `[channel, z, y, x]`.
    values: Mutex<Vec<u8>>,
}

impl Hdf5Writer {
    /// Reserves the output and the memory.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name, chunk shape or level that cannot be; [`Error::Unsupported`] for
    /// Blosc; [`Error::LimitExceeded`] if the file does not fit into memory; [`Error::Exists`].
    pub(super) fn create(path: &Path, dataset: &str, options: &WriteOptions) -> Result<Self> {
        let dataset = dataset.trim_matches('/').to_owned();
        let place = Place::path(path).with_key(&dataset);
        if dataset.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::usage(place, "not a name for a dataset"));
        }
        let chunk = chunk_shape(options, &place)?;
        let deflate = deflate_level(options.codec, &place)?;
        let bytes = check_memory(options, chunk, &place)?;
        let staged = Staged::new(path, options.mode)?;
        let mut values = Vec::new();
        let no_memory = |_| Error::LimitExceeded {
            place: place.clone(),
            what: "the volume".to_owned(),
            needed: bytes as u64,
            limit: 0,
        };
        values.try_reserve_exact(bytes).map_err(no_memory)?;
        values.resize(bytes, 0);
        Ok(Self {
            path: path.to_owned(),
            staged,
            dataset,
            options: options.clone(),
            chunk,
            deflate,
            values: Mutex::new(values),
            place,
        })
    }

    fn encode(&self, values: Vec<u8>) -> hdf5_writer::Result<Vec<u8>> {
        let shape = self.stored(self.options.channels.len() as u64, self.options.shape);
        let datatype = match_dtype!(self.options.dtype, T => T::hdf5_type());
        let mut dataset = DatasetBuilder::new(&self.dataset, datatype, shape)
            .chunked(self.stored(1, self.chunk))
            .raw_data(values);
        if let Some(level) = self.deflate {
            let filter = |id, client_data| FilterDescription { id, name: None, client_data };
            if self.options.dtype.size() > 1 {
                dataset = dataset.filter(filter(FILTER_SHUFFLE, Vec::new()));
            }
            dataset = dataset.filter(filter(FILTER_DEFLATE, vec![level]));
        }
        if let Some(size) = self.options.voxel_size {
            dataset = dataset.attribute(AttributeBuilder::vector("resolution", &size.nm_zyx)?);
        }
        let order = if cfg!(target_endian = "big") {
            ByteOrder::BigEndian
        } else {
            ByteOrder::LittleEndian
        };
        let options = hdf5_writer::WriteOptions { byte_order: order, ..Default::default() };
        Hdf5Builder::new().dataset(dataset).into_plan()?.encode(options)
    }

    /// `zyx` for one channel, `czyx` for several.
    fn stored(&self, channels: u64, [z, y, x]: [u64; 3]) -> Vec<u64> {
        if self.options.channels.len() > 1 { vec![channels, z, y, x] } else { vec![z, y, x] }
    }
}

impl Writer for Hdf5Writer {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let size = self.options.dtype.size();
        let whole = self.options.shape.map(|v| v as usize);
        let bytes = whole.iter().product::<usize>() * size;
        let target = &mut values[channel * bytes..(channel + 1) * bytes];
        let from = BoundingBox::whole(voxels.shape().map(|v| v as u64));
        let to = start.map(|v| v as usize);
        copy_rows(target, whole, to, voxels.bytes(), voxels.shape(), &from, size)
    }

    fn granule(&self) -> [u64; 3] {
        self.chunk
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let values =
            std::mem::take(&mut *self.values.lock().unwrap_or_else(PoisonError::into_inner));
        let bytes = self
            .encode(values)
            .map_err(|e| Error::unsupported(self.place.clone(), format!("writing HDF5: {e}")))?;
        let mut file = File::create(self.staged.path()).map_err(Error::at(&self.path))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(Error::at(&self.path))?;
        self.staged.commit()
    }
}

fn chunk_shape(options: &WriteOptions, place: &Place) -> Result<[u64; 3]> {
    let default = if options.shape[0] == 1 { PLANE_CHUNK } else { CHUNK };
    let wanted = options.chunk_shape.unwrap_or(default);
    let chunk: [u64; 3] = std::array::from_fn(|a| wanted[a].min(options.shape[a]));
    let bytes = chunk.iter().fold(options.dtype.size() as u64, |n, edge| n.saturating_mul(*edge));
    if bytes == 0 || bytes > u32::MAX.into() {
        let message = format!("chunks of {wanted:?}: expected 1 byte to 4 GiB");
        return Err(Error::usage(place.clone(), message));
    }
    Ok(chunk)
}

fn deflate_level(codec: Codec, place: &Place) -> Result<Option<u32>> {
    match codec {
        Codec::Raw => Ok(None),
        Codec::Zstd(_) => Ok(Some(DEFLATE_FOR_ZSTD)),
        Codec::Gzip(level @ 0..=9) => Ok(Some(level)),
        Codec::Gzip(level) => {
            Err(Error::usage(place.clone(), format!("gzip level {level}: expected 0 to 9")))
        }
        Codec::Blosc(_) => {
            Err(Error::unsupported(place.clone(), "Blosc in HDF5; known are none and gzip"))
        }
    }
}

/// Bytes of the volume, if it can be written in the memory that there is.
fn check_memory(options: &WriteOptions, chunk: [u64; 3], place: &Place) -> Result<usize> {
    let voxel = (options.dtype.size() as u64).saturating_mul(options.channels.len() as u64);
    let bytes = options.shape.iter().fold(voxel, |n, edge| n.saturating_mul(*edge));
    let padded = (0..3).fold(voxel, |n, a| {
        n.saturating_mul(options.shape[a].div_ceil(chunk[a]).saturating_mul(chunk[a]))
    });
    let needed = bytes.saturating_add(padded.saturating_mul(2));
    let limit = Limits::default().max_region_bytes;
    if needed > limit {
        let what = "an HDF5 file made in memory (.zarr and .tif are written in parts)".to_owned();
        return Err(Error::LimitExceeded { place: place.clone(), what, needed, limit });
    }
    Ok(bytes as usize)
}
