//! A TIFF writer of tests alone: all layouts that the format allows, and damage on demand.

use exavox_io::{DataType, Voxels};

/// How pages are laid out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) big_endian: bool,
    pub(crate) big_tiff: bool,
    pub(crate) tiled: bool,
    /// Rows and columns of a tile; rows of a strip.
    pub(crate) chunk: [usize; 2],
    pub(crate) interleaved: bool,
    /// Bytes between strips or tiles.
    pub(crate) gap: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            big_endian: false,
            big_tiff: false,
            tiled: false,
            chunk: [8, 16],
            interleaved: true,
            gap: 0,
        }
    }
}

/// A file under construction, with the tags of its pages as they will be written.
pub(crate) struct Builder {
    layout: Layout,
    bytes: Vec<u8>,
    next_at: usize,
}

pub(crate) const LONG: u16 = 4;
pub(crate) const LONG8: u16 = 16;

/// Tag, type, values.
pub(crate) type Tags = Vec<(u16, u16, Vec<u64>)>;

impl Builder {
    pub(crate) fn new(layout: &Layout) -> Self {
        let bytes = Vec::new();
        let mut this = Self { layout: layout.clone(), bytes, next_at: 0 };
        this.bytes.extend(if layout.big_endian { b"MM" } else { b"II" });
        if layout.big_tiff {
            [(43, 2), (8, 2), (0, 2)].iter().for_each(|(v, n)| this.put(*v, *n));
        } else {
            this.put(42, 2);
        }
        this.next_at = this.bytes.len();
        this.put(0, this.width());
        this
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// One plane of volumes of equal shape, one per sample.
    pub(crate) fn page(&mut self, samples: &[Voxels], z: usize) {
        let tags = self.tags(samples, z);
        self.directory(&tags);
    }

    /// Writes the values of a plane and gives its tags.
    pub(crate) fn tags(&mut self, samples: &[Voxels], z: usize) -> Tags {
        let [_, y, x] = samples[0].shape();
        let dtype = samples[0].dtype();
        let layout = self.layout.clone();
        let [rows, columns] = if layout.tiled { layout.chunk } else { [layout.chunk[0], x] };
        let groups: Vec<&[Voxels]> =
            if layout.interleaved { vec![samples] } else { samples.chunks(1).collect() };
        let (mut offsets, mut counts) = (Vec::new(), Vec::new());
        for group in groups {
            for top in (0..y).step_by(rows) {
                for left in (0..x).step_by(columns) {
                    let end = if layout.tiled { top + rows } else { y.min(top + rows) };
                    let chunk = values(group, z, top..end, left..left + columns, layout.big_endian);
                    offsets.push(self.bytes.len() as u64);
                    counts.push(chunk.len() as u64);
                    self.bytes.extend(chunk);
                    self.bytes.extend(vec![0xA5; layout.gap]);
                }
            }
        }
        let kind = LONG + if layout.big_tiff { LONG8 - LONG } else { 0 };
        let mut tags = vec![
            (256, LONG, vec![x as u64]),
            (257, LONG, vec![y as u64]),
            (258, 3, vec![8 * dtype.size() as u64; samples.len()]),
            (259, 3, vec![1]),
            (262, 3, vec![1]),
            (277, 3, vec![samples.len() as u64]),
            (284, 3, vec![if layout.interleaved { 1 } else { 2 }]),
            (339, 3, vec![format_of(dtype); samples.len()]),
        ];
        if layout.tiled {
            tags.push((322, LONG, vec![columns as u64]));
            tags.push((323, LONG, vec![rows as u64]));
            tags.push((324, kind, offsets));
            tags.push((325, kind, counts));
        } else {
            tags.push((273, kind, offsets));
            tags.push((278, LONG, vec![rows as u64]));
            tags.push((279, kind, counts));
        }
        tags.sort();
        tags
    }

    /// Writes a directory and links it into the chain.
    pub(crate) fn directory(&mut self, tags: &Tags) {
        let place = self.unlinked(tags);
        self.link(place);
        self.next_at = self.bytes.len() - self.width();
    }

    /// Writes a directory outside of the chain; its place. Its pointer to the next one is the last
    /// thing in the file.
    pub(crate) fn unlinked(&mut self, tags: &Tags) -> u64 {
        let width = self.width();
        let mut entries = Vec::new();
        for (tag, kind, values) in tags {
            let size = match kind {
                3 => 2,
                &LONG8 => 8,
                _ => 4,
            };
            let at = self.bytes.len();
            values.iter().for_each(|v| self.put(*v, size));
            let mut inline = self.bytes[at..].to_vec();
            if inline.len() <= width {
                self.bytes.truncate(at);
                inline.resize(width, 0);
            } else {
                inline = self.number(at as u64, width);
            }
            entries.push((*tag, *kind, values.len() as u64, inline));
        }
        let place = self.bytes.len() as u64;
        self.put(entries.len() as u64, if width == 8 { 8 } else { 2 });
        for (tag, kind, count, inline) in entries {
            self.put(tag.into(), 2);
            self.put(kind.into(), 2);
            self.put(count, width);
            self.bytes.extend(inline);
        }
        self.put(0, width);
        place
    }

    /// Sets the pointer to the next directory of the one that was written last.
    pub(crate) fn link_last(&mut self, to: u64) {
        let number = self.number(to, self.width());
        let at = self.bytes.len() - number.len();
        self.bytes[at..].copy_from_slice(&number);
    }

    /// Sets the pointer to the next directory.
    pub(crate) fn link(&mut self, to: u64) {
        let number = self.number(to, self.width());
        self.bytes[self.next_at..self.next_at + number.len()].copy_from_slice(&number);
    }

    /// Place of the first directory.
    pub(crate) fn first(&self) -> u64 {
        let width = self.width();
        let at = if width == 8 { 8 } else { 4 };
        let mut bytes = self.bytes[at..at + width].to_vec();
        if self.layout.big_endian {
            bytes.reverse();
        }
        bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    fn width(&self) -> usize {
        if self.layout.big_tiff { 8 } else { 4 }
    }

    fn put(&mut self, value: u64, size: usize) {
        let number = self.number(value, size);
        self.bytes.extend(number);
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..size].to_vec();
        if self.layout.big_endian {
            bytes.reverse();
        }
        bytes
    }
}

fn format_of(dtype: DataType) -> u64 {
    match dtype.kind() {
        'u' => 1,
        'i' => 2,
        _ => 3,
    }
}

fn values(
    samples: &[Voxels],
    z: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    big_endian: bool,
) -> Vec<u8> {
    let [_, height, width] = samples[0].shape();
    let size = samples[0].dtype().size();
    let mut out = Vec::new();
    for y in rows {
        for x in columns.clone() {
            for sample in samples {
                let at = ((z * height + y) * width + x) * size;
                let inside = y < height && x < width;
                let mut value =
                    if inside { sample.bytes()[at..at + size].to_vec() } else { vec![0x5A; size] };
                if big_endian {
                    value.reverse();
                }
                out.extend(value);
            }
        }
    }
    out
}
