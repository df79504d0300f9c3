//! Image file directories: the chain of pages, and the values of their tags.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tiff::tags::Tag;

use crate::error::{Error, Place, Result};
use crate::format::raw::Endian;

/// Pages that one file may have.
const MAX_PAGES: usize = 1 << 20;
/// SubIFDs that one page may have: scales of a pyramid, a thumbnail.
const MAX_SUB_DIRECTORIES: usize = 63;
/// Bytes read at once where a directory is expected: holds 80 entries, few files have more.
const GUESS: u64 = 1024;

/// The parts of an open file that reading directories needs.
pub(super) struct DirectoryReader<'a> {
    file: &'a File,
    path: &'a Path,
    /// Length of the file in bytes.
    pub(super) length: u64,
    /// Byte order of everything in the file.
    pub(super) endian: Endian,
    big: bool,
    first: u64,
    /// Bytes of tag values read so far. Honest values do not overlap, so that they are fewer than the
    /// file has (twice: the first page is read two times); a file made to use up memory lets many
    /// pages share one large value.
    charged: Cell<u64>,
}

/// One page's tags.
pub(super) struct Directory {
    /// Place of the directory in the file.
    pub(super) offset: u64,
    entries: Vec<Entry>,
    next: u64,
}

/// A tag with the place of its values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    tag: u16,
    kind: u16,
    /// Number of values.
    pub(super) count: u64,
    inline: [u8; 8],
}

impl Directory {
    /// The entry of a tag, if the page has it.
    pub(super) fn find(&self, tag: Tag) -> Option<Entry> {
        self.entries.iter().find(|e| e.tag == tag.to_u16()).copied()
    }
}

impl<'a> DirectoryReader<'a> {
    /// Reads the file's header.
    pub(super) fn new(file: &'a File, path: &'a Path) -> Result<Self> {
        let length = file.metadata().map_err(Error::at(path))?.len();
        let charged = Cell::new(0);
        let mut this =
            Self { file, path, length, endian: Endian::Little, big: false, first: 0, charged };
        let head = this.bytes_at(0, length.min(16), "the header")?;
        if head.starts_with(b"MM") {
            this.endian = Endian::Big;
        }
        this.big = this.number(&head, 2, 2) == Some(43);
        let first = if this.big { this.number(&head, 8, 8) } else { this.number(&head, 4, 4) };
        this.first = first.ok_or_else(|| this.damaged("truncated in the header"))?;
        Ok(this)
    }

    /// All pages in the order of the chain.
    ///
    /// # Errors
    /// [`Error::Format`] if the chain is truncated, loops, or has too many pages.
    pub(super) fn chain(&self) -> Result<Vec<Directory>> {
        let (mut seen, mut pages, mut at) = (HashSet::new(), Vec::new(), self.first);
        while at != 0 {
            if !seen.insert(at) {
                let message =
                    format!("the chain of pages loops: page {} is an earlier one", pages.len());
                return Err(self.damaged(&message));
            }
            if pages.len() == MAX_PAGES {
                return Err(self.damaged(&format!("more than {MAX_PAGES} pages")));
            }
            let directory =
                self.directory(at, &format!("the directory of page {}", pages.len()))?;
            at = directory.next;
            pages.push(directory);
        }
        if pages.is_empty() {
            return Err(self.damaged("no page"));
        }
        Ok(pages)
    }

    /// Values of an integer tag.
    ///
    /// # Errors
    /// [`Error::Format`] if they are not unsigned integers or lie outside the file.
    pub(super) fn integers(&self, entry: Entry) -> Result<Vec<u64>> {
        let size = match entry.kind {
            1 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            kind => {
                let message = format!("tag {} has type {kind}; expected an integer", entry.tag);
                return Err(self.damaged(&message));
            }
        };
        let bytes = self.value_bytes(entry, size)?;
        Ok(bytes.chunks_exact(size).map(|b| integer(b, self.endian)).collect())
    }

    /// First value of a rational tag.
    pub(super) fn rational(&self, entry: Entry) -> Result<f64> {
        let bytes = self.value_bytes(entry, 8)?;
        let parts = (self.number(&bytes, 0, 4), self.number(&bytes, 4, 4));
        match (entry.kind, parts) {
            (5, (Some(over), Some(under))) => Ok(over as f64 / under as f64),
            _ => Err(self.damaged(&format!("tag {} is not a fraction", entry.tag))),
        }
    }

    /// Bytes of a tag of text or of undefined type.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] above `limit` bytes.
    pub(super) fn bytes(&self, entry: Entry, limit: u64) -> Result<Vec<u8>> {
        if entry.count > limit {
            let (place, what) = (Place::path(self.path), format!("tag {}", entry.tag));
            return Err(Error::LimitExceeded { place, what, needed: entry.count, limit });
        }
        self.value_bytes(entry, 1)
    }

