//! Reading a region: plan the chunks, fetch them, decode them, scatter their parts.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Place, Result};
use crate::store::{ByteRange, Request};
use crate::trace::{Activity, span};
use crate::voxels::Voxels;

use super::cache::ChunkCache;
use super::grid::Tile;
use super::scatter::{Inside, SharedBlock};
use super::{ChunkRef, ChunkSource};

mod remote;

/// Memory of one thread that decodes chunks, used again for the next.
#[derive(Default)]
pub(super) struct Scratch {
    encoded: Vec<u8>,
    decoded: Vec<u8>,
}

/// Scratch of all threads that read a volume: at most an encoded and a decoded chunk each.
#[derive(Default)]
pub(super) struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    fn with<T>(&self, run: impl FnOnce(&mut Scratch) -> T) -> T {
        let pop = || self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = pop().unwrap_or_default();
        let result = run(&mut scratch);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }
}

/// One read of a region.
pub(super) struct RegionRead<'a> {
    pub(super) source: &'a dyn ChunkSource,
    pub(super) cache: &'a ChunkCache,
    pub(super) scratch: &'a ScratchPool,
    /// Place of time and channel inside a chunk.
    pub(super) inner_tc: [u64; 2],
    /// First voxel `[z, y, x]` of the region.
    pub(super) origin: [u64; 3],
    pub(super) out: SharedBlock<'a>,
}

/// Fills `out` with a region whose chunks are `tiles`: all chunks are different, so that no two threads
/// write the same voxels.
pub(super) fn read_tiles(read: &RegionRead<'_>, tiles: &[Tile]) -> Result<()> {
    if read.source.store().is_remote() {
        return read.remote(tiles);
    }
    match tiles {
        [tile] => read.scratch.with(|scratch| read.local_tile(tile, scratch)),
        _ => tiles
            .par_iter()
            .try_for_each(|tile| read.scratch.with(|scratch| read.local_tile(tile, scratch))),
    }
}

impl<'a> RegionRead<'a> {
    /// Prepares a read into a block.
    pub(super) fn new(
        source: &'a dyn ChunkSource,
        cache: &'a ChunkCache,
        scratch: &'a ScratchPool,
        [time, channel]: [u64; 2],
        origin: [u64; 3],
        out: &'a mut Voxels,
    ) -> Result<Self> {
        let (shape, size) = (out.shape(), out.dtype().size());
        let wrong = || Error::usage(Place::new("voxels"), "a block of another size");
        let out = SharedBlock::new(out.bytes_mut(), shape, size).ok_or_else(wrong)?;
        let chunk = source.grid().chunk;
        let inner_tc = [time % chunk[0], channel % chunk[1]];
        Ok(Self { source, cache, scratch, inner_tc, origin, out })
    }

    fn local_tile(&self, tile: &Tile, scratch: &mut Scratch) -> Result<()> {
        let index = &tile.index;
        if let Some(chunk) = self.cache.get(index) {
            self.scatter(tile, &chunk);
            return Ok(());
        }
        let Some(chunk_ref) = self.source.locate(index).map_err(self.in_chunk(tile))? else {
            self.fill(tile);
            return Ok(());
        };
        if self.source.is_plain() && self.read_plain(tile, &chunk_ref, scratch)? {
            return Ok(());
        }
        let Scratch { encoded, decoded } = scratch;
        let request = self.request(tile, &chunk_ref);
        let found = self.source.store().get(request, encoded).map_err(self.in_chunk(tile))?;
        if !found {
            self.fill(tile);
            return Ok(());
        }
        self.finish(tile, &chunk_ref, encoded, decoded)
    }

    /// Decodes, keeps and scatters a chunk.
    fn finish(
        &self,
        tile: &Tile,
        chunk_ref: &ChunkRef,
        encoded: &[u8],
        decoded: &mut Vec<u8>,
    ) -> Result<()> {
        let wrong = |message: String| {
            Error::format(self.source.chunk_place(&tile.index, &chunk_ref.key), message)
        };
        let _span = span(Activity::Decode, tile.part.start);
        let size = self.source.grid().stored_bytes(&tile.index, self.source.dtype());
        let whole = self.is_whole(tile);
        let decode = |out: &mut [u8]| self.source.decode(&tile.index, encoded, out);
        if whole && let Some(decoded) = self.in_place(tile, decode) {
            return decoded.map_err(wrong);
        }
        decoded.resize(size, 0);
        decode(decoded).map_err(wrong)?;
        self.scatter(tile, decoded);
        if !whole && self.cache.is_on() {
            self.cache.insert(tile.index, decoded.clone().into());
        }
        Ok(())
    }

