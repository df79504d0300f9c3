//! PNG images: grey or colour, 8 or 16 bits, as volumes of one plane. Samples are channels.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use png::{BitDepth, Decoder, DecodingError, Transformations};

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::plane_source::{PlaneSource, Window, copy_sample};
use crate::limits::Limits;
use crate::metadata::{Metadata, numbered_channels};
use crate::staging::Staged;
use crate::volume::{OpenOptions, Reader, WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

mod sink;

pub(crate) use sink::PngSink;

/// Opens a PNG file.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    Ok(Box::new(PngReader::open(path, options)?))
}

/// Creates a PNG file: one plane of one channel, `uint8` or `uint16`, or of red, green and blue, `uint8`.
pub(crate) fn create(path: &Path, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let staged = Staged::new(path, options.mode)?;
    let sink = Mutex::new(PngSink::create(path, staged, options)?);
    Ok(Box::new(PngWriter { sink, shape: options.shape }))
}

/// A PNG file; it is opened again for each read, and decoded up to the last row asked for.
pub(crate) struct PngReader {
    path: PathBuf,
    metadata: Metadata,
    limits: Limits,
}

impl PngReader {
    /// Reads the header.
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        if options.time > 0 {
            let message = "PNG has one time point";
            return Err(Error::usage(Place::path(path), message));
        }
        let reader = decoder(path, &options.limits)?;
        let (color, depth) = reader.output_color_type();
        let dtype = if depth == BitDepth::Sixteen { DataType::U16 } else { DataType::U8 };
        let (width, height) = reader.info().size();
        let mut metadata = Metadata::new("png", dtype, [1, height.into(), width.into()]);
        metadata.channels = numbered_channels(color.samples());
        metadata.stored_axes = if color.samples() > 1 { "yxc" } else { "yx" }.to_owned();
        metadata.codecs = vec!["deflate".to_owned()];
        Ok(Self { path: path.to_owned(), metadata, limits: options.limits.clone() })
    }

    /// Values of the first `rows` rows with all samples, bytes as in memory.
    fn rows(&self, rows: u64) -> Result<Vec<u8>> {
        let mut reader = decoder(&self.path, &self.limits)?;
        let [_, height, width] = self.metadata.shape;
        let samples = self.metadata.channels.len() as u64;
        let size = self.metadata.dtype.size();
        // The passes of an interlaced image have to be put together.
        let interlaced = reader.info().interlaced;
        let count = if interlaced { height } else { rows };
        let place = Place::path(&self.path);
        let bytes = self.limits.check_chunk(&[count, width, samples], size, &place)?;
        let mut values = vec![0; bytes];
        let row_bytes = width as usize * samples as usize * size;
        let damaged = |e| decode_error(&self.path, e);
        if interlaced {
            reader.next_frame(&mut values).map_err(damaged)?;
        } else {
            for row in values.chunks_exact_mut(row_bytes) {
                reader.read_row(row).map_err(damaged)?;
            }
        }
        if count == height {
            // The checksum comes after the last row.
            reader.finish().map_err(damaged)?;
        }
        if size == 2 && cfg!(target_endian = "little") {
            values.as_chunks_mut::<2>().0.iter_mut().for_each(|b| b.reverse());
        }
        Ok(values)
    }
}

impl PlaneSource for PngReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_plane(&self, channel: usize, _z: u64, window: &Window, out: &mut [u8]) -> Result<()> {
        let values = self.rows(window.rows.end)?;
        let size = self.metadata.dtype.size();
        let samples = self.metadata.channels.len();
        let row_bytes = self.metadata.shape[2] as usize * samples * size;
        let columns = window.columns.start as usize..window.columns.end as usize;
        let rows = values.chunks_exact(row_bytes).skip(window.rows.start as usize);
        for (row, target) in rows.zip(out.chunks_exact_mut(columns.len() * size)) {
            copy_sample(row, columns.clone(), channel, samples, size, target);
        }
        Ok(())
    }
}

struct PngWriter {
    sink: Mutex<PngSink>,
    shape: [u64; 3],
}

impl Writer for PngWriter {
    fn write(&self, channel: usize, _start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        sink.write_plane(channel, voxels.dtype(), voxels.bytes())
    }

    fn granule(&self) -> [u64; 3] {
        self.shape
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.sink.into_inner().unwrap_or_else(PoisonError::into_inner).close()?.commit()
    }
}

fn decoder(path: &Path, limits: &Limits) -> Result<png::Reader<BufReader<File>>> {
    let file = File::open(path).map_err(Error::at(path))?;
    let bytes = usize::try_from(limits.max_metadata_bytes).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(BufReader::new(file), png::Limits { bytes });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(|e| decode_error(path, e))
}

fn decode_error(path: &Path, error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::io(Place::path(path), e)
        }
        other => Error::format(Place::path(path), format!("PNG cannot be decoded: {other}")),
    }
}