    /// The SubIFDs of a page, in the order of its list. A list of one begins a chain, as some writers
    /// have it; the others are complete in themselves.
    ///
    /// # Errors
    /// [`Error::Format`] if there are more than [`MAX_SUB_DIRECTORIES`], or one is in `seen`, where those
    /// of the file that have been read are kept: then there is a loop.
    pub(super) fn sub_directories(
        &self,
        page: &Directory,
        number: usize,
        seen: &mut HashSet<u64>,
    ) -> Result<Vec<Directory>> {
        let Some(entry) = page.find(Tag::SubIfd) else { return Ok(Vec::new()) };
        let too_many = |count: u64| {
            let message = format!(
                "page {number} has {count} SubIFDs, at most {MAX_SUB_DIRECTORIES} are read"
            );
            self.damaged(&message)
        };
        if entry.count > MAX_SUB_DIRECTORIES as u64 {
            return Err(too_many(entry.count));
        }
        let mut left: VecDeque<u64> = self.integers(entry)?.into();
        let chained = left.len() == 1;
        let mut directories: Vec<Directory> = Vec::new();
        while let Some(at) = left.pop_front() {
            let what = format!("SubIFD {} of page {number}", directories.len());
            if !seen.insert(at) {
                let message = format!("the SubIFDs loop: {what} is a directory read before");
                return Err(self.damaged(&message));
            }
            if directories.len() == MAX_SUB_DIRECTORIES {
                return Err(too_many(directories.len() as u64 + 1));
            }
            let directory = self.directory(at, &what)?;
            left.extend(Some(directory.next).filter(|next| chained && *next != 0));
            directories.push(directory);
        }
        Ok(directories)
    }

    fn directory(&self, at: u64, what: &str) -> Result<Directory> {
        let (counter, entry, pointer) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let mut bytes = self.bytes_at(at, GUESS.min(self.length.saturating_sub(at)), what)?;
        let truncated = || self.damaged(&format!("truncated in {what} at byte {at}"));
        let count = self.number(&bytes, 0, counter).ok_or_else(truncated)?;
        if count > 1 << 16 {
            return Err(self.damaged(&format!("{what} claims {count} tags")));
        }
        let size = counter as u64 + count * entry as u64 + pointer as u64;
        if size > bytes.len() as u64 {
            bytes = self.bytes_at(at, size, what)?;
        }
        let entries = bytes[counter..].chunks_exact(entry).take(count as usize);
        let entries = entries.filter_map(|b| self.entry(b)).collect();
        let next = self.number(&bytes, (size - pointer as u64) as usize, pointer);
        Ok(Directory { offset: at, entries, next: next.ok_or_else(truncated)? })
    }

    fn entry(&self, bytes: &[u8]) -> Option<Entry> {
        let width = if self.big { 8 } else { 4 };
        let mut inline = [0; 8];
        inline[..width].copy_from_slice(bytes.get(4 + width..4 + 2 * width)?);
        Some(Entry {
            tag: self.number(bytes, 0, 2)? as u16,
            kind: self.number(bytes, 2, 2)? as u16,
            count: self.number(bytes, 4, width)?,
            inline,
        })
    }

    fn value_bytes(&self, entry: Entry, size: usize) -> Result<Vec<u8>> {
        let width = if self.big { 8 } else { 4 };
        let needed = entry.count.saturating_mul(size as u64);
        if needed <= width as u64 {
            return Ok(entry.inline[..needed as usize].to_vec());
        }
        let charged = self.charged.get().saturating_add(needed);
        if charged > self.length.saturating_mul(2) {
            let message = format!(
                "truncated: tag {} has {} values of {size} bytes, file has {} bytes",
                entry.tag, entry.count, self.length
            );
            return Err(self.damaged(&message));
        }
        self.charged.set(charged);
        let offset = integer(&entry.inline[..width], self.endian);
        self.bytes_at(offset, needed, &format!("tag {}", entry.tag))
    }

    /// Bytes of the file; the length is checked before memory is taken.
    fn bytes_at(&self, offset: u64, length: u64, what: &str) -> Result<Vec<u8>> {
        let end = offset.saturating_add(length);
        if length == 0 || end > self.length {
            let message = format!("truncated: {what} ends at byte {end}, file has {}", self.length);
            return Err(self.damaged(&message));
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset).map_err(Error::at(self.path))?;
        Ok(bytes)
    }

    fn number(&self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        Some(integer(bytes.get(at..at.checked_add(size)?)?, self.endian))
    }

    fn damaged(&self, message: &str) -> Error {
        Error::format(Place::path(self.path), message)
    }
}

/// An unsigned integer of up to 8 bytes.
fn integer(bytes: &[u8], endian: Endian) -> u64 {
    let shift = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        Endian::Big => bytes.iter().fold(0, shift),
        Endian::Little => bytes.iter().rev().fold(0, shift),
    }
}
