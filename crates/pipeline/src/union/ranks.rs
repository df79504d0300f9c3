//! Dense ranks for the ids of a run.

use rayon::prelude::*;

use super::chunk::Chunk;
use super::distinct::Distinct;
use super::piece::{Piece, cut, sample};
use super::splitters::Splitters;
use crate::error::Result;

/// Ends of edges of a bucket: their table of distinct ids stays in a core's own cache.
const BUCKET_ENDS: u64 = 1 << 15;
/// Buckets at most: a thread writes to all of them at once.
const MAX_BUCKETS: u64 = 1 << 12;
/// Edges of a chunk at most, 8 MiB.
const MAX_CHUNK_EDGES: u64 = 1 << 19;

/// The distinct ids of a run in ascending order, and its edges as pairs of indices into them.
#[derive(Debug)]
pub(super) struct Ranks {
    ids: Vec<u64>,
    chunks: Vec<Chunk>,
    bases: Vec<u32>,
}

impl Ranks {
    /// Reads the edges of a run, at most 2^30; `advanced` is told how many are read.
    pub(super) fn of(pieces: &[Piece<'_>], advanced: &(dyn Fn(u64) + Sync)) -> Result<Self> {
        let edges: u64 = pieces.iter().map(Piece::len).sum();
        let buckets = (2 * edges / BUCKET_ENDS).clamp(1, MAX_BUCKETS) as usize;
        let chunk_edges = (edges / 64).clamp(256, MAX_CHUNK_EDGES);
        Self::with_sizes(pieces, buckets, chunk_edges, advanced)
    }

    fn with_sizes(
        pieces: &[Piece<'_>],
        buckets: usize,
        chunk_edges: u64,
        advanced: &(dyn Fn(u64) + Sync),
    ) -> Result<Self> {
        let ends = sample(pieces)?.iter().flat_map(|edge| [edge.a, edge.b]).collect();
        let splitters = Splitters::of_sample(ends, buckets);
        let load = |piece: &Piece<'_>| {
            let chunk = Chunk::load(piece, &splitters)?;
            advanced(chunk.edges());
            Ok(chunk)
        };
        let pieces = cut(pieces, chunk_edges);
        let mut chunks: Vec<Chunk> = pieces.par_iter().map(load).collect::<Result<_>>()?;
        let (ids, bases) = rank(&mut chunks, splitters.len());
        Ok(Self { ids, chunks, bases })
    }

    /// Number of distinct ids.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Calls `take` with batches of edges from many threads at once.
    pub(super) fn for_each_batch(&self, take: impl Fn(&mut [[u32; 2]]) + Sync) {
        self.chunks.par_iter().for_each(|chunk| chunk.for_each_batch(&self.bases, &take));
    }

    /// The ids without the edges.
    pub(super) fn into_ids(self) -> Vec<u64> {
        self.ids
    }
}

/// Replaces ids by their ranks within their bucket. Gives all distinct ids and the rank of the first one
/// of each bucket.
fn rank(chunks: &mut [Chunk], buckets: usize) -> (Vec<u64>, Vec<u32>) {
    let mut by_bucket: Vec<Vec<&mut [u64]>> = Vec::new();
    by_bucket.resize_with(buckets, || Vec::with_capacity(chunks.len()));
    for chunk in chunks {
        for (bucket, slice) in by_bucket.iter_mut().zip(chunk.by_bucket()) {
            bucket.push(slice);
        }
    }
    let distinct: Vec<Vec<u64>> =
        by_bucket.into_par_iter().map_init(Distinct::default, rank_bucket).collect();
    let mut ids = Vec::with_capacity(distinct.iter().map(Vec::len).sum());
    let mut bases = Vec::with_capacity(buckets);
    for of_bucket in distinct {
        bases.push(ids.len() as u32);
        ids.extend(of_bucket);
    }
    (ids, bases)
}

fn rank_bucket(distinct: &mut Distinct, mut slices: Vec<&mut [u64]>) -> Vec<u64> {
    distinct.clear(slices.iter().map(|slice| slice.len()).sum());
    for id in slices.iter_mut().flat_map(|slice| slice.iter_mut()) {
        *id = distinct.number_of(*id).into();
    }
    let (ids, ranks) = distinct.sorted();
    for number in slices.iter_mut().flat_map(|slice| slice.iter_mut()) {
        *number = ranks[*number as usize].into();
    }
    ids
}
