//! Edges that one thread handles at a time.

use super::Edge;
use super::piece::Piece;
use super::splitters::Splitters;
use crate::error::Result;

/// How the ends of some edges are sorted into buckets. Their ids lie in a place that the caller has: by
/// bucket, within a bucket in the order of the edges; later their ranks within the bucket.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Bucket of each end in the order of the edges.
    buckets: Vec<u16>,
    /// Where each bucket begins among the ids, and the end.
    starts: Vec<u32>,
}

impl Chunk {
    /// Reads edges, at most 2^30, and sorts their ends into buckets: into `ids`, two for each edge.
    /// `edges` is memory that is used again.
    pub(super) fn load(
        piece: &Piece<'_>,
        splitters: &Splitters,
        ids: &mut [u64],
        edges: &mut Vec<Edge>,
    ) -> Result<Self> {
        piece.read_into(edges)?;
        let ends: &[u64] = bytemuck::cast_slice(edges);
        let buckets: Vec<u16> = ends.iter().map(|id| splitters.bucket(*id)).collect();
        let mut starts = vec![0_u32; splitters.len() + 1];
        for bucket in &buckets {
            starts[usize::from(*bucket) + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        let mut next = starts.clone();
        for (id, bucket) in ends.iter().zip(&buckets) {
            let next = &mut next[usize::from(*bucket)];
            ids[*next as usize] = *id;
            *next += 1;
        }
        Ok(Self { buckets, starts })
    }

    /// Number of edges.
    pub(super) fn edges(&self) -> u64 {
        self.buckets.len() as u64 / 2
    }

    /// Number of ends in each bucket.
    pub(super) fn bucket_lengths(&self) -> impl Iterator<Item = usize> {
        self.starts.windows(2).map(|ends| (ends[1] - ends[0]) as usize)
    }

    /// The edges as pairs of ranks, in batches that may be changed; `bases` holds the rank of the first id
    /// of each bucket.
    pub(super) fn for_each_batch(
        &self,
        ids: &[u64],
        bases: &[u32],
        mut take: impl FnMut(&mut [[u32; 2]]),
    ) {
        let mut next = self.starts.clone();
        let mut rank = |bucket: u16| {
            let next = &mut next[usize::from(bucket)];
            let within = ids[*next as usize] as u32;
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
