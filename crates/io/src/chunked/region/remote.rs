//! Regions of remote volumes: batches of requests, so that latency is paid once for many chunks.

use std::sync::Arc;

use rayon::prelude::*;

use crate::chunked::ChunkRef;
use crate::chunked::grid::Tile;
use crate::error::Result;
use crate::store::Request;

use super::RegionRead;

/// Requests under way at once where the store is remote.
const REMOTE_REQUESTS: usize = 64;
/// Bytes of decoded chunks in a batch of requests to a remote store.
const REMOTE_BYTES: usize = 64 << 20;

impl RegionRead<'_> {
    /// Batches of requests, each under way while the one before is decoded.
    pub(super) fn remote(&self, tiles: &[Tile]) -> Result<()> {
        let size = self.source.grid().stored_bytes(&tiles[0].index, self.source.dtype());
        let batch = (REMOTE_BYTES / size.max(1)).clamp(1, REMOTE_REQUESTS);
        std::thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::sync_channel(0);
            let fetch = move || {
                for tiles in tiles.chunks(batch) {
                    // The receiver is gone when a chunk was damaged: nothing more is needed.
                    if sender.send(self.fetch(tiles)).is_err() {
                        break;
                    }
                }
            };
            scope.spawn(fetch);
            receiver.into_iter().try_for_each(|fetched| {
                fetched.into_par_iter().try_for_each(|(tile, found)| self.take(tile, found?))
            })
        })
    }

    /// Asks for chunks that are not in the cache, all at once.
    fn fetch<'t>(&self, tiles: &'t [Tile]) -> Vec<(&'t Tile, Result<Fetched>)> {
        let located: Vec<_> = tiles.par_iter().map(|tile| self.locate_uncached(tile)).collect();
        let requests: Vec<Request<'_>> = tiles
            .iter()
            .zip(&located)
            .filter_map(|(tile, found)| match found {
                Ok(Fetched::Encoded(chunk_ref, _)) => Some(self.request(tile, chunk_ref)),
                _ => None,
            })
            .collect();
        let mut answers = self.source.store().get_many(&requests).into_iter();
        let mut answer = |tile, found| match found {
            Ok(Fetched::Encoded(chunk_ref, _)) => match answers.next() {
                Some(Ok(Some(bytes))) => Ok(Fetched::Encoded(chunk_ref, bytes)),
                Some(Err(error)) => Err(self.in_chunk(tile)(error)),
                _ => Ok(Fetched::Absent),
            },
            other => other,
        };
        tiles.iter().zip(located).map(|(tile, found)| (tile, answer(tile, found))).collect()
    }

    fn locate_uncached(&self, tile: &Tile) -> Result<Fetched> {
        if let Some(chunk) = self.cache.get(&tile.index) {
            return Ok(Fetched::Decoded(chunk));
        }
        Ok(match self.source.locate(&tile.index).map_err(self.in_chunk(tile))? {
            Some(chunk_ref) => Fetched::Encoded(chunk_ref, Vec::new()),
            None => Fetched::Absent,
        })
    }

    fn take(&self, tile: &Tile, fetched: Fetched) -> Result<()> {
        match fetched {
            Fetched::Absent => self.fill(tile),
            Fetched::Decoded(chunk) => self.scatter(tile, &chunk),
            Fetched::Encoded(chunk_ref, bytes) => {
                return self
                    .scratch
                    .with(|scratch| self.finish(tile, &chunk_ref, &bytes, &mut scratch.decoded));
            }
        }
        Ok(())
    }
}

/// What a remote store answered.
enum Fetched {
    Absent,
    Encoded(ChunkRef, Vec<u8>),
    Decoded(Arc<Vec<u8>>),
}
