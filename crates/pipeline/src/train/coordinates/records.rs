//! Records of a TFRecord file, plain or gzip.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::Result;

/// Bytes of a record at most; those of google/ffn have about 70.
const MAX_RECORD: u64 = 1 << 16;

/// The records of a file, one after the other.
pub(super) struct Records {
    stream: Box<dyn Read>,
}

impl Records {
    /// # Errors
    /// What the disk says.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(exavox_io::Error::at(path))?;
        let mut reader = BufReader::new(file);
        let zipped = std::io::BufRead::fill_buf(&mut reader)
            .map_err(exavox_io::Error::at(path))?
            .starts_with(&[0x1f, 0x8b]);
        let stream: Box<dyn Read> = if zipped {
            Box::new(BufReader::new(MultiGzDecoder::new(reader)))
        } else {
            Box::new(reader)
        };
        Ok(Self { stream })
    }

    /// The next one; nothing at the end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn next(&mut self) -> std::result::Result<Option<Vec<u8>>, String> {
        next_record(&mut self.stream)
    }
}

/// A record: its length, the length's checksum, its bytes, their checksum. Nothing at the end.
fn next_record(stream: &mut dyn Read) -> std::result::Result<Option<Vec<u8>>, String> {
    let mut head = Vec::with_capacity(12);
    (&mut *stream).take(12).read_to_end(&mut head).map_err(|e| e.to_string())?;
    if head.is_empty() {
        return Ok(None);
    }
    let Ok([length, check]) = split(&head) else {
        return Err(format!("cut off: expected 12 bytes, found {}", head.len()));
    };
    check_crc(&length, &check, "length")?;
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
    if length > MAX_RECORD {
        return Err(format!("expected at most {MAX_RECORD} bytes, found {length}"));
    }
    let mut body = Vec::with_capacity(length as usize + 4);
    (&mut *stream).take(length + 4).read_to_end(&mut body).map_err(|e| e.to_string())?;
    if body.len() as u64 != length + 4 {
        return Err(format!("cut off: expected {} bytes, found {}", length + 4, body.len()));
    }
    let check = body.split_off(length as usize);
    check_crc(&body, &check, "record")?;
    Ok(Some(body))
}

fn split(head: &[u8]) -> std::result::Result<[Vec<u8>; 2], ()> {
    if head.len() == 12 { Ok([head[..8].to_vec(), head[8..].to_vec()]) } else { Err(()) }
}

/// Checksums of TFRecord: crc32c, rotated, plus a constant.
fn check_crc(bytes: &[u8], check: &[u8], what: &str) -> std::result::Result<(), String> {
    if masked_crc(bytes).to_le_bytes() == check {
        return Ok(());
    }
    Err(format!("checksum of the {what} is wrong: not a TFRecord file, or damaged"))
}

pub(super) fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
