//! Writing records one after the other.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use exavox_io::staging::{Staged, WriteMode};
use exavox_io::{Error, Place};

use super::header::{self, Header};
use super::{PAGE_BYTES, Record, extend_digest, page_checksum, page_records};
use crate::error::Result;

/// A file of records that is being written. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct RecordWriter<T> {
    staged: Staged,
    /// `None` between pages if there are more writers than a process may have open files.
    file: Option<File>,
    among_many: bool,
    page: Vec<u8>,
    pages: u64,
    header: Header,
    record: PhantomData<T>,
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Number of records.
    pub count: u64,
    /// CRC-32C of the checksums of all pages: equal for files of equal records.
    pub digest: u32,
}

impl<T: Record> RecordWriter<T> {
    /// Begins a file, in place of one that may be there, beside its name. Memory: 32 KiB.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn create(path: &Path) -> Result<Self> {
        Self::begin(path, false)
    }

    /// A writer of which there may be thousands: its file is closed between pages.
    pub(crate) fn create_among_many(path: &Path) -> Result<Self> {
        Self::begin(path, true)
    }

    fn begin(path: &Path, among_many: bool) -> Result<Self> {
        let staged = Staged::new(path, WriteMode::Overwrite)?;
        let mut file = File::create(staged.path()).map_err(at(staged.path()))?;
        file.write_all(&[0; header::BYTES]).map_err(at(staged.path()))?;
        let file = (!among_many).then_some(file);
        // A page and its checksum.
        let page = Vec::with_capacity(PAGE_BYTES + 4);
        let header = Header { count: 0, digest: 0 };
        Ok(Self { staged, file, among_many, page, pages: 0, header, record: PhantomData })
    }

    /// Number of records so far.
    pub fn count(&self) -> u64 {
        self.header.count
    }

    /// Adds a record.
    ///
    /// # Errors
    /// If the system cannot write, such as when the disk is full.
    pub fn push(&mut self, record: T) -> Result<()> {
        self.page.extend_from_slice(bytemuck::bytes_of(&record));
        self.header.count += 1;
        if self.page.len() == page_records::<T>() as usize * size_of::<T>() {
            self.write_page()?;
        }
        Ok(())
    }

    /// Adds records in their order.
    ///
    /// # Errors
    /// As [`RecordWriter::push`].
    pub fn extend(&mut self, records: &[T]) -> Result<()> {
        records.iter().try_for_each(|record| self.push(*record))
    }

    /// Puts the file to its name; it is on the disk when this returns.
    ///
    /// # Errors
    /// As [`RecordWriter::push`].
    pub fn finish(self) -> Result<Written> {
        let (staged, written) = self.complete()?;
        staged.commit_synced()?;
        Ok(written)
    }

    /// Puts a file to its name that need not survive a loss of power: work that would be done again.
    pub(crate) fn finish_unsynced(self) -> Result<Written> {
        let (staged, written) = self.complete()?;
        staged.commit()?;
        Ok(written)
    }

    fn complete(mut self) -> Result<(Staged, Written)> {
        if !self.page.is_empty() {
            self.write_page()?;
        }
        let bytes = self.header.to_bytes::<T>();
        self.write_at(SeekFrom::Start(0), &bytes).map_err(at(self.staged.path()))?;
        let written = Written { count: self.header.count, digest: self.header.digest };
        Ok((self.staged, written))
    }

    fn write_page(&mut self) -> Result<()> {
        let checksum = page_checksum(self.pages, &self.page);
        self.page.extend_from_slice(&checksum.to_le_bytes());
        let page = std::mem::take(&mut self.page);
        self.write_at(SeekFrom::End(0), &page).map_err(at(self.staged.path()))?;
        self.page = page;
        self.page.clear();
        self.pages += 1;
        self.header.digest = extend_digest(self.header.digest, checksum);
        Ok(())
    }

    fn write_at(&mut self, place: SeekFrom, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::options().write(true).open(self.staged.path())?,
        };
        file.seek(place)?;
        file.write_all(bytes)?;
        self.file = (!self.among_many).then_some(file);
        Ok(())
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| Error::io(Place::path(path), source)
}
