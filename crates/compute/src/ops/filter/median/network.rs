//! Boxes sorted side by side: comparisons that do not depend on values, each done for 64 boxes at once.

use super::key::{Key, Sample};
use super::rows::Window;
use crate::simd::Vectorised;

/// Boxes that are sorted at once.
const BLOCK: usize = 64;

/// The comparisons of Batcher's odd-even merge sort (Knuth, The Art of Computer Programming 3, 5.2.2,
/// algorithm M) on which the middle element depends.
#[derive(Debug)]
pub(super) struct Network {
    count: usize,
    /// Pairs of positions; the smaller value goes to the first.
    pairs: Vec<[u32; 2]>,
}

impl Network {
    /// The network that brings the median of `count` values to the middle.
    pub(super) fn median(count: usize) -> Self {
        let all = sort(count);
        let mut needed = vec![false; count];
        needed[count / 2] = true;
        let mut pairs: Vec<[u32; 2]> = Vec::new();
        for [a, b] in all.into_iter().rev() {
            if needed[a] || needed[b] {
                (needed[a], needed[b]) = (true, true);
                pairs.push([a as u32, b as u32]);
            }
        }
        pairs.reverse();
        Self { count, pairs }
    }
}

/// The comparisons that sort `count` values.
fn sort(count: usize) -> Vec<[usize; 2]> {
    let mut pairs = Vec::new();
    let halves = |from: usize| std::iter::successors(Some(from), |k| (*k > 1).then_some(k / 2));
    for run in std::iter::successors(Some(1), |p| Some(2 * p)).take_while(|p| *p < count) {
        for distance in halves(run) {
            for start in (distance % run..count.saturating_sub(distance)).step_by(2 * distance) {
                let ends = distance.min(count - start - distance);
                let same = |a: &usize| a / (2 * run) == (a + distance) / (2 * run);
                pairs.extend((start..start + ends).filter(same).map(|a| [a, a + distance]));
            }
        }
    }
    pairs
}

/// Memory of a thread.
pub(super) struct SortScratch<K> {
    padded: Vec<K>,
    boxes: Vec<[K; BLOCK]>,
}

impl<K> Default for SortScratch<K> {
    fn default() -> Self {
        Self { padded: Vec::new(), boxes: Vec::new() }
    }
}

/// The medians of one row.
pub(super) struct Sort<'a, T: Sample> {
    pub(super) scratch: &'a mut SortScratch<T::Key>,
    pub(super) network: &'a Network,
    pub(super) window: &'a Window,
    pub(super) values: &'a [T],
    pub(super) at: [usize; 2],
    pub(super) out: &'a mut [T],
}

impl<T: Sample> Vectorised for Sort<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let SortScratch { padded, boxes } = self.scratch;
        self.window.fill(self.values, self.at, padded);
        boxes.resize(self.network.count, [T::Key::default(); BLOCK]);
        let width = 2 * self.window.radius[2] + 1;
        for (block, out) in self.out.chunks_mut(BLOCK).enumerate() {
            let mut elements = boxes.iter_mut();
            for row in padded.chunks_exact(self.window.padded()) {
                for (k, element) in elements.by_ref().take(width).enumerate() {
                    take(&row[block * BLOCK + k..], out.len(), element);
                }
            }
            exchange(boxes, &self.network.pairs);
            let middle = &boxes[self.network.count / 2];
            out.iter_mut().zip(middle).for_each(|(out, key)| *out = T::of(*key));
        }
    }
}

/// Copies the voxels of up to [`BLOCK`] neighbouring boxes.
#[inline(always)]
fn take<K: Key>(row: &[K], count: usize, element: &mut [K; BLOCK]) {
    match row.first_chunk::<BLOCK>() {
        Some(values) if count == BLOCK => *element = *values,
        _ => element[..count].copy_from_slice(&row[..count]),
    }
}

#[inline(always)]
fn exchange<K: Key>(boxes: &mut [[K; BLOCK]], pairs: &[[u32; 2]]) {
    for [a, b] in pairs {
        let (first, second) = boxes.split_at_mut(*b as usize);
        let (low, high) = (&mut first[*a as usize], &mut second[0]);
        for l in 0..BLOCK {
            let (x, y) = (low[l], high[l]);
            low[l] = x.min(y);
            high[l] = x.max(y);
        }
    }
}
