//! Edges that one thread handles at a time.

use super::piece::Piece;
use super::splitters::Splitters;
use crate::error::Result;

/// The ends of some edges, sorted into buckets, and how to get them back in order.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Ids by bucket, within a bucket in the order of the edges; later their ranks within the bucket.
    ids: Vec<u64>,
    /// Bucket of each end in the order of the edges.
    buckets: Vec<u16>,
    /// Where each bucket begins in `ids`, and the end.
    starts: Vec<u32>,
}

impl Chunk {
    /// Reads edges, at most 2^30, and sorts their ends into buckets.
    pub(super) fn load(piece: &Piece<'_>, splitters: &Splitters) -> Result<Self> {
        let edges = piece.read()?;
        let ends: &[u64] = bytemuck::cast_slice(&edges);
        let buckets: Vec<u16> = ends.iter().map(|id| splitters.bucket(*id)).collect();
        let mut starts = vec![0_u32; splitters.len() + 1];
        for bucket in &buckets {
            starts[usize::from(*bucket) + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        let mut next = starts.clone();
        let mut ids = vec![0; ends.len()];
        for (id, bucket) in ends.iter().zip(&buckets) {
            let next = &mut next[usize::from(*bucket)];
            ids[*next as usize] = *id;
            *next += 1;
        }
        Ok(Self { ids, buckets, starts })
    }

    /// Number of edges.
    pub(super) fn edges(&self) -> u64 {
        self.buckets.len() as u64 / 2
    }

    /// The ids of each bucket, to be replaced by their ranks.
    pub(super) fn by_bucket(&mut self) -> Vec<&mut [u64]> {
        let mut rest = self.ids.as_mut_slice();
        let mut slices = Vec::with_capacity(self.starts.len() - 1);
        for ends in self.starts.windows(2) {
            let (slice, after) = rest.split_at_mut((ends[1] - ends[0]) as usize);
            slices.push(slice);
            rest = after;
        }
        slices
    }

    /// The edges as pairs of ranks, in batches that may be changed; `bases` holds the rank of the first id
    /// of each bucket.
    pub(super) fn for_each_batch(&self, bases: &[u32], mut take: impl FnMut(&mut [[u32; 2]])) {
        let mut next = self.starts.clone();
        let mut rank = |bucket: u16| {
            let next = &mut next[usize::from(bucket)];
            let within = self.ids[*next as usize] as u32;
            *next += 1;
            bases[usize::from(bucket)] + within
        };
        let mut batch = [[0; 2]; 256];
        for buckets in self.buckets.chunks(2 * batch.len()) {
            let (ends, _) = buckets.as_chunks::<2>();
            for (pair, ends) in batch.iter_mut().zip(ends) {
                *pair = [rank(ends[0]), rank(ends[1])];
            }
            take(&mut batch[..ends.len()]);
        }
    }
}
