//! Dense ranks for the ids of a run.

use exavox_io::{DataType, Voxels};
use rayon::prelude::*;

use super::Edge;
use super::chunk::Chunk;
use super::dense::Squeeze;
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
    /// Ranks within their buckets of the ends of all chunks, one after the other.
    ends: Voxels,
    /// Rank of the first id of each bucket.
    bases: Vec<u32>,
}

impl Ranks {
    /// Reads the edges of a run, at most 2^30; `advanced` is told how many are read.
    pub(super) fn of(pieces: &[Piece<'_>], advanced: &(dyn Fn(u64) + Sync)) -> Result<Self> {
        let edges: u64 = pieces.iter().map(Piece::len).sum();
        let buckets = (2 * edges / BUCKET_ENDS).clamp(1, MAX_BUCKETS) as usize;
        let pieces = cut(pieces, (edges / 64).clamp(256, MAX_CHUNK_EDGES));
        let sample = sample(&pieces)?.iter().flat_map(|edge| [edge.a, edge.b]).collect();
        let splitters = Splitters::of_sample(sample, buckets);
        // Voxels, because the system has large pages for them: small ones take longer to get than to fill.
        let mut ends = Voxels::zeros(DataType::U64, [1, 1, 2 * edges as usize])?;
        let load = |edges: &mut Vec<Edge>, (piece, ends): (&Piece<'_>, &mut [u64])| {
            let chunk = Chunk::load(piece, &splitters, ends, edges)?;
            advanced(chunk.edges());
            Ok(chunk)
        };
        let lengths = pieces.iter().map(|piece| 2 * piece.len() as usize);
        let slices = split(ends.as_mut_slice()?, lengths);
        let work = pieces.par_iter().zip(slices);
        let chunks: Vec<Chunk> = work.map_init(Vec::new, load).collect::<Result<_>>()?;
        let (ids, bases) = rank(&chunks, ends.as_mut_slice()?, splitters.len());
        Ok(Self { ids, chunks, ends, bases })
    }

    /// Number of distinct ids.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Calls `take` with batches of edges from many threads at once.
    pub(super) fn for_each_batch(&self, take: impl Fn(&mut [[u32; 2]]) + Sync) -> Result<()> {
        let mut rest: &[u64] = self.ends.as_slice()?;
        let slices = self.chunks.iter().map(|chunk| {
            let (slice, after) = rest.split_at(2 * chunk.edges() as usize);
            rest = after;
            slice
        });
        let slices: Vec<&[u64]> = slices.collect();
        let work = self.chunks.par_iter().zip(slices);
        work.for_each(|(chunk, ends)| chunk.for_each_batch(ends, &self.bases, &take));
        Ok(())
    }

    /// The ids without the edges.
    pub(super) fn into_ids(self) -> Vec<u64> {
        self.ids
    }
}

/// Slices of some lengths, one after the other.
fn split(mut rest: &mut [u64], lengths: impl Iterator<Item = usize>) -> Vec<&mut [u64]> {
    let mut slices = Vec::new();
    for length in lengths {
        let (slice, after) = rest.split_at_mut(length);
        slices.push(slice);
        rest = after;
    }
    slices
}

/// Replaces ids by their ranks within their bucket. Gives all distinct ids and the rank of the first one
/// of each bucket.
fn rank(chunks: &[Chunk], ends: &mut [u64], buckets: usize) -> (Vec<u64>, Vec<u32>) {
    let mut by_bucket: Vec<Vec<&mut [u64]>> = Vec::new();
    by_bucket.resize_with(buckets, || Vec::with_capacity(chunks.len()));
    let lengths = chunks.iter().map(|chunk| 2 * chunk.edges() as usize);
    for (chunk, ends) in chunks.iter().zip(split(ends, lengths)) {
        for (bucket, slice) in by_bucket.iter_mut().zip(split(ends, chunk.bucket_lengths())) {
            bucket.push(slice);
        }
    }
    let distinct: Vec<Vec<u64>> =
        by_bucket.into_par_iter().map_init(Tables::default, rank_bucket).collect();
    let mut ids = Vec::with_capacity(distinct.iter().map(Vec::len).sum());
    let mut bases = Vec::with_capacity(buckets);
    for of_bucket in distinct {
        bases.push(ids.len() as u32);
        ids.extend(of_bucket);
    }
    (ids, bases)
}

/// Memory that is used for one bucket after the other.
#[derive(Debug, Default)]
struct Tables {
    places: Vec<u32>,
    distinct: Distinct,
}

fn rank_bucket(tables: &mut Tables, mut slices: Vec<&mut [u64]>) -> Vec<u64> {
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    match Squeeze::of(&slices).filter(|squeeze| squeeze.len() <= 2 * total as u64) {
        Some(squeeze) => squeeze.rank(&mut slices, &mut tables.places),
        None => rank_by_hash(&mut tables.distinct, &mut slices, total),
    }
}

fn rank_by_hash(distinct: &mut Distinct, slices: &mut [&mut [u64]], total: usize) -> Vec<u64> {
    distinct.clear(total);
    for id in slices.iter_mut().flat_map(|slice| slice.iter_mut()) {
        *id = distinct.number_of(*id).into();
    }
    let (ids, ranks) = distinct.sorted();
    for number in slices.iter_mut().flat_map(|slice| slice.iter_mut()) {
        *number = ranks[*number as usize].into();
    }
    ids
}
