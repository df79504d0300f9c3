//! Decoding of one compressed strip or tile.
//!
//! The `tiff` crate decodes only whole files, from one reader at a time. So each strip or tile is
//! wrapped into a file of its own in memory: one page, one strip. That needs no lock and no pool of
//! decoders, and costs a directory of a dozen tags per chunk.

use std::io::Cursor;

use tiff::TiffError;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::Tag;

use super::page::Form;
use crate::format::raw::Endian;

const SHORT: u16 = 3;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

/// Bytes of a one-strip TIFF file up to the strip, which has `rows` rows and `count` bytes.
pub(super) fn header(form: &Form, rows: u64, count: u64) -> Vec<u8> {
    let tables = form.jpeg_tables.as_deref().unwrap_or(&[]);
    let number_of_tags = if tables.is_empty() { 11 } else { 12 };
    let tables_at = 8 + 2 + number_of_tags * 12 + 4;
    let strip_at = tables_at + tables.len() as u64;
    let mut out = Header { bytes: Vec::with_capacity(strip_at as usize), endian: form.endian };
    out.bytes.extend(if form.endian == Endian::Big { b"MM" } else { b"II" });
    out.put(42, 2);
    out.put(8, 4);
    out.put(number_of_tags, 2);
    let kind = match form.dtype.kind() {
        'u' => 1,
        'i' => 2,
        _ => 3,
    };
    out.tag(Tag::ImageWidth, LONG, 1, form.chunk_columns);
    out.tag(Tag::ImageLength, LONG, 1, rows);
    out.tag(Tag::BitsPerSample, SHORT, 1, 8 * form.dtype.size() as u64);
    out.tag(Tag::Compression, SHORT, 1, form.compression.into());
    // Black is zero: the values come as they are stored, with all samples.
    out.tag(Tag::PhotometricInterpretation, SHORT, 1, 1);
    out.tag(Tag::StripOffsets, LONG, 1, strip_at);
    out.tag(Tag::SamplesPerPixel, SHORT, 1, form.chunk_samples());
    out.tag(Tag::RowsPerStrip, LONG, 1, rows);
    out.tag(Tag::StripByteCounts, LONG, 1, count);
    out.tag(Tag::Predictor, SHORT, 1, form.predictor.into());
    out.tag(Tag::SampleFormat, SHORT, 1, kind);
    if !tables.is_empty() {
        out.tag(Tag::JPEGTables, UNDEFINED, tables.len() as u64, tables_at);
    }
    out.put(0, 4);
    out.bytes.extend(tables);
    out.bytes
}

/// Decodes a one-strip file, made by [`header`] and the strip's bytes, into `out`, which has
/// exactly the bytes of the strip's rows. Byte order becomes this machine's.
pub(super) fn decode(file: &[u8], out: &mut [u8]) -> Result<(), TiffError> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = out.len();
    limits.intermediate_buffer_size = file.len();
    let mut decoder = Decoder::new(Cursor::new(file))?.with_limits(limits);
    decoder.read_chunk_bytes(0, out)
}

struct Header {
    bytes: Vec<u8>,
    endian: Endian,
}

impl Header {
    fn tag(&mut self, tag: Tag, kind: u16, count: u64, value: u64) {
        self.put(tag.to_u16().into(), 2);
        self.put(kind.into(), 2);
        self.put(count, 4);
        if kind == SHORT {
            self.put(value, 2);
            self.put(0, 2);
        } else {
            self.put(value, 4);
        }
    }

    fn put(&mut self, value: u64, size: usize) {
        match self.endian {
            Endian::Little => self.bytes.extend(&value.to_le_bytes()[..size]),
            Endian::Big => self.bytes.extend(&value.to_be_bytes()[8 - size..]),
        }
    }
}
