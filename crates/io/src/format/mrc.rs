//! MRC2014, the volumes of electron tomography: <https://www.ccpem.ac.uk/mrc-format/mrc2014/>.
//!
//! Modes 0 (`int8`; `uint8` where IMOD's stamp says so), 1 (`int16`), 2 (`float32`), 6 (`uint16`) are read
//! and, but for `uint8`, written; 12 (`float16`) is read as `float32`. Data are memory-mapped. Volumes of a
//! stack (space group 401 and above) are channels.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::bounding_box::BoundingBox;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::raw::{Flat, FlatReader, FlatWriter};
use crate::metadata::{Metadata, numbered_channels};
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};
use crate::voxels::Voxels;

mod header;

use header::{Header, SIZE, Values};

/// Bytes from the start of a file that tell whether it is MRC.
pub(crate) const MAGIC_END: u64 = 212;

/// Whether the first [`MAGIC_END`] bytes are those of MRC.
pub(crate) fn is_header(head: &[u8]) -> bool {
    head.get(208..212) == Some(b"MAP ")
}

/// Opens an MRC file.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let mut bytes = [0; SIZE];
    let truncated = |_| {
        Error::format(Place::path(path), format!("truncated in the MRC header of {SIZE} bytes"))
    };
    let mut file = File::open(path).map_err(Error::at(path))?;
    file.read_exact(&mut bytes).map_err(truncated)?;
    let header = Header::parse(&bytes, &Place::path(path))?;
    let metadata = metadata(&header);
    let start = SIZE as u64 + header.extended_bytes;
    let flat = |metadata| Flat { metadata, header: start, endian: header.endian };
    match header.values {
        Values::Plain(_) => Ok(Box::new(FlatReader::open(path, flat(metadata), options)?)),
        Values::Half => {
            let mut bits = metadata.clone();
            bits.dtype = DataType::U16;
            let bits = FlatReader::open(path, flat(bits), options)?;
            Ok(Box::new(HalfReader { bits, metadata }))
        }
    }
}

/// Creates an MRC file.
pub(crate) fn create(path: &Path, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let header = header::bytes(options, &Place::path(path))?;
    Ok(Box::new(FlatWriter::create(path, options, &header)?))
}

fn metadata(header: &Header) -> Metadata {
    let dtype = match header.values {
        Values::Plain(dtype) => dtype,
        Values::Half => DataType::F32,
    };
    let mut metadata = Metadata::new("mrc", dtype, header.shape);
    metadata.voxel_size = header.voxel_size;
    if header.volumes > 1 {
        metadata.channels = numbered_channels(header.volumes as usize);
        metadata.stored_axes = "czyx".to_owned();
    }
    metadata
}

/// `float16` values given as `float32`.
struct HalfReader {
    bits: FlatReader,
    metadata: Metadata,
}

impl Reader for HalfReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        // Plane by plane, so that no second block as large as the region is needed.
        for z in region.start[0]..region.end[0] {
            let mut plane = *region;
            (plane.start[0], plane.end[0]) = (z, z + 1);
            let shape = plane.shape().map(|v| v as usize);
            let mut bits = Voxels::zeros(DataType::U16, shape)?;
            self.bits.read_into(channel, &plane, &mut bits)?;
            let first = (z - region.start[0]) as usize * bits.len();
            let values = out.as_mut_slice::<f32>()?.iter_mut().skip(first);
            for (value, bits) in values.zip(bits.as_slice::<u16>()?) {
                *value = half::f16::from_bits(*bits).to_f32();
            }
        }
        Ok(())
    }
}
