//! Floods from one segment, from one seed after the other until enough of it is recovered.

use exavox_io::Voxels;

use super::block::PairBlock;
use super::resegmentation::{Flooded, ResegmentationOptions, Run, Threshold};
use crate::error::{Error, Result};
use crate::ops::distance_transform::{DistanceOptions, distance_transform};

/// One segment of a block.
pub(super) struct Segment {
    /// 1 inside, 0 elsewhere.
    mask: Vec<u8>,
    pub(super) voxels: u64,
}

impl Segment {
    pub(super) fn new(block: &PairBlock<'_>, id: u64) -> Self {
        let mask: Vec<u8> = block.labels.iter().map(|label| u8::from(*label == id)).collect();
        let voxels = mask.iter().map(|inside| u64::from(*inside)).sum();
        Self { mask, voxels }
    }

    fn inside(&self, flooded: &Flooded, threshold: f32) -> u64 {
        let pairs = self.mask.iter().zip(&flooded.probabilities);
        pairs.filter(|(inside, p)| **inside != 0 && **p >= threshold).count() as u64
    }

    pub(super) fn share_inside(&self, flooded: &Flooded, threshold: f32) -> f64 {
        self.inside(flooded, threshold) as f64 / self.voxels as f64
    }
}

/// Floods from one segment after the other seed.
pub(super) struct Attempts<'a> {
    pub(super) block: &'a PairBlock<'a>,
    pub(super) margin: [usize; 3],
    pub(super) threshold: Threshold,
    pub(super) options: &'a ResegmentationOptions,
    pub(super) flood: &'a mut dyn FnMut([usize; 3]) -> Result<Flooded>,
}

impl Attempts<'_> {
    /// The last of the floods; `None` if there is no place for a seed.
    pub(super) fn run(&mut self, segment: &Segment) -> Result<Option<Run>> {
        let mut distance = self.distance(segment)?;
        let (mut last, mut steps): (Option<Run>, u64) = (None, 0);
        for attempt in 1..=self.options.max_retry_iters as u64 {
            let Some(seed_zyx) = self.farthest(&distance) else { break };
            self.clear(&mut distance, seed_zyx, self.options.exclusion_radius_zyx);
            let flooded = (self.flood)(seed_zyx)?;
            if flooded.probabilities.len() != self.block.labels.len() {
                let (expected, found) = (self.block.labels.len(), flooded.probabilities.len());
                let message = format!("flood: expected {expected} probabilities, found {found}");
                return Err(Error::Usage(message));
            }
            steps += flooded.history.len() as u64;
            let recovered = self.is_recovered(segment, &flooded);
            last = Some(Run { seed_zyx, attempts: attempt, steps, recovered, flooded });
            if recovered {
                break;
            }
        }
        Ok(last)
    }

    /// Distance of the segment's voxels from its border; 0 where no seed may be.
    fn distance(&self, segment: &Segment) -> Result<Vec<f32>> {
        let shape = self.block.shape;
        let voxel_size_zyx = self.block.voxel_size_zyx;
        let options = DistanceOptions { voxel_size_zyx, ..DistanceOptions::default() };
        let mask = Voxels::from_vec(shape, segment.mask.clone())?;
        let mut distance = distance_transform(&mask, &options)?.as_slice::<f32>()?.to_vec();
        for (at, distance) in distance.iter_mut().enumerate() {
            let p = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
            if (0..3).any(|a| p[a] < self.margin[a] || p[a] + self.margin[a] >= shape[a]) {
                *distance = 0.0;
            }
        }
        if let Some(radius) = self.options.init_exclusion_radius_zyx {
            self.clear(&mut distance, self.block.point_zyx, radius);
        }
        Ok(distance)
    }

    /// The first of the voxels with the largest distance; `None` if all are 0.
    fn farthest(&self, distance: &[f32]) -> Option<[usize; 3]> {
        let [_, ny, nx] = self.block.shape;
        let mut farthest = (0.0, None);
        for (at, distance) in distance.iter().enumerate() {
            if *distance > farthest.0 {
                farthest = (*distance, Some([at / (ny * nx), at / nx % ny, at % nx]));
            }
        }
        farthest.1
    }

    /// Sets a box around a voxel to 0.
    fn clear(&self, distance: &mut [f32], centre: [usize; 3], radius: [usize; 3]) {
        let [nz, ny, nx] = self.block.shape;
        let range = |a: usize, size: usize| {
            centre[a].saturating_sub(radius[a])..centre[a].saturating_add(radius[a] + 1).min(size)
        };
        for z in range(0, nz) {
            for y in range(1, ny) {
                let row = (z * ny + y) * nx;
                let along_x = range(2, nx);
                distance[row + along_x.start..row + along_x.end].fill(0.0);
            }
        }
    }

    fn is_recovered(&self, segment: &Segment, flooded: &Flooded) -> bool {
        let fraction = self.options.segment_recovery_fraction;
        if fraction > 0.0 {
            return segment.share_inside(flooded, self.threshold.segment) >= fraction;
        }
        segment.inside(flooded, self.threshold.segment) >= self.threshold.min_segment_size as u64
    }
}
