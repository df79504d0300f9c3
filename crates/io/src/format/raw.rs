//! Bare values in C order `[channel, z, y, x]`, little-endian, without a header; and the flat file
//! that NPY shares.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::bounding_box::BoundingBox;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::metadata::{Metadata, numbered_channels};
use crate::mmap::FileBytes;
use crate::staging::Staged;
use crate::store::Durability;
use crate::volume::{OpenOptions, Reader, WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

/// Opens a raw file of a known type and shape `[channel, z, y, x]`.
pub(crate) fn open(
    path: &Path,
    dtype: DataType,
    shape: [u64; 4],
    options: &OpenOptions,
) -> Result<Box<dyn Reader>> {
    let [c, z, y, x] = shape;
    let mut metadata = Metadata::new("raw", dtype, [z, y, x]);
    metadata.channels = numbered_channels(usize::try_from(c).unwrap_or(usize::MAX).min(1 << 16));
    metadata.stored_axes = "czyx".to_owned();
    let flat = Flat { metadata, header: 0, endian: Endian::Little };
    FlatReader::open(path, flat, options).map(|r| Box::new(r) as Box<dyn Reader>)
}

/// Creates a raw file.
pub(crate) fn create(path: &Path, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    FlatWriter::create(path, options, &[]).map(|w| Box::new(w) as Box<dyn Writer>)
}

/// Byte order of the values in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

/// What a file of bare values holds.
pub(crate) struct Flat {
    pub(crate) metadata: Metadata,
    /// Bytes before the first value.
    pub(crate) header: u64,
    pub(crate) endian: Endian,
}

impl Endian {
    /// Turns values of `size` bytes each from this order into that of this machine, in place.
    pub(crate) fn to_native(self, values: &mut [u8], size: usize) {
        let native = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
        if self == native {
            return;
        }
        // Arrays of a known length become vector instructions; slices do not.
        match size {
            2 => values.as_chunks_mut::<2>().0.iter_mut().for_each(|v| v.reverse()),
            4 => values.as_chunks_mut::<4>().0.iter_mut().for_each(|v| v.reverse()),
            8 => values.as_chunks_mut::<8>().0.iter_mut().for_each(|v| v.reverse()),
            _ => {}
        }
    }
}

/// A file of uncompressed values in C order `[channel, z, y, x]` after a header.
pub(crate) struct FlatReader {
    bytes: FileBytes,
    metadata: Metadata,
    header: u64,
    endian: Endian,
}

impl FlatReader {
    /// Opens the file and checks that it is long enough for what the metadata claims.
    pub(crate) fn open(path: &Path, flat: Flat, options: &OpenOptions) -> Result<Self> {
        let Flat { metadata, header, endian } = flat;
        if options.time > 0 {
            let message = format!("{} has one time point", metadata.format);
            return Err(Error::usage(Place::path(path), message));
        }
        let bytes = FileBytes::open(path, options.file_access)?;
        let (needed, found) = (metadata.num_bytes().saturating_add(header), bytes.len()?);
        if needed > found {
            let shape = metadata.shape;
            let message = format!(
                "truncated: {} voxels of shape {shape:?} need {needed} bytes, found {found}",
                metadata.dtype
            );
            return Err(Error::format(Place::path(path), message));
        }
        Ok(Self { bytes, metadata, header, endian })
    }
}

impl Reader for FlatReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        let size = self.metadata.dtype.size() as u64;
        let runs = Runs::of(region, self.metadata.shape);
        let plane = channel as u64 * self.metadata.shape.iter().product::<u64>();
        let bytes = out.bytes_mut();
        let run_bytes = (runs.length * size) as usize;
        for (run, target) in runs.starts().zip(bytes.chunks_exact_mut(run_bytes)) {
            self.bytes.copy_to(self.header + (plane + run) * size, target)?;
        }
        self.endian.to_native(bytes, size as usize);
        Ok(())
    }
}

/// Runs of voxels of a box that lie together in a C-order volume, longest possible.
struct Runs {
    region: BoundingBox,
    shape: [u64; 3],
    length: u64,
    rows: u64,
    planes: u64,
}

impl Runs {
    fn of(region: &BoundingBox, shape: [u64; 3]) -> Self {
        let [z, y, x] = region.shape();
        let (length, rows, planes) = match (x == shape[2], y == shape[1]) {
            (true, true) => (z * y * x, 1, 1),
            (true, false) => (y * x, 1, z),
            _ => (x, y, z),
        };
        Self { region: *region, shape, length, rows, planes }
    }

    /// First voxel of each run, in C order.
    fn starts(&self) -> impl Iterator<Item = u64> + '_ {
        let [z0, y0, x0] = self.region.start;
        let at = move |z: u64, y: u64| ((z0 + z) * self.shape[1] + y0 + y) * self.shape[2] + x0;
        (0..self.planes).flat_map(move |z| (0..self.rows).map(move |y| at(z, y)))
    }
}

/// A file of uncompressed little-endian values under construction; blocks come in any order.
pub(crate) struct FlatWriter {
    staged: Staged,
    file: File,
    path: PathBuf,
    shape: [u64; 3],
    header: u64,
    durability: Durability,
}

impl FlatWriter {
    /// Creates the file with its header and its final length; one that is being continued keeps its
    /// values.
    pub(crate) fn create(path: &Path, options: &WriteOptions, header: &[u8]) -> Result<Self> {
        let staged = Staged::new(path, options.mode)?;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(!options.mode.keeps_parts())
            .open(staged.path())
            .map_err(Error::at(path))?;
        let voxel = options.dtype.size() as u64 * options.channels.len() as u64;
        let values = options.shape.into_iter().fold(voxel, u64::saturating_mul);
        let length = values.saturating_add(header.len() as u64);
        file.write_all_at(header, 0).map_err(Error::at(path))?;
        file.set_len(length).map_err(Error::at(path))?;
        let header = header.len() as u64;
        let (path, durability) = (path.to_owned(), options.durability);
        Ok(Self { staged, file, path, shape: options.shape, header, durability })
    }
}

impl Writer for FlatWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let size = voxels.dtype().size() as u64;
        let region = BoundingBox::from_start_shape(start, voxels.shape().map(|v| v as u64));
        let runs = Runs::of(&region, self.shape);
        let plane = channel as u64 * self.shape.iter().product::<u64>();
        let run_bytes = (runs.length * size) as usize;
        for (run, source) in runs.starts().zip(voxels.bytes().chunks_exact(run_bytes)) {
            let offset = self.header + (plane + run) * size;
            self.file.write_all_at(source, offset).map_err(Error::at(&self.path))?;
        }
        match self.durability {
            Durability::Buffered => Ok(()),
            Durability::Synced => self.file.sync_data().map_err(Error::at(&self.path)),
        }
    }

    fn granule(&self) -> [u64; 3] {
        [1; 3]
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    fn finish(self: Box<Self>) -> Result<()> {
        // Some file systems report a full disk only here.
        self.file.sync_all().map_err(Error::at(&self.path))?;
        self.staged.commit()
    }
}
