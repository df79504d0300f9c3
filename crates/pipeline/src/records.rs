//! Files of records of one size, for tables that do not fit into memory: edges between labels, maps of
//! labels, what was found where blocks meet.
//!
//! A file is a header of 64 bytes and pages of 32 KiB, each followed by the CRC-32C of its number and its
//! bytes; numbers are little endian. What a header promises is held against the length of the file when
//! it is opened, each page is checked when it is read, the order of pages when all of them are: a file
//! that is torn, damaged or of another kind is refused with its name. Files are written under a temporary
//! name and renamed, so a file that is there is whole.

mod external_sort;
mod file;
mod header;
mod reader;
mod scratch;
mod writer;

pub use external_sort::ExternalSort;
pub use file::RecordFile;
pub use reader::RecordReader;
pub(crate) use scratch::Scratch;
pub use writer::{RecordWriter, Written};

/// Bytes of whole records that share a checksum.
pub(crate) const PAGE_BYTES: usize = 32 << 10;

/// Plain data of a fixed size that files of records hold.
///
/// The bytes of a value in memory are those in the file: only for machines that are little endian.
pub trait Record: bytemuck::Pod + Send + Sync {
    /// What the record is, at most 16 ASCII characters: a file of another kind is refused.
    const KIND: &'static str;
}

const _: () = assert!(cfg!(target_endian = "little"), "records are written as they lie in memory");

/// Records of a whole page.
const fn page_records<T>() -> u64 {
    assert!(size_of::<T>() > 0 && size_of::<T>() <= PAGE_BYTES);
    (PAGE_BYTES / size_of::<T>()) as u64
}

/// Checksum of a page: its number takes part, so that pages cannot change places.
fn page_checksum(page: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&page.to_le_bytes()), bytes)
}

/// Digest of a file after a further page.
fn extend_digest(digest: u32, page_checksum: u32) -> u32 {
    crc32c::crc32c_append(digest, &page_checksum.to_le_bytes())
}
