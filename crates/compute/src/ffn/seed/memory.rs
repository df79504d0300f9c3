//! How much memory the lists of a policy take. Sizes are those of the buffers in `local_maxima`, `intensity`,
//! `grid` and `dense`.

use super::SeedPolicy;

/// Bytes of a seed.
const SEED: f64 = 24.0;
/// Bytes of a voxel with its height or brightness.
const CANDIDATE: f64 = 16.0;
/// A list that has grown holds so much more than its entries,
const ROOM: f64 = 1.25;
/// and beside what it held before, while it grows.
const GROWING: f64 = 1.0 + ROOM;
/// Bytes for a peak that keeps others away: its seed, its place in a table that grows, and its list there.
const SPACED: f64 = SEED * GROWING + 48.0 * 3.5 + SEED;
/// Bytes for the planes of a window as high as the volume, beyond those that every policy may take.
const PLANES: f64 = 3.0;

impl SeedPolicy {
    /// Memory for each voxel, at most, beyond what every policy may take (13 bytes): lists, where many voxels
    /// are seeds. For volumes of at least half a step along each axis, where there is a grid.
    pub fn extra_bytes_per_voxel(&self) -> u64 {
        self.extra().ceil() as u64
    }

    fn extra(&self) -> f64 {
        match self {
            Self::Peaks | Self::FillEmptySpace | Self::Points(_) => 0.0,
            Self::Max => CANDIDATE + SEED,
            // The mask, before and after an erosion.
            Self::Dense { .. } => 2.0 + SEED,
            Self::Grid3d { .. } | Self::Grid2d { .. } => SEED * self.share(),
            Self::Peaks2d { .. } | Self::ImagePeaks2dDisk { .. } => SEED * GROWING * self.share(),
            Self::MaxPeaks { min_distance, .. } => {
                PLANES + peaks(self.share(), self.share(), *min_distance)
            }
            Self::ImagePeaks3d2d { min_distance_3d, .. } => {
                // All of a plateau may be candidates, as it is without noise.
                let in_3d = min_distance_3d.map_or(0.0, |d| peaks(1.0, spaced(d, 3), d));
                PLANES + in_3d.max(SEED * GROWING * self.share())
            }
            Self::Reverse(policy) => policy.extra(),
            Self::Sequence(policies) => policies.iter().map(Self::in_sequence).sum(),
        }
    }

    /// As one of several: all lists, and what they become together.
    fn in_sequence(&self) -> f64 {
        self.extra().max(SEED * ROOM * self.share()) + SEED * self.share()
    }

    /// Seeds over voxels, at most; above 1 where a voxel may be a seed several times.
    fn share(&self) -> f64 {
        match self {
            Self::Peaks => apart(3, 3),
            Self::FillEmptySpace => apart(2, 3),
            Self::Max | Self::Dense { .. } => 1.0,
            Self::Peaks2d { min_distance, .. } => apart(*min_distance, 2),
            Self::MaxPeaks { min_distance, .. } => apart(*min_distance, 3),
            Self::ImagePeaks3d2d { min_distance_2d, min_distance_3d } => {
                let of = |d: &Option<usize>, axes| d.map_or(0.0, |d| spaced(d, axes));
                of(min_distance_3d, 3) + of(min_distance_2d, 2)
            }
            // Circles may lie closer than squares, by the square root of 2 along each axis.
            Self::ImagePeaks2dDisk { min_distance_2d, .. } => {
                (2.0 * spaced(*min_distance_2d, 2)).min(1.0)
            }
            Self::Grid3d { step, offsets } => offsets.len() as f64 * grid(*step).powi(3),
            Self::Grid2d { step, offsets } => offsets.len() as f64 * grid(*step).powi(2),
            Self::Points(_) => 0.0,
            Self::Reverse(policy) => policy.share(),
            Self::Sequence(policies) => policies.iter().map(Self::share).sum(),
        }
    }
}

/// Bytes while shares of the voxels are candidates and are kept.
fn peaks(candidates: f64, kept: f64, min_distance: usize) -> f64 {
    let kept = kept * if min_distance <= 1 { SEED } else { SPACED };
    (CANDIDATE * GROWING * candidates).max(CANDIDATE * ROOM * candidates + kept)
}

/// Share of voxels that are the only highest ones up to a distance; borders as wide hold none.
fn apart(min_distance: usize, axes: i32) -> f64 {
    (1.0 / (min_distance as f64 + 1.0)).powi(axes)
}

/// Share of voxels that are kept where none may be nearer than a distance.
fn spaced(min_distance: usize, axes: i32) -> f64 {
    (1.0 / min_distance.max(1) as f64).powi(axes)
}

/// Share of voxels on an axis; two of a short axis with a long step.
fn grid(step: usize) -> f64 {
    (2.0 / step as f64).min(1.0)
}
