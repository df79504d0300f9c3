//! The sets that the edges of one run make.

use super::disjoint_sets::DisjointSets;
use super::piece::Piece;
use super::ranks::Ranks;
use super::{Edge, Renaming};
use crate::error::Result;

/// Marks a set that has asked for its root; ids have 63 bits.
const ASKED: u64 = 1 << 63;

/// The ids of a run in ascending order, and for each the rank of the smallest one of its set.
#[derive(Debug)]
pub(super) struct Forest {
    ids: Vec<u64>,
    roots: Vec<u32>,
}

/// Who is told of the members of sets, in ascending order of their ids.
pub(super) trait Receiver {
    /// A member of the part: `root` is the smallest of its set, or the next member below the part.
    fn link(&mut self, link: Renaming) -> Result<()>;

    /// A member below the part, `a`, and the next smaller one, `b`.
    fn hand_down(&mut self, _edge: Edge) -> Result<()> {
        Ok(())
    }

    /// A member below the part that others of the part are linked to; once for each set.
    fn ask(&mut self, _id: u64) -> Result<()> {
        Ok(())
    }
}

impl Forest {
    /// Reads the edges of a run, at most 2^30; `advanced` is told how many are read.
    pub(super) fn of(pieces: &[Piece<'_>], advanced: &(dyn Fn(u64) + Sync)) -> Result<Self> {
        let ranks = Ranks::of(pieces, advanced)?;
        let sets = DisjointSets::new(ranks.len());
        ranks.for_each_batch(|batch| sets.join_all(batch))?;
        let ids = ranks.into_ids();
        Ok(Self { ids, roots: sets.into_roots() })
    }

    /// Tells of all members of sets, for a part of the ids that begins with `low`.
    pub(super) fn sweep(self, low: u64, receiver: &mut impl Receiver) -> Result<()> {
        // Of each set, by its root: the largest member below the part, or the smallest of all.
        let mut below = vec![0; self.ids.len()];
        for (rank, id) in self.ids.into_iter().enumerate() {
            let root = self.roots[rank] as usize;
            if root == rank {
                below[rank] = id;
            } else if id < low {
                receiver.hand_down(Edge { a: id, b: below[root] })?;
                below[root] = id;
            } else {
                let target = below[root] & !ASKED;
                if target < low && below[root] & ASKED == 0 {
                    below[root] |= ASKED;
                    receiver.ask(target)?;
                }
                receiver.link(Renaming { id, root: target })?;
            }
        }
        Ok(())
    }
}
