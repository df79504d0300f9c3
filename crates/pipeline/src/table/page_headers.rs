//! What the headers of Parquet's pages say of their sizes, looked at before a page is read: the reader takes memory
//! for what they say, up to 2 GiB for a page, and damaged ones may say anything.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use parquet::basic::{Compression, Type as Physical};
use parquet::file::metadata::ColumnChunkMetaData;

/// Bytes that are read at once: most headers are shorter.
const HEADER: usize = 256;
/// Structs in structs of a header at most.
const DEPTH: usize = 8;
/// Kinds of fields that are read.
const I32: u8 = 5;
const STRUCT: u8 = 12;
/// Bytes that one byte may become: copies of at most 64 bytes take 3, ...
const SNAPPY: u64 = 22;
/// ... blocks of at most 128 KiB take 4.
const ZSTD: u64 = 1 << 15;
/// Values that a page may be padded with.
const PADDING: u64 = 1024;
/// Bytes of a value beside itself: its levels.
const LEVELS: u64 = 8;

/// What is of interest in a header.
#[derive(Debug, Default, PartialEq)]
struct PageHeader {
    uncompressed: i64,
    compressed: i64,
    /// Values of a dictionary.
    dictionary: i64,
    /// Bytes of the header itself.
    length: u64,
}

/// Whether all pages of a column lie inside of it, and say no more than it can hold.
///
/// Cost: a short read for each page.
pub(super) fn check(
    file: &mut (impl Read + Seek),
    column: &ColumnChunkMetaData,
) -> Result<(), String> {
    let (start, length) = column.byte_range();
    let (mut at, end) = (start, start.saturating_add(length));
    while at < end {
        let place = || format!("damaged: column {}: page at {at}", column.column_path());
        file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        let from = BufReader::with_capacity(HEADER, file.by_ref().take(end - at));
        let header = read_header(from).ok_or_else(|| format!("{}: no header", place()))?;
        let most = [most_bytes(column, length), end - at - header.length];
        at += header.length + header.check(most).map_err(|why| format!("{}: {why}", place()))?;
    }
    Ok(())
}

impl PageHeader {
    /// Bytes of the page behind the header; `most`: bytes that it may have, and take in the file.
    fn check(&self, [most, most_in_file]: [u64; 2]) -> Result<u64, String> {
        let at_most = |what: &str, found: i64, most: u64| match u64::try_from(found) {
            Ok(found) if found <= most => Ok(found),
            _ => Err(format!("expected at most {most} {what}, found {found}")),
        };
        let bytes = at_most("bytes", self.uncompressed, most)?;
        // One byte each at least.
        at_most("values of a dictionary", self.dictionary, bytes)?;
        at_most("bytes in the file", self.compressed, most_in_file)
    }
}

/// Bytes that a page of a column can have when it is decompressed.
fn most_bytes(column: &ColumnChunkMetaData, length: u64) -> u64 {
    let ratio = match column.compression() {
        Compression::UNCOMPRESSED => 1,
        Compression::SNAPPY => SNAPPY,
        _ => ZSTD,
    };
    let whole = |value: i64| u64::try_from(value).unwrap_or(0);
    let of_values = match column.column_type() {
        Physical::BYTE_ARRAY => whole(column.uncompressed_size()),
        physical => {
            let width = match physical {
                Physical::FIXED_LEN_BYTE_ARRAY => whole(column.column_descr().type_length().into()),
                Physical::INT96 => 12,
                _ => 8,
            };
            let values = whole(column.num_values()).saturating_add(PADDING);
            values.saturating_mul(width + LEVELS)
        }
    };
    length.saturating_mul(ratio).min(of_values)
}

/// The header at the beginning; `None` if there is none that is whole.
fn read_header(from: impl Read) -> Option<PageHeader> {
    let mut from = Compact { from, read: 0 };
    let mut header = PageHeader::default();
    let mut id = 0;
    while let Some(kind) = from.field(&mut id)? {
        match (id, kind) {
            (2, I32) => header.uncompressed = from.whole()?,
            (3, I32) => header.compressed = from.whole()?,
            (7, STRUCT) => header.dictionary = from.dictionary()?,
            _ => from.skip(kind, DEPTH)?,
        }
    }
    header.length = from.read;
    Some(header)
}

/// Thrift's compact protocol, as far as headers of pages need it.
struct Compact<R> {
    from: R,
    /// Bytes that were read.
    read: u64,
}

impl<R: Read> Compact<R> {
    /// The kind of the next field of a struct; no kind at its end. `id`: of the field before, then its own.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *id = match byte >> 4 {
            0 => self.whole()?,
            more => id.checked_add(more.into())?,
        };
        Some(Some(byte & 0xf))
    }

    /// Values of a dictionary, from its header.
    fn dictionary(&mut self) -> Option<i64> {
        let (mut id, mut values) = (0, 0);
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                (1, I32) => values = self.whole()?,
                _ => self.skip(kind, DEPTH)?,
            }
        }
        Some(values)
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            // Booleans of structs are kinds of their own.
            1 | 2 => Some(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.bytes(8),
            8 => {
                let length = self.varint()?;
                self.bytes(length)
            }
            12 => {
                let (depth, mut id) = (depth.checked_sub(1)?, 0);
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth)?;
                }
                Some(())
            }
            // Headers have no lists and no maps.
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.from.read_exact(&mut byte).ok()?;
        self.read += 1;
        Some(byte[0])
    }

    fn bytes(&mut self, count: u64) -> Option<()> {
        let skipped = io::copy(&mut self.from.by_ref().take(count), &mut io::sink()).ok()?;
        self.read += skipped;
        (skipped == count).then_some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A number with a sign: 0, -1, 1, -2, ….
    fn whole(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A dictionary page of 1000 bytes, 60 in the file, 125 values, with a checksum and fields nobody knows.
    const HEADER: [u8; 22] = [
        0x15, 0x04, 0x15, 0xd0, 0x0f, 0x15, 0x78, 0x15, 0x0e, 0x3c, 0x15, 0xfa, 0x01, 0x15, 0x00,
        0x11, 0x00, 0x18, 0x02, b'a', b'b', 0x00,
    ];

    #[test]
    fn a_header_says_its_sizes_and_a_torn_one_is_none() {
        let header = read_header([&HEADER[..], b"the page"].concat().as_slice()).unwrap();
        let expected =
            PageHeader { uncompressed: 1000, compressed: 60, dictionary: 125, length: 22 };
        assert_eq!(header, expected);
        for length in 0..HEADER.len() {
            assert_eq!(read_header(&HEADER[..length]), None, "{length}");
        }
        // Structs in structs without end, a list, a number that is too long.
        for endless in [0x1c_u8, 0x19, 0xff] {
            assert_eq!(read_header([endless; 100].as_slice()), None);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let header = |uncompressed, compressed, dictionary| PageHeader {
            uncompressed,
            compressed,
            dictionary,
            length: 9,
        };
        assert_eq!(header(1000, 60, 125).check([1000, 60]), Ok(60));
        for (header, expected) in [
            (header(1001, 60, 0), "expected at most 1000 bytes, found 1001"),
            (header(-1, 60, 0), "found -1"),
            (header(1000, 61, 0), "expected at most 60 bytes in the file, found 61"),
            (header(1000, -61, 0), "found -61"),
            (header(1000, 60, 1001), "expected at most 1000 values of a dictionary"),
            (header(1000, 60, -1), "found -1"),
        ] {
            let error = header.check([1000, 60]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
