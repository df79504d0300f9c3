//! One page: shape, type, and the strips or tiles that hold it.

use std::fmt;
use std::sync::Arc;

use crate::dtype::DataType;
use crate::format::raw::Endian;

mod parser;

pub(super) use parser::{PageParser, Role};

/// What pages of one stack have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) dtype: DataType,
    /// Values per pixel.
    pub(super) samples: u64,
    /// Whether the samples of a pixel lie together; otherwise each has strips or tiles of its own.
    pub(super) interleaved: bool,
    pub(super) tiled: bool,
    /// Rows of a strip or tile; not above the height for strips.
    pub(super) chunk_rows: u64,
    /// Columns of a strip or tile.
    pub(super) chunk_columns: u64,
    /// TIFF's number of the compression.
    pub(super) compression: u16,
    /// TIFF's number of the predictor.
    pub(super) predictor: u16,
    pub(super) jpeg_tables: Option<Vec<u8>>,
    pub(super) endian: Endian,
}

/// Places of the strips or tiles in the file.
#[derive(Debug, Clone)]
pub(super) enum Chunks {
    /// Uncompressed strips, one directly after the other.
    Contiguous { offset: u64 },
    /// Offset and bytes of each.
    Listed { offsets: Box<[u64]>, counts: Box<[u64]> },
}

/// Which page of the file one is, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageName {
    /// Number in the chain of pages.
    pub(super) number: usize,
    /// Number of the SubIFD of that page.
    pub(super) sub: Option<usize>,
}

/// One page of the file.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) form: Arc<Form>,
    pub(super) chunks: Chunks,
}

impl PageName {
    /// A page of the chain.
    pub(super) fn of(number: usize) -> Self {
        Self { number, sub: None }
    }
}

impl fmt::Display for PageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sub {
            None => write!(f, "page {}", self.number),
            Some(sub) => write!(f, "SubIFD {sub} of page {}", self.number),
        }
    }
}

impl Form {
    /// Whether values are stored as they are in memory, but for the byte order.
    pub(super) fn is_raw(&self) -> bool {
        self.compression == 1 && self.predictor == 1
    }

    /// Samples that lie together in a strip or tile.
    pub(super) fn chunk_samples(&self) -> u64 {
        if self.interleaved { self.samples } else { 1 }
    }

    /// Bytes of one uncompressed row of a strip or tile; saturates.
    pub(super) fn row_bytes(&self) -> u64 {
        let pixel = self.chunk_samples().saturating_mul(self.dtype.size() as u64);
        self.chunk_columns.saturating_mul(pixel)
    }

    /// Bytes of one uncompressed page; saturates.
    pub(super) fn page_bytes(&self) -> u64 {
        let pixel = self.samples.saturating_mul(self.dtype.size() as u64);
        self.width.saturating_mul(self.height).saturating_mul(pixel)
    }

    pub(super) fn chunks_across(&self) -> u64 {
        self.width.div_ceil(self.chunk_columns)
    }

    pub(super) fn chunks_down(&self) -> u64 {
        self.height.div_ceil(self.chunk_rows)
    }

    /// Rows of a strip or tile of row `down` of the grid; the last strip may have fewer than others.
    pub(super) fn rows_of(&self, down: u64) -> u64 {
        let left = self.height.saturating_sub(down.saturating_mul(self.chunk_rows));
        if self.tiled { self.chunk_rows } else { left.min(self.chunk_rows) }
    }

    /// The noun for one unit of storage.
    pub(super) fn chunk_name(&self) -> &'static str {
        if self.tiled { "tile" } else { "strip" }
    }

    /// `uint16 of 64 x 48`.
    pub(super) fn describe(&self) -> String {
        let samples =
            if self.samples == 1 { String::new() } else { format!(" x {} samples", self.samples) };
        format!("{} of {} x {} (y, x){samples}", self.dtype, self.height, self.width)
    }

    fn num_chunks(&self) -> Option<u64> {
        let planes = if self.interleaved { 1 } else { self.samples };
        self.chunks_across().checked_mul(self.chunks_down())?.checked_mul(planes)
    }

    /// Bytes that chunk `index` has if it is not compressed.
    fn raw_bytes(&self, index: u64) -> u64 {
        let down = index / self.chunks_across() % self.chunks_down();
        self.rows_of(down).saturating_mul(self.row_bytes())
    }
}

impl Page {
    /// First byte of a strip or tile.
    pub(super) fn offset(&self, index: u64) -> u64 {
        match &self.chunks {
            Chunks::Listed { offsets, .. } => {
                offsets.get(index as usize).copied().unwrap_or(u64::MAX)
            }
            Chunks::Contiguous { offset } => {
                let form = &self.form;
                let (plane, down) = (index / form.chunks_down(), index % form.chunks_down());
                offset + (plane * form.height + down * form.chunk_rows) * form.row_bytes()
            }
        }
    }

    /// Bytes of a compressed strip or tile.
    pub(super) fn count(&self, index: u64) -> u64 {
        match &self.chunks {
            Chunks::Listed { counts, .. } => {
                counts.get(index as usize).copied().unwrap_or(u64::MAX)
            }
            Chunks::Contiguous { .. } => self.form.chunk_rows * self.form.row_bytes(),
        }
    }
}
