//! Which tile of the file holds which voxels.

use std::path::Path;

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::volume::WriteOptions;

/// Rows and columns of a tile where nothing else is asked for.
const EDGE: u64 = 256;
/// TIFF wants multiples of this.
const EDGE_STEP: u64 = 16;
/// Bytes of one tile, uncompressed.
const MAX_TILE_BYTES: u64 = 1 << 30;
/// Bytes of memory for the place of one tile.
const BYTES_PER_TILE: u64 = 12;

/// The grid of tiles of a volume.
pub(super) struct TileLayout {
    /// Voxels along z, y and x.
    pub(super) shape: [u64; 3],
    pub(super) channels: u64,
    pub(super) dtype: DataType,
    /// Rows and columns of a tile.
    pub(super) tile: [u64; 2],
}

impl TileLayout {
    /// Tiles of the rows and columns of the chunk shape, else 256 x 256.
    ///
    /// # Errors
    /// [`Error::Usage`] if these are no multiples of 16, or too large.
    pub(super) fn new(path: &Path, options: &WriteOptions) -> Result<Self> {
        let [_, rows, columns] = options.chunk_shape.unwrap_or([1, EDGE, EDGE]);
        let bytes = rows.saturating_mul(columns).saturating_mul(options.dtype.size() as u64);
        let fits = |edge: u64| edge > 0 && edge.is_multiple_of(EDGE_STEP);
        if !fits(rows) || !fits(columns) || bytes > MAX_TILE_BYTES {
            let message = format!(
                "chunks of {rows} x {columns} (y, x); tiles of TIFF have multiples of {EDGE_STEP} \
                 along both and at most {MAX_TILE_BYTES} bytes"
            );
            return Err(Error::usage(Place::path(path), message));
        }
        let channels = options.channels.len() as u64;
        Ok(Self { shape: options.shape, channels, dtype: options.dtype, tile: [rows, columns] })
    }

    /// Tiles in all, if their places fit into memory.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if not.
    pub(super) fn num_tiles(&self, path: &Path) -> Result<usize> {
        let tiles = self.pages().saturating_mul(self.down()).saturating_mul(self.across());
        let (needed, limit) =
            (tiles.saturating_mul(BYTES_PER_TILE), Limits::default().max_region_bytes);
        if needed > limit {
            let what = format!("the table of {tiles} tiles");
            return Err(Error::LimitExceeded { place: Place::path(path), what, needed, limit });
        }
        Ok(tiles as usize)
    }

    /// Pages: one for each plane of each channel.
    pub(super) fn pages(&self) -> u64 {
        self.channels.saturating_mul(self.shape[0])
    }

    pub(super) fn down(&self) -> u64 {
        self.shape[1].div_ceil(self.tile[0])
    }

    pub(super) fn across(&self) -> u64 {
        self.shape[2].div_ceil(self.tile[1])
    }

    pub(super) fn tiles_per_page(&self) -> usize {
        (self.down() * self.across()) as usize
    }

    /// Bytes of one tile, uncompressed.
    pub(super) fn tile_bytes(&self) -> usize {
        (self.tile[0] * self.tile[1]) as usize * self.dtype.size()
    }

    /// Number of the tile that begins at a voxel.
    pub(super) fn index(&self, channel: u64, start: [u64; 3]) -> usize {
        let page = channel * self.shape[0] + start[0];
        let row = page * self.down() + start[1] / self.tile[0];
        (row * self.across() + start[2] / self.tile[1]) as usize
    }

    /// Number of the tile that lies `by` (z, rows and columns of tiles) behind another one.
    pub(super) fn index_from(&self, first: usize, by: [usize; 3]) -> usize {
        let (down, across) = (self.down() as usize, self.across() as usize);
        first + (by[0] * down + by[1]) * across + by[2]
    }

    /// Tiles along z, y and x that a block touches.
    pub(super) fn tiles_of(&self, block: [usize; 3]) -> [usize; 3] {
        let [rows, columns] = self.tile.map(|edge| edge as usize);
        [block[0], block[1].div_ceil(rows), block[2].div_ceil(columns)]
    }
}
