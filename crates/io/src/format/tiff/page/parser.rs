//! Reading the tags of one page, with all checks on sizes.

use std::path::Path;
use std::sync::Arc;

use tiff::tags::Tag;

use super::{Chunks, Form, Page, PageName};
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::tiff::directory::{Directory, DirectoryReader};

/// What a page is beside the others, by its NewSubfileType.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format::tiff) enum Role {
    Full,
    /// A thumbnail or a smaller scale of another page.
    Reduced,
    /// A transparency mask of another page.
    Mask,
}

/// Reads and checks the tags of one page.
pub(in crate::format::tiff) struct PageParser<'a> {
    pub(in crate::format::tiff) reader: &'a DirectoryReader<'a>,
    pub(in crate::format::tiff) path: &'a Path,
    pub(in crate::format::tiff) name: PageName,
}

impl PageParser<'_> {
    /// What the page is beside the others.
    pub(in crate::format::tiff) fn role(&self, directory: &Directory) -> Result<Role> {
        Ok(match self.integer(directory, Tag::NewSubfileType, 0)? & 0b101 {
            0b000 => Role::Full,
            0b001 => Role::Reduced,
            _ => Role::Mask,
        })
    }

    /// The page; `previous` lends its form where the new one is equal.
    ///
    /// # Errors
    /// [`Error::Format`] if tags are missing or contradict each other or the file's length;
    /// [`Error::Unsupported`] for types and compressions that are not read.
    pub(in crate::format::tiff) fn page(
        &self,
        directory: &Directory,
        previous: Option<&Arc<Form>>,
    ) -> Result<Page> {
        let form = self.form(directory)?;
        let form = match previous {
            Some(other) if **other == form => other.clone(),
            _ => Arc::new(form),
        };
        let chunks = self.chunks(directory, &form)?;
        Ok(Page { form, chunks })
    }

    /// Shape, type and layout of the page.
    ///
    /// # Errors
    /// As [`PageParser::page`].
    pub(in crate::format::tiff) fn form(&self, directory: &Directory) -> Result<Form> {
        self.check_plain(directory)?;
        let width = self.required(directory, Tag::ImageWidth)?;
        let height = self.required(directory, Tag::ImageLength)?;
        let samples = self.integer(directory, Tag::SamplesPerPixel, 1)?;
        let tiled = directory.find(Tag::TileOffsets).is_some();
        let (chunk_rows, chunk_columns) = if tiled {
            (self.required(directory, Tag::TileLength)?, self.required(directory, Tag::TileWidth)?)
        } else {
            (self.integer(directory, Tag::RowsPerStrip, height)?.min(height), width)
        };
        let sizes = [width, height, samples, chunk_rows, chunk_columns];
        if sizes.iter().any(|s| !(1..=u64::from(u32::MAX)).contains(s)) || samples > 1 << 16 {
            let message = format!(
                "{height} x {width} with {samples} samples and strips or tiles of \
                {chunk_rows} x {chunk_columns}: sizes must be from 1 to 2^32 - 1"
            );
            return Err(self.damaged(message));
        }
        let form = Form {
            width,
            height,
            dtype: self.dtype(directory)?,
            samples,
            interleaved: samples == 1 || self.integer(directory, Tag::PlanarConfiguration, 1)? == 1,
            tiled,
            chunk_rows,
            chunk_columns,
            compression: self.integer(directory, Tag::Compression, 1)? as u16,
            predictor: self.integer(directory, Tag::Predictor, 1)? as u16,
            jpeg_tables: self.jpeg_tables(directory)?,
            endian: self.reader.endian,
        };
        self.check_codec(&form)?;
        Ok(form)
    }

    fn check_plain(&self, directory: &Directory) -> Result<()> {
        if self.integer(directory, Tag::FillOrder, 1)? != 1 {
            return Err(self.unsupported("bytes in reversed bit order (FillOrder 2)"));
        }
        if self.integer(directory, Tag::Unknown(32997), 1)? > 1 {
            return Err(self.unsupported("several planes in one page (ImageDepth)"));
        }
        Ok(())
    }

    fn dtype(&self, directory: &Directory) -> Result<DataType> {
        let bits = self.equal_integers(directory, Tag::BitsPerSample, 1)?;
        let format = self.equal_integers(directory, Tag::SampleFormat, 1)?;
        let kind = match format {
            1 | 4 => 'u',
            2 => 'i',
            3 => 'f',
            _ => return Err(self.unsupported(&format!("sample format {format}"))),
        };
        let size = if bits % 8 == 0 { bits as usize / 8 } else { 0 };
        DataType::from_kind(kind, size).ok_or_else(|| {
            let what = format!(
                "{bits} bits per sample of kind '{kind}'; known are integers of 8, 16, \
                32 and 64 bits and floats of 32 and 64"
            );
            self.unsupported(&what)
        })
    }

    fn check_codec(&self, form: &Form) -> Result<()> {
        match form.compression {
            1 | 5 | 8 | 32946 | 32773 | 50000 => {}
            7 if form.samples == 1 && form.dtype == DataType::U8 => {}
            other => {
                let message = format!(
                    "compression {other}; known are none, LZW, Deflate, PackBits, \
                    Zstandard and grey JPEG"
                );
                return Err(self.unsupported(&message));
            }
        }
        match (form.predictor, form.dtype.kind()) {
            (1 | 2, _) | (3, 'f') => Ok(()),
            (other, _) => Err(self.unsupported(&format!("predictor {other} for {}", form.dtype))),
        }
    }

    fn jpeg_tables(&self, directory: &Directory) -> Result<Option<Vec<u8>>> {
        let entry = directory.find(Tag::JPEGTables);
        entry.map(|e| self.reader.bytes(e, 1 << 16)).transpose()
    }

    fn chunks(&self, directory: &Directory, form: &Form) -> Result<Chunks> {
        let (offsets, counts) = if form.tiled {
            (Tag::TileOffsets, Tag::TileByteCounts)
        } else {
            (Tag::StripOffsets, Tag::StripByteCounts)
        };
        let expected = form.num_chunks();
        let offsets = self.table(directory, offsets, form, expected)?;
        let counts = match directory.find(counts) {
            // Some old writers leave the counts of uncompressed strips out.
            None if form.is_raw() => (0..offsets.len() as u64).map(|i| form.raw_bytes(i)).collect(),
            _ => self.table(directory, counts, form, expected)?,
        };
        self.check_extents(form, &offsets, &counts)?;
        let next = |i: usize| offsets[i].checked_add(form.raw_bytes(i as u64));
        let contiguous = !form.tiled && (1..offsets.len()).all(|i| next(i - 1) == Some(offsets[i]));
        if form.is_raw() && contiguous {
            return Ok(Chunks::Contiguous { offset: offsets[0] });
        }
        Ok(Chunks::Listed { offsets: offsets.into(), counts: counts.into() })
    }

    fn table(
        &self,
        directory: &Directory,
        tag: Tag,
        form: &Form,
        expected: Option<u64>,
    ) -> Result<Vec<u64>> {
        let entry =
            directory.find(tag).ok_or_else(|| self.damaged(format!("tag {tag:?} is missing")))?;
        if Some(entry.count) != expected {
            let expected = expected.map_or("more than 2^64".to_owned(), |n| n.to_string());
            let message = format!(
                "{tag:?} lists {} {}s, expected {expected} for {}",
                entry.count,
                form.chunk_name(),
                form.describe()
            );
            return Err(self.damaged(message));
        }
        self.reader.integers(entry).map_err(|e| self.at_page(e))
    }

    fn check_extents(&self, form: &Form, offsets: &[u64], counts: &[u64]) -> Result<()> {
        let (name, length) = (form.chunk_name(), self.reader.length);
        for (i, (offset, count)) in offsets.iter().zip(counts).enumerate() {
            let needed = form.raw_bytes(i as u64);
            if *count == 0 || form.is_raw() && *count < needed {
                let message =
                    format!("{name} {i} has {count} bytes, expected {needed} uncompressed");
                return Err(self.damaged(message));
            }
            let end = offset.saturating_add(if form.is_raw() { needed } else { *count });
            if end > length {
                let message =
                    format!("truncated: {name} {i} ends at byte {end}, file has {length}");
                return Err(self.damaged(message));
            }
        }
        Ok(())
    }

    fn required(&self, directory: &Directory, tag: Tag) -> Result<u64> {
        self.integer(directory, tag, 0)
    }

    /// First value of a tag.
    fn integer(&self, directory: &Directory, tag: Tag, default: u64) -> Result<u64> {
        match directory.find(tag) {
            Some(entry) if entry.count == 1 => {
                let values = self.reader.integers(entry).map_err(|e| self.at_page(e))?;
                Ok(values.first().copied().unwrap_or(default))
            }
            Some(entry) => {
                Err(self.damaged(format!("{tag:?} has {} values, expected 1", entry.count)))
            }
            None => Ok(default),
        }
    }

    /// The value of a tag that has one per sample, which must all be equal.
    fn equal_integers(&self, directory: &Directory, tag: Tag, default: u64) -> Result<u64> {
        let Some(entry) = directory.find(tag) else { return Ok(default) };
        let values = self.reader.integers(entry).map_err(|e| self.at_page(e))?;
        let first = values.first().copied().unwrap_or(default);
        if values.iter().any(|v| *v != first) {
            return Err(self.unsupported(&format!("samples that differ in {tag:?}: {values:?}")));
        }
        Ok(first)
    }

    fn place(&self) -> Place {
        Place::path(self.path).with_key(self.name.to_string())
    }

    fn at_page(&self, error: Error) -> Error {
        match error {
            Error::Format { message, .. } => self.damaged(message),
            other => other,
        }
    }

    fn damaged(&self, message: impl Into<String>) -> Error {
        Error::format(self.place(), message)
    }

    fn unsupported(&self, message: &str) -> Error {
        Error::unsupported(self.place(), message)
    }
}
