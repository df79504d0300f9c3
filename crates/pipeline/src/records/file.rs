//! Reading records from any place of a file.

use std::fs::File;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use exavox_io::{Error, Place};

use super::header::{self, CHECKSUM_BYTES, Header};
use super::{Record, RecordReader, page_checksum, page_records};
use crate::error::Result;

/// A file of records, opened. Many threads may read it at once.
#[derive(Debug)]
pub struct RecordFile<T> {
    path: PathBuf,
    file: File,
    header: Header,
    record: PhantomData<T>,
}

impl<T: Record> RecordFile<T> {
    /// Opens a file.
    ///
    /// # Errors
    /// If it is not there, holds other records, or has not the length that its header gives.
    pub fn open(path: &Path) -> Result<Self> {
        let io_error = |source| Error::io(Place::path(path), source);
        let file = File::open(path).map_err(io_error)?;
        let length = file.metadata().map_err(io_error)?.len();
        let mut bytes = [0; header::BYTES];
        if length < bytes.len() as u64 {
            let message = format!("not a file of records: it has {length} bytes");
            return Err(Error::format(Place::path(path), message).into());
        }
        file.read_exact_at(&mut bytes, 0).map_err(io_error)?;
        let header = Header::parse::<T>(path, &bytes, length)?;
        Ok(Self { path: path.to_owned(), file, header, record: PhantomData })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of records.
    pub fn len(&self) -> u64 {
        self.header.count
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Digest of all records, as [`super::Written::digest`].
    pub fn digest(&self) -> u32 {
        self.header.digest
    }

    /// Some of the records; what lies beyond the last one is left out. Reads the pages that hold them.
    ///
    /// # Errors
    /// If a page is damaged or cannot be read; the error names it.
    pub fn read(&self, records: Range<u64>) -> Result<Vec<T>> {
        let end = records.end.min(self.len());
        let mut found = Vec::with_capacity(end.saturating_sub(records.start) as usize);
        self.append_to(records, &mut found)?;
        Ok(found)
    }

    /// As [`RecordFile::read`], into memory that has been used before.
    pub(crate) fn append_to(&self, records: Range<u64>, found: &mut Vec<T>) -> Result<()> {
        let end = records.end.min(self.len());
        let mut page = Page::default();
        let mut next = records.start;
        while next < end {
            let whole = page_records::<T>();
            let first = next / whole * whole;
            page.read(self, next / whole)?;
            let here = (next - first) as usize..(end - first).min(whole) as usize;
            append(found, &page.bytes, here);
            next = (first + whole).min(end);
        }
        Ok(())
    }

    /// All records in their order.
    pub fn reader(self) -> RecordReader<T> {
        RecordReader::new(self)
    }

    /// Number of pages.
    pub(super) fn pages(&self) -> u64 {
        self.len().div_ceil(page_records::<T>())
    }
}

/// Bytes of one page, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Page {
    bytes: Vec<u8>,
}

impl Page {
    /// Reads a page of a file; gives its checksum.
    pub(super) fn read<T: Record>(&mut self, from: &RecordFile<T>, page: u64) -> Result<u32> {
        let (whole, size) = (page_records::<T>(), size_of::<T>() as u64);
        let records = (from.len() - page * whole).min(whole);
        let stride = whole * size + CHECKSUM_BYTES;
        let bytes = (records * size) as usize;
        self.bytes.resize(bytes + CHECKSUM_BYTES as usize, 0);
        from.file
            .read_exact_at(&mut self.bytes, header::BYTES as u64 + page * stride)
            .map_err(|source| Error::io(Place::path(&from.path), source))?;
        let stored: [u8; 4] = std::array::from_fn(|i| self.bytes[bytes + i]);
        self.bytes.truncate(bytes);
        let checksum = page_checksum(page, &self.bytes);
        if u32::from_le_bytes(stored) != checksum {
            let first = page * whole;
            let message =
                format!("damaged: the checksum of records {first}:{} is another", first + records);
            return Err(Error::format(Place::path(&from.path), message).into());
        }
        Ok(checksum)
    }

    /// All records of the page that was read last.
    pub(super) fn records_into<T: Record>(&self, out: &mut Vec<T>) {
        out.clear();
        append(out, &self.bytes, 0..self.bytes.len() / size_of::<T>());
    }
}

/// Copies: bytes that were read need not be aligned as records must be.
fn append<T: Record>(out: &mut Vec<T>, bytes: &[u8], records: Range<usize>) {
    let (size, from) = (size_of::<T>(), out.len());
    out.resize(from + records.len(), T::zeroed());
    let bytes = &bytes[records.start * size..records.end * size];
    bytemuck::cast_slice_mut::<T, u8>(&mut out[from..]).copy_from_slice(bytes);
}
