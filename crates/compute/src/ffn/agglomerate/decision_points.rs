//! Where two segments may be one: the point between them at which they are closest.

use exavox_io::Voxels;
use rustc_hash::FxHashMap;

use super::meetings::Meetings;
use crate::error::{Error, Result};
use crate::ops::distance_transform::{DistanceOptions, distance_transform};
use crate::ops::watershed::watershed;

/// How decision points are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DecisionPointOptions {
    /// Edge lengths of a voxel; distances have their unit. Default: 1, 1, 1.
    pub voxel_size_zyx: [f64; 3],
    /// Segments farther than this from the point between them are no pair. Default: no bound.
    pub max_distance: f64,
    /// Box, first voxel and one past the last, in which points are looked for; distances are those in all
    /// of the volume. Default: everywhere.
    pub inner: Option<[[usize; 3]; 2]>,
}

impl Default for DecisionPointOptions {
    fn default() -> Self {
        Self { voxel_size_zyx: [1.0; 3], max_distance: f64::INFINITY, inner: None }
    }
}

/// The place at which two segments are closest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionPoint {
    /// The two labels, the smaller first.
    pub labels: [u64; 2],
    /// A voxel between them.
    pub point_zyx: [usize; 3],
    /// Distance of the point from each of them; 0 if they touch.
    pub distance: f64,
}

/// Finds for all pairs of segments that have nothing else between them the point at which they are
/// closest, in ascending order of the labels.
///
/// Segments grow into empty space by a watershed on the distance to the nearest one. Where two of them
/// meet within a cube of 2 x 2 x 2 voxels, which one corner is part of, their distance there is the mean of
/// the two voxels'. Of the places with the least distance of a pair, the one nearest to their centroid is
/// taken. `labels`: `[z, y, x]`, C order, 0 = background.
///
/// Cost: a distance transform, a watershed on one thread, two passes on all. Memory: 12 bytes a voxel, and
/// 16 for each voxel of the watershed's front.
///
/// # Errors
/// [`Error::Usage`] if the shape has not as many voxels, 2^32 or more, or a voxel size is not above 0.
pub fn find_decision_points(
    labels: &[u64],
    shape: [usize; 3],
    options: &DecisionPointOptions,
) -> Result<Vec<DecisionPoint>> {
    let (mut segments, names) = dense(labels)?;
    if names.len() < 2 {
        return Ok(Vec::new());
    }
    let distance = distance_to_segments(&segments, shape, options.voxel_size_zyx)?;
    watershed(&distance, &mut segments, shape, options.max_distance as f32)?;
    let inner = options.inner.unwrap_or([[0; 3], shape]);
    let meetings = Meetings { segments: &segments, distance: &distance, shape, inner };
    let closest = meetings.closest();
    let mut points: Vec<DecisionPoint> = meetings
        .points(&closest)
        .into_iter()
        .map(|(pair, place)| DecisionPoint {
            labels: pair.map(|segment| names[segment as usize - 1]),
            point_zyx: meetings.position(place.at),
            distance: closest[&pair].distance,
        })
        .collect();
    points.sort_unstable_by_key(|point| point.labels);
    Ok(points)
}

/// Labels as numbers from 1 on without gaps, in their own order; and the labels of the numbers.
fn dense(labels: &[u64]) -> Result<(Vec<u32>, Vec<u64>)> {
    let mut names: Vec<u64> = labels.chunk_by(|a, b| a == b).map(|run| run[0]).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|label| *label != 0);
    if u32::try_from(names.len()).is_err() {
        return Err(Error::Usage(format!("decision points of {} segments", names.len())));
    }
    let numbers: FxHashMap<u64, u32> = names.iter().copied().zip(1..).collect();
    let mut last = (0, 0);
    let number = |label: &u64| {
        if *label != last.0 {
            last = (*label, numbers.get(label).copied().unwrap_or(0));
        }
        last.1
    };
    Ok((labels.iter().map(number).collect(), names))
}

