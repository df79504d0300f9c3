//! Writing pages one after the other, through the encoder of the `tiff` crate.

use std::fs::File;
use std::path::{Path, PathBuf};

use tiff::TiffError;
use tiff::encoder::colortype::{
    ColorType, Gray8, Gray16, Gray32, Gray32Float, Gray64, Gray64Float, GrayI8, GrayI16, GrayI32,
    GrayI64,
};
use tiff::encoder::{
    Compression, DeflateLevel, Predictor, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard,
    TiffValue,
};
use tiff::tags::Tag;

use super::ome;
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::staging::Staged;
use crate::volume::{Codec, WriteOptions};

/// Bytes above which BigTIFF is written: 32-bit offsets end at 4 GiB.
const BIG_FROM: u64 = (39 << 30) / 10;
/// Bytes of a page besides its values, generously.
const PAGE_OVERHEAD: u64 = 1024;

/// A TIFF file under construction: all planes of the first channel, then those of the next.
pub(crate) struct TiffSink {
    path: PathBuf,
    staged: Staged,
    file: File,
    /// `None` once a page could not be written: what follows would be damaged.
    encoder: Option<Encoder>,
    description: Option<String>,
    size_yx: [u32; 2],
    written: u64,
    planes: u64,
}

enum Encoder {
    Standard(TiffEncoder<File, TiffKindStandard>),
    Big(TiffEncoder<File, TiffKindBig>),
}

impl TiffSink {
    /// Creates the file under its temporary name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if TIFF cannot hold such a volume.
    pub(crate) fn create(path: &Path, staged: Staged, options: &WriteOptions) -> Result<Self> {
        let (planes, size_yx) = Self::check(path, options)?;
        let file = File::create(staged.path()).map_err(Error::at(path))?;
        let output = file.try_clone().map_err(Error::at(path))?;
        let description = is_described(options).then(|| ome::document(options)).flatten();
        let encoder = Encoder::new(output, options, planes).map_err(|e| encode_error(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            staged,
            file,
            encoder: Some(encoder),
            description,
            size_yx,
            written: 0,
            planes,
        })
    }

    /// Planes in all, and rows and columns of each, if TIFF can hold such a volume.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it cannot.
    pub(crate) fn check(path: &Path, options: &WriteOptions) -> Result<(u64, [u32; 2])> {
        let (channels, dtype) = (options.channels.len() as u64, options.dtype);
        if channels > 1 && ome::type_name(dtype).is_none() {
            let message =
                format!("several channels of {dtype} in TIFF; write .zarr or a file for each");
            return Err(Error::unsupported(Place::path(path), message));
        }
        let size = |length: u64| u32::try_from(length).map_err(|_| too_long(path, length));
        let size_yx = [size(options.shape[1])?, size(options.shape[2])?];
        let planes = channels.checked_mul(options.shape[0]);
        Ok((planes.ok_or_else(|| too_long(path, options.shape[0]))?, size_yx))
    }

    /// Writes a plane, given as bytes in memory order; `index` is its index in the file.
    ///
    /// # Errors
    /// [`Error::Usage`] if the plane is out of order; [`Error::Io`] if the disk is full.
    pub(crate) fn write_plane(&mut self, index: u64, dtype: DataType, plane: &[u8]) -> Result<()> {
        if index != self.written {
            let message =
                format!("pages must come in order: expected page {}, found {index}", self.written);
            return Err(Error::usage(Place::path(&self.path), message));
        }
        let failed =
            || Error::usage(Place::path(&self.path), "an earlier page could not be written");
        let mut encoder = self.encoder.take().ok_or_else(failed)?;
        let description = self.description.take();
        let done = match &mut encoder {
            Encoder::Standard(e) => put_plane(e, self.size_yx, dtype, plane, description),
            Encoder::Big(e) => put_plane(e, self.size_yx, dtype, plane, description),
        };
        done.map_err(|e| encode_error(&self.path, e))?;
        self.encoder = Some(encoder);
        self.written += 1;
        Ok(())
    }

    /// Whether all planes have been written.
    pub(crate) fn is_complete(&self) -> bool {
        self.written == self.planes
    }

