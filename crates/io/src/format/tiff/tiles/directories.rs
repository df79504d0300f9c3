//! The header of a TIFF file and the directories of its pages, in this machine's byte order.

use std::io::{Result, Write};

use super::Table;
use super::encode::Encoder;
use super::layout::TileLayout;

/// Bytes at the start that are left for the header, the longer one of BigTIFF.
pub(super) const HEADER_BYTES: u64 = 16;
/// Tags of a page, at most.
const MAX_TAGS: u64 = 18;

const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const LONG8: u16 = 16;

/// The directories of all pages, one behind the other.
pub(super) struct Directories<'a> {
    pub(super) layout: &'a TileLayout,
    pub(super) encoder: &'a Encoder,
    /// Description of the first page.
    pub(super) description: Option<&'a str>,
    pub(super) table: &'a Table,
    /// Place of the first directory in the file; a multiple of 8.
    pub(super) first: u64,
    /// Whether the file is BigTIFF.
    pub(super) big: bool,
}

/// One tag with its values.
struct Field {
    tag: u16,
    kind: u16,
    count: u64,
    bytes: Vec<u8>,
}

impl Directories<'_> {
    /// Bytes of the file, no fewer than it will have.
    pub(super) fn largest_end(&self) -> u64 {
        let tables = self.layout.tiles_per_page() as u64 * 16;
        let page = (tables + MAX_TAGS * 28 + 64).saturating_mul(self.layout.pages());
        let text = self.description.map_or(0, str::len) as u64;
        self.first.saturating_add(page).saturating_add(text)
    }

    /// The first bytes of the file.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut bytes = if cfg!(target_endian = "big") { b"MM" } else { b"II" }.to_vec();
        if self.big {
            [43, 8, 0].iter().for_each(|v: &u16| bytes.extend(v.to_ne_bytes()));
        } else {
            bytes.extend(42u16.to_ne_bytes());
        }
        bytes.extend(self.pointer(self.first));
        bytes
    }

    /// Writes the directories; `out` stands at `first`.
    pub(super) fn write(&self, out: &mut impl Write) -> Result<()> {
        let mut at = self.first;
        let pages = self.layout.pages();
        for page in 0..pages {
            let bytes = self.directory(page as usize, at, page + 1 == pages);
            at += bytes.len() as u64;
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// A directory that lies at a place, with the values that do not fit into its entries behind it.
    fn directory(&self, page: usize, at: u64, is_last: bool) -> Vec<u8> {
        let fields = self.fields(page);
        let width = self.pointer(0).len();
        let counter = if self.big { 8 } else { 2 };
        let head = counter + fields.len() * (4 + 2 * width) + width;
        let (mut entries, mut values) = (Vec::with_capacity(head), Vec::new());
        match self.big {
            true => entries.extend((fields.len() as u64).to_ne_bytes()),
            false => entries.extend((fields.len() as u16).to_ne_bytes()),
        }
        for field in fields {
            entries.extend(field.tag.to_ne_bytes());
            entries.extend(field.kind.to_ne_bytes());
            entries.extend(self.pointer(field.count));
            let mut inline = field.bytes;
            if inline.len() > width {
                let place = self.pointer(at + (head + values.len()) as u64);
                values.append(&mut inline);
                values.resize(values.len().next_multiple_of(2), 0);
                inline = place;
            }
            inline.resize(width, 0);
            entries.extend(inline);
        }
        values.resize((head + values.len()).next_multiple_of(8) - head, 0);
        let next = if is_last { 0 } else { at + (head + values.len()) as u64 };
        entries.extend(self.pointer(next));
        entries.append(&mut values);
        entries
    }

    fn fields(&self, page: usize) -> Vec<Field> {
        let layout = self.layout;
        let (tiles, dtype) = (layout.tiles_per_page(), layout.dtype);
        let here = page * tiles..(page + 1) * tiles;
        let offsets: Vec<u8> =
            self.table.offsets[here.clone()].iter().flat_map(|o| self.pointer(*o)).collect();
        let counts: Vec<u8> =
            self.table.counts[here].iter().flat_map(|c| c.to_ne_bytes()).collect();
        let sample_format = match dtype.kind() {
            'u' => 1,
            'i' => 2,
            _ => 3,
        };
        let text = self.description.filter(|_| page == 0).map(|text| {
            let bytes = [text.as_bytes(), &[0]].concat();
            Field { tag: 270, kind: ASCII, count: bytes.len() as u64, bytes }
        });
        let long = |tag: u16, value: u64| Field::long(tag, value as u32);
        let mut fields = vec![
            long(256, layout.shape[2]),
            long(257, layout.shape[1]),
            Field::short(258, 8 * dtype.size() as u16),
            Field::short(259, self.encoder.compression()),
            // Black is zero.
            Field::short(262, 1),
            Field::short(277, 1),
            // Pixels per unit: the format wants it, the description knows better.
            Field::one(282),
            Field::one(283),
            Field::short(284, 1),
            Field::short(296, 1),
            Field::short(317, self.encoder.predictor()),
            long(322, layout.tile[1]),
            long(323, layout.tile[0]),
            Field {
                tag: 324,
                kind: if self.big { LONG8 } else { LONG },
                count: tiles as u64,
                bytes: offsets,
            },
            Field { tag: 325, kind: LONG, count: tiles as u64, bytes: counts },
            Field::short(339, sample_format),
        ];
        fields.extend(text);
        fields.sort_by_key(|field| field.tag);
        fields
    }

    /// A place or count: 8 bytes in BigTIFF, else 4.
    fn pointer(&self, value: u64) -> Vec<u8> {
        if self.big { value.to_ne_bytes().to_vec() } else { (value as u32).to_ne_bytes().to_vec() }
    }
}

impl Field {
    fn short(tag: u16, value: u16) -> Self {
        Self { tag, kind: SHORT, count: 1, bytes: value.to_ne_bytes().to_vec() }
    }

    fn long(tag: u16, value: u32) -> Self {
        Self { tag, kind: LONG, count: 1, bytes: value.to_ne_bytes().to_vec() }
    }

    /// The fraction 1 / 1.
    fn one(tag: u16) -> Self {
        let bytes = [1u32, 1].iter().flat_map(|v| v.to_ne_bytes()).collect();
        Self { tag, kind: RATIONAL, count: 1, bytes }
    }
}
