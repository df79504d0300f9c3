//! Reading records one after the other.

use std::path::Path;

use exavox_io::{Error, Place};

use super::file::Page;
use super::{Record, RecordFile, extend_digest};
use crate::error::Result;

/// All records of a file in their order. Memory: two pages.
///
/// A page that is damaged ends the records with an error, as does an order of pages that is not the one
/// that was written.
#[derive(Debug)]
pub struct RecordReader<T> {
    file: RecordFile<T>,
    page: Page,
    records: Vec<T>,
    next: usize,
    next_page: u64,
    digest: u32,
}

impl<T: Record> RecordReader<T> {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`RecordFile::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::new(RecordFile::open(path)?))
    }

    pub(super) fn new(file: RecordFile<T>) -> Self {
        let (page, records) = (Page::default(), Vec::new());
        Self { file, page, records, next: 0, next_page: 0, digest: 0 }
    }

    /// Number of records of the file.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// Whether the file has no record.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    /// The next record, without passing it.
    ///
    /// # Errors
    /// If the page that holds it is damaged or cannot be read.
    pub fn peek(&mut self) -> Result<Option<T>> {
        if self.next == self.records.len() && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.records[self.next]))
    }

    /// The next record.
    ///
    /// # Errors
    /// As [`RecordReader::peek`].
    pub fn pop(&mut self) -> Result<Option<T>> {
        let record = self.peek()?;
        self.next += usize::from(record.is_some());
        Ok(record)
    }

    fn fill(&mut self) -> Result<bool> {
        if self.next_page == self.file.pages() {
            return Ok(false);
        }
        let checksum = self.page.read(&self.file, self.next_page)?;
        self.page.records_into(&mut self.records);
        self.digest = extend_digest(self.digest, checksum);
        (self.next, self.next_page) = (0, self.next_page + 1);
        if self.next_page == self.file.pages() && self.digest != self.file.digest() {
            let message = "damaged: the digest of its pages is another";
            return Err(Error::format(Place::path(self.file.path()), message).into());
        }
        Ok(true)
    }
}

impl<T: Record> Iterator for RecordReader<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop().transpose()
    }
}
