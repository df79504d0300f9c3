//! The first 64 bytes of a file of records.

use std::path::Path;

use exavox_io::{Error, Place, Result};

use super::{Record, page_records};

/// Bytes of the header.
pub(super) const BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"exavoxRC";
const VERSION: u32 = 1;
/// Bytes after each page.
pub(super) const CHECKSUM_BYTES: u64 = 4;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of records.
    pub(super) count: u64,
    /// CRC-32C of the checksums of all pages.
    pub(super) digest: u32,
}

impl Header {
    /// The header as it is written: magic, version, size and kind of a record, number of records, records
    /// of a page, digest, zeros, checksum of what comes before.
    pub(super) fn to_bytes<T: Record>(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(size_of::<T>() as u32).to_le_bytes());
        bytes[16..32].copy_from_slice(&kind::<T>());
        bytes[32..40].copy_from_slice(&self.count.to_le_bytes());
        bytes[40..44].copy_from_slice(&(page_records::<T>() as u32).to_le_bytes());
        bytes[44..48].copy_from_slice(&self.digest.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header of records of type `T`, of a file of `length` bytes.
    pub(super) fn parse<T: Record>(path: &Path, bytes: &[u8; BYTES], length: u64) -> Result<Self> {
        let wrong = |message: String| Error::format(Place::path(path), message);
        if bytes[0..8] != MAGIC {
            return Err(wrong("not a file of records".to_owned()));
        }
        if number(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return Err(wrong("the header is damaged: its checksum is another".to_owned()));
        }
        if number(bytes, 8) != VERSION {
            let found = number(bytes, 8);
            return Err(wrong(format!("expected records of version {VERSION}, found {found}")));
        }
        if bytes[16..32] != kind::<T>() {
            let found = String::from_utf8_lossy(&bytes[16..32]);
            let found = found.trim_end_matches('\0');
            return Err(wrong(format!("expected records of kind '{}', found '{found}'", T::KIND)));
        }
        let sizes = (u64::from(number(bytes, 12)), u64::from(number(bytes, 40)));
        let expected = (size_of::<T>() as u64, page_records::<T>());
        if sizes != expected {
            let message = format!(
                "expected records of {} bytes, {} a page, found {} bytes, {} a page",
                expected.0, expected.1, sizes.0, sizes.1
            );
            return Err(wrong(message));
        }
        let count = u64::from(number(bytes, 32)) | u64::from(number(bytes, 36)) << 32;
        if file_bytes::<T>(count) != Some(length) {
            let message = format!("the file is torn: {count} records do not make {length} bytes");
            return Err(wrong(message));
        }
        Ok(Self { count, digest: number(bytes, 44) })
    }
}

/// Length of a file; `None` if no file can be as long.
fn file_bytes<T: Record>(count: u64) -> Option<u64> {
    let checksums = count.div_ceil(page_records::<T>()).checked_mul(CHECKSUM_BYTES)?;
    count.checked_mul(size_of::<T>() as u64)?.checked_add(checksums)?.checked_add(BYTES as u64)
}

fn kind<T: Record>() -> [u8; 16] {
    const { assert!(T::KIND.len() <= 16 && T::KIND.is_ascii()) };
    let mut kind = [0; 16];
    kind[..T::KIND.len()].copy_from_slice(T::KIND.as_bytes());
    kind
}

fn number(bytes: &[u8; BYTES], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
