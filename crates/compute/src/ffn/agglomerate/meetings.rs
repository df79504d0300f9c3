//! Where segments that have grown meet, and which of these places is the decision point of a pair.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Offsets `[z, y, x]` to the other voxels of a cube of 2 x 2 x 2, the order in which ties are settled.
pub(super) const STENCIL: [[usize; 3]; 7] =
    [[0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]];

/// Numbers of two segments, the smaller first.
pub(super) type Pair = [u32; 2];

/// Segments that have grown until they met.
pub(super) struct Meetings<'a> {
    pub(super) segments: &'a [u32],
    pub(super) distance: &'a [f32],
    pub(super) shape: [usize; 3],
    pub(super) inner: [[usize; 3]; 2],
}

/// All places at which a pair is closest: their distance, number, and sum of positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Closest {
    pub(super) distance: f64,
    count: u64,
    sum: [u64; 3],
}

/// A place at which a pair is closest. The least is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Squared distance to the centroid, times the squared number of places: a whole number.
    from_centroid: u128,
    stencil: usize,
    pub(super) at: usize,
}

impl Meetings<'_> {
    pub(super) fn position(&self, at: usize) -> [usize; 3] {
        let [_, ny, nx] = self.shape;
        [at / (ny * nx), at / nx % ny, at % nx]
    }

    /// Calls with each two segments that meet in a plane: pair, number in the stencil, voxel, distance.
    fn each_in_plane(&self, z: usize, mut take: impl FnMut(Pair, usize, usize, f64)) {
        let [_, ny, nx] = self.shape;
        let [start, end] = self.inner;
        for (number, [dz, dy, dx]) in STENCIL.into_iter().enumerate() {
            if z + dz >= end[0] {
                continue;
            }
            let step = (dz * ny + dy) * nx + dx;
            for y in start[1]..end[1].saturating_sub(dy) {
                for x in start[2]..end[2].saturating_sub(dx) {
                    let at = (z * ny + y) * nx + x;
                    let (a, b) = (self.segments[at], self.segments[at + step]);
                    if a != b && a != 0 && b != 0 {
                        let sum =
                            f64::from(self.distance[at]) + f64::from(self.distance[at + step]);
                        take([a.min(b), a.max(b)], number, at, sum / 2.0);
                    }
                }
            }
        }
    }

    fn planes(&self) -> rayon::range::Iter<usize> {
        (self.inner[0][0]..self.inner[1][0]).into_par_iter()
    }

    pub(super) fn closest(&self) -> FxHashMap<Pair, Closest> {
        let found = self.planes().fold(FxHashMap::default, |mut found, z| {
            self.each_in_plane(z, |pair, _, at, distance| {
                let sum = self.position(at).map(|p| p as u64);
                add(&mut found, pair, Closest { distance, count: 1, sum });
            });
            found
        });
        found.reduce(FxHashMap::default, |a, b| {
            let (mut large, small) = if a.len() < b.len() { (b, a) } else { (a, b) };
            small.into_iter().for_each(|(pair, closest)| add(&mut large, pair, closest));
            large
        })
    }

    pub(super) fn points(&self, closest: &FxHashMap<Pair, Closest>) -> FxHashMap<Pair, Place> {
        let least = |found: &mut FxHashMap<Pair, Place>, pair: Pair, place: Place| {
            let entry = found.entry(pair).or_insert(place);
            *entry = place.min(*entry);
        };
        let found = self.planes().fold(FxHashMap::default, |mut found, z| {
            self.each_in_plane(z, |pair, stencil, at, distance| {
                let all = &closest[&pair];
                if distance == all.distance {
                    let from_centroid = all.distance_to_centroid(self.position(at));
                    least(&mut found, pair, Place { from_centroid, stencil, at });
                }
            });
            found
        });
        found.reduce(FxHashMap::default, |mut a, b| {
            b.into_iter().for_each(|(pair, place)| least(&mut a, pair, place));
            a
        })
    }
}

impl Closest {
    fn distance_to_centroid(&self, position: [usize; 3]) -> u128 {
        let squared = |a: usize| {
            let scaled = u128::from(self.count) * position[a] as u128;
            scaled.abs_diff(u128::from(self.sum[a])).pow(2)
        };
        (0..3).map(squared).sum()
    }
}

/// Keeps what is closer, and puts together what is as close.
fn add(found: &mut FxHashMap<Pair, Closest>, pair: Pair, new: Closest) {
    let Some(old) = found.get_mut(&pair) else {
        found.insert(pair, new);
        return;
    };
    if new.distance < old.distance {
        *old = new;
    } else if new.distance == old.distance {
        old.count += new.count;
        (0..3).for_each(|a| old.sum[a] += new.sum[a]);
    }
}