    /// Brings the file to the disk; it still has its temporary name.
    ///
    /// # Errors
    /// [`Error::Usage`] if planes are missing.
    pub(crate) fn close(self) -> Result<Staged> {
        if !self.is_complete() {
            let message = format!("{} of {} planes have been written", self.written, self.planes);
            return Err(Error::usage(Place::path(&self.path), message));
        }
        self.file.sync_all().map_err(Error::at(&self.path))?;
        Ok(self.staged)
    }
}

impl Encoder {
    fn new(file: File, options: &WriteOptions, planes: u64) -> Result<Self, TiffError> {
        let plane = options.shape[1].saturating_mul(options.shape[2]);
        let plane = plane.saturating_mul(options.dtype.size() as u64).saturating_add(PAGE_OVERHEAD);
        let (compression, predictor) = codec(options);
        if plane.saturating_mul(planes) > BIG_FROM {
            let encoder = TiffEncoder::new_big(file)?;
            return Ok(Self::Big(encoder.with_compression(compression).with_predictor(predictor)));
        }
        let encoder = TiffEncoder::new(file)?;
        Ok(Self::Standard(encoder.with_compression(compression).with_predictor(predictor)))
    }
}

/// The encoder has no Zstandard, so that the default of other formats becomes uncompressed here.
fn codec(options: &WriteOptions) -> (Compression, Predictor) {
    let Codec::Gzip(level) = options.codec else {
        return (Compression::Uncompressed, Predictor::None);
    };
    let level = match level {
        0..=3 => DeflateLevel::Fast,
        4..=7 => DeflateLevel::Balanced,
        _ => DeflateLevel::Best,
    };
    let integer = options.dtype.kind() != 'f';
    let predictor = if integer { Predictor::Horizontal } else { Predictor::None };
    (Compression::Deflate(level), predictor)
}

/// Whether there is something to say that pages alone do not.
pub(super) fn is_described(options: &WriteOptions) -> bool {
    let plain_name = options.channels.len() == 1 && options.channels[0] == "0";
    options.shape[0] > 1 || options.voxel_size.is_some() || !plain_name
}

fn too_long(path: &Path, length: u64) -> Error {
    Error::unsupported(Place::path(path), format!("an axis of {length} voxels in TIFF"))
}

fn put_plane<K: TiffKind>(
    encoder: &mut TiffEncoder<File, K>,
    size_yx: [u32; 2],
    dtype: DataType,
    plane: &[u8],
    description: Option<String>,
) -> Result<(), TiffError> {
    let page = PageValues { size_yx, plane, description };
    match dtype {
        DataType::U8 => page.put::<Gray8, K>(encoder),
        DataType::U16 => page.put::<Gray16, K>(encoder),
        DataType::U32 => page.put::<Gray32, K>(encoder),
        DataType::U64 => page.put::<Gray64, K>(encoder),
        DataType::I8 => page.put::<GrayI8, K>(encoder),
        DataType::I16 => page.put::<GrayI16, K>(encoder),
        DataType::I32 => page.put::<GrayI32, K>(encoder),
        DataType::I64 => page.put::<GrayI64, K>(encoder),
        DataType::F32 => page.put::<Gray32Float, K>(encoder),
        DataType::F64 => page.put::<Gray64Float, K>(encoder),
    }
}

struct PageValues<'a> {
    size_yx: [u32; 2],
    plane: &'a [u8],
    description: Option<String>,
}

impl PageValues<'_> {
    fn put<C, K>(&self, encoder: &mut TiffEncoder<File, K>) -> Result<(), TiffError>
    where
        C: ColorType,
        C::Inner: bytemuck::Pod,
        [C::Inner]: TiffValue,
        K: TiffKind,
    {
        let [height, width] = self.size_yx;
        let mut image = encoder.new_image::<C>(width, height)?;
        if let Some(text) = &self.description {
            image.encoder().write_tag(Tag::ImageDescription, text.as_str())?;
        }
        // The bytes are those of a vector of this very type: aligned, and never split.
        let values = bytemuck::try_cast_slice(self.plane).map_err(|_| TiffError::IntSizeError)?;
        image.write_data(values)
    }
}

fn encode_error(path: &Path, error: TiffError) -> Error {
    match error {
        TiffError::IoError(source) => Error::io(Place::path(path), source),
        other => Error::unsupported(Place::path(path), format!("writing TIFF: {other}")),
    }
}