fn distance_to_segments(
    segments: &[u32],
    shape: [usize; 3],
    voxel_size_zyx: [f64; 3],
) -> Result<Vec<f32>> {
    let empty: Vec<u8> = segments.iter().map(|segment| u8::from(*segment == 0)).collect();
    let options = DistanceOptions { voxel_size_zyx, ..DistanceOptions::default() };
    let distance = distance_transform(&Voxels::from_vec(shape, empty)?, &options)?;
    Ok(distance.as_slice::<f32>()?.to_vec())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::meetings::{Pair, STENCIL};
    use super::*;
    use proptest::prelude::*;

    fn point(labels: [u64; 2], point_zyx: [usize; 3], distance: f64) -> DecisionPoint {
        DecisionPoint { labels, point_zyx, distance }
    }

    #[test]
    fn two_halves_meet_in_the_middle() {
        // The vector of google/ffn's own test: xyz (29, 39, 49).
        let shape = [100, 80, 60];
        let plane = shape[1] * shape[2];
        let label = |at: usize| match at / plane {
            0..40 => 1,
            40..60 => 0,
            _ => 2,
        };
        let labels: Vec<u64> = (0..100 * plane).map(label).collect();
        let mut options = DecisionPointOptions::default();
        let found = find_decision_points(&labels, shape, &options).unwrap();
        assert_eq!(found, [point([1, 2], [49, 39, 29], 10.0)]);
        options.max_distance = 10.0;
        assert_eq!(find_decision_points(&labels, shape, &options).unwrap(), found);
        options.max_distance = 9.5;
        assert_eq!(find_decision_points(&labels, shape, &options).unwrap(), []);
        options.max_distance = f64::INFINITY;
        options.voxel_size_zyx = [4.0, 1.0, 1.0];
        let found = find_decision_points(&labels, shape, &options).unwrap();
        assert_eq!(found, [point([1, 2], [49, 39, 29], 40.0)]);
        options.inner = Some([[0, 0, 0], [50, 80, 60]]);
        assert_eq!(find_decision_points(&labels, shape, &options).unwrap(), []);
        options.inner = Some([[49, 10, 10], [51, 20, 20]]);
        let found = find_decision_points(&labels, shape, &options).unwrap();
        assert_eq!(found, [point([1, 2], [49, 14, 14], 40.0)]);
    }

    #[test]
    fn only_neighbours_are_pairs() {
        let options = DecisionPointOptions::default();
        let found = find_decision_points(&[7, 7, 0, 3, 0, 0, 0, 9], [1, 1, 8], &options).unwrap();
        // Voxel 5 is as far from 3 as from 9; voxel 4 comes to it before voxel 6.
        assert_eq!(found, [point([3, 7], [0, 0, 2], 0.5), point([3, 9], [0, 0, 5], 1.5)]);
        assert_eq!(find_decision_points(&[0, 4, 4, 0], [1, 1, 4], &options).unwrap(), []);
    }

    /// All meetings in a list, as the definition has them.
    fn naive(labels: &[u64], shape: [usize; 3], max_distance: f64) -> Vec<DecisionPoint> {
        let (mut segments, names) = dense(labels).unwrap();
        if names.is_empty() {
            return Vec::new();
        }
        let distance = distance_to_segments(&segments, shape, [1.0; 3]).unwrap();
        watershed(&distance, &mut segments, shape, max_distance as f32).unwrap();
        let mut all: Vec<(Pair, f64, [usize; 3])> = Vec::new();
        for offset in STENCIL {
            for at in 0..labels.len() {
                let p = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
                let q: [usize; 3] = std::array::from_fn(|a| p[a] + offset[a]);
                if (0..3).any(|a| q[a] >= shape[a]) {
                    continue;
                }
                let to = (q[0] * shape[1] + q[1]) * shape[2] + q[2];
                let (a, b) = (segments[at], segments[to]);
                if a > 0 && b > 0 && a != b {
                    let mean = (f64::from(distance[at]) + f64::from(distance[to])) / 2.0;
                    all.push(([a.min(b), a.max(b)], mean, p));
                }
            }
        }
        let mut pairs: Vec<Pair> = all.iter().map(|m| m.0).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let of = |pair: Pair| {
            let mine = || all.iter().filter(move |m| m.0 == pair);
            let least = mine().map(|m| m.1).fold(f64::INFINITY, f64::min);
            let places: Vec<[usize; 3]> = mine().filter(|m| m.1 == least).map(|m| m.2).collect();
            let n = places.len() as i64;
            let sum = [0, 1, 2].map(|a| places.iter().map(|p| p[a] as i64).sum::<i64>());
            let off =
                |p: &&[usize; 3]| (0..3).map(|a| (n * p[a] as i64 - sum[a]).pow(2)).sum::<i64>();
            let labels = pair.map(|segment| names[segment as usize - 1]);
            point(labels, *places.iter().min_by_key(off).unwrap(), least)
        };
        pairs.into_iter().map(of).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn equals_the_list_of_all_meetings_whatever_the_threads(
            shape in [1usize..8, 1usize..9, 1usize..11], seed in any::<u64>(), rarity in 2u64..30,
            run in 1usize..5, bound in 0u8..4,
        ) {
            let hash = |i: usize| (i as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29;
            let label = |i: usize| if hash(i / run) % rarity == 0 { hash(i / run) % 4 * 1000 } else { 0 };
            let labels: Vec<u64> = (0..shape.iter().product()).map(label).collect();
            let options = DecisionPointOptions { max_distance: f64::from(bound), ..Default::default() };
            let expected = naive(&labels, shape, f64::from(bound));
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found = pool.install(|| find_decision_points(&labels, shape, &options)).unwrap();
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    #[test]
    fn a_shape_that_is_not_that_of_the_labels_is_refused() {
        let options = DecisionPointOptions::default();
        assert!(find_decision_points(&[1, 2, 3], [1, 1, 4], &options).is_err());
        let options = DecisionPointOptions { voxel_size_zyx: [0.0; 3], ..options };
        assert!(find_decision_points(&[1, 2, 3], [1, 1, 3], &options).is_err());
    }
}
