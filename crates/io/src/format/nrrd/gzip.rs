//! Data as one gzip stream.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use flate2::write::GzEncoder;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::format::raw::Endian;
use crate::limits::Limits;
use crate::metadata::Metadata;
use crate::staging::Staged;
use crate::volume::{Reader, WriteOptions, WriteOrder, Writer};
use crate::voxels::{Voxels, copy_rows};

use super::data::DataStart;

/// A volume that is decompressed by its first read and kept.
pub(super) struct GzipReader {
    start: DataStart,
    metadata: Metadata,
    endian: Endian,
    size: usize,
    values: OnceLock<Vec<u8>>,
    /// Held while the stream is decompressed, so that this is done once.
    decoding: Mutex<()>,
}

impl GzipReader {
    /// Checks that the volume may be decompressed into memory; reads nothing.
    pub(super) fn new(
        start: DataStart,
        metadata: Metadata,
        endian: Endian,
        limits: &Limits,
    ) -> Result<Self> {
        let [z, y, x] = metadata.shape;
        let whole = [metadata.channels.len() as u64, z, y, x];
        let place = Place::path(&start.path);
        let size = limits.check_region(&whole, metadata.dtype.size(), &place)?;
        let (values, decoding) = (OnceLock::new(), Mutex::new(()));
        Ok(Self { start, metadata, endian, size, values, decoding })
    }

    /// All values in this machine's byte order.
    fn values(&self) -> Result<&[u8]> {
        let _one = self.decoding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = self.values.get() {
            return Ok(values);
        }
        let mut values = self.decode()?;
        self.endian.to_native(&mut values, self.metadata.dtype.size());
        Ok(self.values.get_or_init(|| values))
    }

    fn decode(&self) -> Result<Vec<u8>> {
        let path = &self.start.path;
        let damaged = |message: String| Error::format(Place::path(path), message);
        let mut file = File::open(path).map_err(Error::at(path))?;
        file.seek(SeekFrom::Start(self.start.offset)).map_err(Error::at(path))?;
        let mut stream = flate2::bufread::MultiGzDecoder::new(BufReader::new(file));
        let skip = self.start.skip_decoded;
        let gzip = |e: std::io::Error| damaged(format!("gzip: {e}"));
        std::io::copy(&mut (&mut stream).take(skip), &mut std::io::sink()).map_err(gzip)?;
        // Grows with what is there: a header may claim more.
        let mut values = Vec::new();
        (&mut stream).take(self.size as u64).read_to_end(&mut values).map_err(gzip)?;
        if values.len() != self.size {
            let (expected, found) = (self.size, values.len());
            return Err(damaged(format!("gzip: decoded to {found} bytes, expected {expected}")));
        }
        match stream.read(&mut [0]).map_err(gzip)? {
            0 => Ok(values),
            _ => {
                Err(damaged(format!("gzip: decoded to more than the expected {} bytes", self.size)))
            }
        }
    }
}

impl Reader for GzipReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        let shape = self.metadata.shape.map(|v| v as usize);
        let size = self.metadata.dtype.size();
        let volume = shape.iter().product::<usize>() * size;
        let values = &self.values()?[channel * volume..(channel + 1) * volume];
        let out_shape = out.shape();
        copy_rows(out.bytes_mut(), out_shape, [0; 3], values, shape, region, size)
    }
}

/// A file whose data are compressed as they come: planes in order, channel after channel.
pub(super) struct GzipWriter {
    stream: Mutex<Stream>,
    staged: Staged,
    path: PathBuf,
    shape: [u64; 3],
    planes: u64,
}

struct Stream {
    encoder: GzEncoder<BufWriter<File>>,
    /// Plane that must come next, counted over all channels.
    next: u64,
}

impl GzipWriter {
    /// Creates the file with its header.
    pub(super) fn create(
        path: &Path,
        options: &WriteOptions,
        header: &[u8],
        level: u32,
    ) -> Result<Self> {
        if level > 9 {
            let message = format!("gzip level {level}; expected 0 to 9");
            return Err(Error::usage(Place::path(path), message));
        }
        let staged = Staged::new(path, options.mode)?;
        let mut file = BufWriter::new(File::create(staged.path()).map_err(Error::at(path))?);
        file.write_all(header).map_err(Error::at(path))?;
        let encoder = GzEncoder::new(file, flate2::Compression::new(level));
        let stream = Mutex::new(Stream { encoder, next: 0 });
        let planes = options.shape[0].saturating_mul(options.channels.len() as u64);
        Ok(Self { stream, staged, path: path.to_owned(), shape: options.shape, planes })
    }
}

impl Writer for GzipWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let first = channel as u64 * self.shape[0] + start[0];
        if first != stream.next {
            let message = format!("plane {first} out of order: expected {}", stream.next);
            return Err(Error::usage(Place::path(&self.path), message));
        }
        stream.encoder.write_all(voxels.bytes()).map_err(Error::at(&self.path))?;
        stream.next += voxels.shape()[0] as u64;
        Ok(())
    }

    fn granule(&self) -> [u64; 3] {
        [1, self.shape[1], self.shape[2]]
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Strict
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { stream, staged, path, planes, .. } = *self;
        let Stream { encoder, next } = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
        if next != planes {
            let message = format!("{next} planes written, expected {planes}");
            return Err(Error::usage(Place::path(&path), message));
        }
        let file = encoder.finish().and_then(|buffered| Ok(buffered.into_inner()?));
        // Some file systems report a full disk only here.
        file.and_then(|file| file.sync_all()).map_err(Error::at(&path))?;
        staged.commit()
    }
}
