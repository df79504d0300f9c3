//! One tile from a block of voxels: cut out, filled up at the edge, compressed.

use std::io::{Result, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::layout::TileLayout;
use crate::dtype::DataType;
use crate::error::{Error, Place};
use crate::volume::{Codec, WriteOptions};
use crate::voxels::Voxels;

/// How tiles are compressed.
pub(super) struct Encoder {
    codec: Codec,
    dtype: DataType,
}

/// Memory of one thread, used again from tile to tile.
#[derive(Default)]
pub(super) struct Scratch {
    values: Vec<u8>,
    packed: Vec<u8>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Encoder {
    /// Checks the compression.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for Blosc, [`Error::Usage`] for a level that there is not.
    pub(super) fn new(path: &Path, options: &WriteOptions) -> crate::error::Result<Self> {
        let codec = options.codec;
        match codec {
            Codec::Raw | Codec::Gzip(0..=9) | Codec::Zstd(1..=22) => {}
            Codec::Blosc(_) => {
                let message = "Blosc in TIFF; known are none, gzip and zstd";
                return Err(Error::unsupported(Place::path(path), message));
            }
            Codec::Gzip(_) | Codec::Zstd(_) => {
                let message = format!("{codec:?}: levels are 0 to 9 for gzip, 1 to 22 for zstd");
                return Err(Error::usage(Place::path(path), message));
            }
        }
        Ok(Self { codec, dtype: options.dtype })
    }

    /// TIFF's number of the compression.
    pub(super) fn compression(&self) -> u16 {
        match self.codec {
            Codec::Gzip(_) => 8,
            Codec::Zstd(_) => 50000,
            Codec::Raw | Codec::Blosc(_) => 1,
        }
    }

    /// TIFF's number of the predictor: differences along rows for compressed integers, else none.
    pub(super) fn predictor(&self) -> u16 {
        if self.compression() != 1 && self.dtype.kind() != 'f' { 2 } else { 1 }
    }

    /// The bytes of a tile as they lie in the file; `at` are z, row and column of tiles in the block.
    pub(super) fn encode<'a>(
        &self,
        voxels: &Voxels,
        at: [usize; 3],
        layout: &TileLayout,
        scratch: &'a mut Scratch,
    ) -> Result<&'a [u8]> {
        cut(voxels, at, layout, &mut scratch.values);
        if self.predictor() == 2 {
            let row = layout.tile[1] as usize * self.dtype.size();
            let rows = scratch.values.chunks_exact_mut(row);
            rows.for_each(|row| to_differences(row, self.dtype.size()));
        }
        match self.codec {
            Codec::Raw | Codec::Blosc(_) => return Ok(&scratch.values),
            Codec::Gzip(level) => {
                scratch.packed.clear();
                let mut encoder = ZlibEncoder::new(&mut scratch.packed, Compression::new(level));
                encoder.write_all(&scratch.values)?;
                encoder.finish()?;
            }
            Codec::Zstd(level) => {
                let compressor = match &mut scratch.zstd {
                    Some(compressor) => compressor,
                    empty => empty.insert(zstd::bulk::Compressor::new(level)?),
                };
                scratch.packed = compressor.compress(&scratch.values)?;
            }
        }
        Ok(&scratch.packed)
    }
}

/// Copies a tile out of a block; what lies outside of the block is zero.
fn cut(voxels: &Voxels, at: [usize; 3], layout: &TileLayout, out: &mut Vec<u8>) {
    let size = voxels.dtype().size();
    let [_, height, width] = voxels.shape();
    let [rows, columns] = layout.tile.map(|edge| edge as usize);
    let (top, left) = (at[1] * rows, at[2] * columns);
    let (rows, count) = (rows.min(height - top), columns.min(width - left) * size);
    out.clear();
    for y in top..top + rows {
        let start = ((at[0] * height + y) * width + left) * size;
        out.extend_from_slice(&voxels.bytes()[start..start + count]);
        out.resize(out.len() + columns * size - count, 0);
    }
    out.resize(layout.tile_bytes(), 0);
}

/// Replaces each value of a row but the first by its difference to the one before.
fn to_differences(row: &mut [u8], size: usize) {
    // One loop per size: the compiler makes vector instructions of each.
    match size {
        1 => differences::<1>(row, |a, b| [a[0].wrapping_sub(b[0])]),
        2 => differences::<2>(row, |a, b| {
            u16::from_ne_bytes(a).wrapping_sub(u16::from_ne_bytes(b)).to_ne_bytes()
        }),
        4 => differences::<4>(row, |a, b| {
            u32::from_ne_bytes(a).wrapping_sub(u32::from_ne_bytes(b)).to_ne_bytes()
        }),
        _ => differences::<8>(row, |a, b| {
            u64::from_ne_bytes(a).wrapping_sub(u64::from_ne_bytes(b)).to_ne_bytes()
        }),
    }
}

fn differences<const N: usize>(row: &mut [u8], minus: impl Fn([u8; N], [u8; N]) -> [u8; N]) {
    let values = row.as_chunks_mut::<N>().0;
    for i in (1..values.len()).rev() {
        values[i] = minus(values[i], values[i - 1]);
    }
}