    /// Reads what is needed of a chunk that is stored as it is: straight into place where it can be.
    /// `false`: the chunk is to be read in the ordinary way.
    fn read_plain(&self, tile: &Tile, chunk: &ChunkRef, scratch: &mut Scratch) -> Result<bool> {
        let get = |out: &mut [u8]| self.source.store().get_into(&chunk.key, chunk.range, out);
        if self.is_whole(tile)
            && let Some(read) = self.in_place(tile, get)
        {
            if !read.map_err(self.in_chunk(tile))? {
                self.fill(tile);
            }
            return Ok(true);
        }
        let Some((span, rows)) = self.plain_span(tile, chunk) else { return Ok(false) };
        // A part of a chunk of the wrong size would be read without a word.
        if !self.has_full_size(tile, chunk).map_err(self.in_chunk(tile))? {
            return Ok(false);
        }
        let request = Request { key: &chunk.key, range: span, limit: u64::MAX };
        let store = self.source.store();
        let found = store.get(request, &mut scratch.encoded).map_err(self.in_chunk(tile))?;
        if found {
            let from = Inside { start: [0, rows.start[1], rows.start[2]], shape: rows.shape };
            self.copy(tile, &scratch.encoded, from);
        } else {
            self.fill(tile);
        }
        Ok(true)
    }

    /// The planes of a chunk that a tile needs, as a range of its object, and where the tile is in
    /// them; `None` if they are all of the chunk.
    fn plain_span(&self, tile: &Tile, chunk: &ChunkRef) -> Option<(ByteRange, Inside)> {
        let inside = self.inside(tile);
        let planes = tile.part.shape()[0] as usize;
        if planes == inside.shape[0] || self.inner_tc != [0, 0] {
            return None;
        }
        let plane = inside.shape[1] * inside.shape[2] * self.source.dtype().size();
        let offset = match chunk.range {
            ByteRange::All => 0,
            ByteRange::Span { start, .. } => start,
            ByteRange::Last(_) => return None,
        };
        let start = offset.saturating_add((inside.start[0] * plane) as u64);
        Some((ByteRange::Span { start, length: (planes * plane) as u64 }, inside))
    }

    /// Whether a chunk has as many bytes as its voxels take.
    fn has_full_size(&self, tile: &Tile, chunk: &ChunkRef) -> Result<bool> {
        let expected = self.source.grid().stored_bytes(&tile.index, self.source.dtype()) as u64;
        Ok(match chunk.range {
            ByteRange::All => self.source.store().size(&chunk.key)? == Some(expected),
            ByteRange::Span { length, .. } | ByteRange::Last(length) => length == expected,
        })
    }

    fn request<'r>(&self, tile: &Tile, chunk: &'r ChunkRef) -> Request<'r> {
        let size = self.source.grid().stored_bytes(&tile.index, self.source.dtype()) as u64;
        // Codecs add little to data that they cannot compress.
        let limit = size.saturating_mul(2).saturating_add(1 << 20);
        Request { key: &chunk.key, range: chunk.range, limit }
    }

    /// Whether the tile is all that its chunk holds.
    fn is_whole(&self, tile: &Tile) -> bool {
        let stored = self.source.grid().stored_shape(&tile.index);
        stored[..2] == [1, 1] && tile.part.shape() == [stored[2], stored[3], stored[4]]
    }

    /// Where the tile is in its chunk.
    fn inside(&self, tile: &Tile) -> Inside {
        let grid = self.source.grid();
        let stored = grid.stored_shape(&tile.index);
        let part = tile.part.relative_to(grid.start_zyx(&tile.index));
        Inside {
            start: part.start.map(|v| v as usize),
            shape: [stored[2], stored[3], stored[4]].map(|v| v as usize),
        }
    }

    fn scatter(&self, tile: &Tile, chunk: &[u8]) {
        let stored = self.source.grid().stored_shape(&tile.index);
        let from = self.inside(tile);
        let volume = from.shape.iter().product::<usize>() * self.source.dtype().size();
        let [t, c] = self.inner_tc.map(|v| v as usize);
        let first = (t * stored[1] as usize + c) * volume;
        self.copy(tile, &chunk[first..first + volume], from);
    }

    fn copy(&self, tile: &Tile, source: &[u8], from: Inside) {
        let (to, count) = self.target(tile);
        // SAFETY: tiles of one read are parts of different chunks, and each is handled by one thread.
        #[allow(unsafe_code)]
        unsafe {
            self.out.copy_box(to, source, from, count);
        }
    }

    fn fill(&self, tile: &Tile) {
        let (to, count) = self.target(tile);
        // SAFETY: as in `copy`.
        #[allow(unsafe_code)]
        unsafe {
            self.out.fill_box(to, count, self.source.fill_value());
        }
    }

    /// Works on the tile's own part of the block, if it is one piece.
    fn in_place<T>(&self, tile: &Tile, work: impl FnOnce(&mut [u8]) -> T) -> Option<T> {
        let (to, count) = self.target(tile);
        // SAFETY: as in `copy`; the slice does not outlive the call.
        #[allow(unsafe_code)]
        unsafe {
            self.out.contiguous(to, count).map(work)
        }
    }

    fn target(&self, tile: &Tile) -> ([usize; 3], [usize; 3]) {
        let to = tile.part.relative_to(self.origin).start.map(|v| v as usize);
        (to, tile.part.shape().map(|v| v as usize))
    }

    fn in_chunk(&self, tile: &Tile) -> impl FnOnce(Error) -> Error {
        let index = self.source.display_index(&tile.index);
        move |error| error.in_chunk(&index)
    }
}
