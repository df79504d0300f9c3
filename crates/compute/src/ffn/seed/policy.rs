//! The policies and their arguments.

use crate::error::{Error, Result};

/// How seeds are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By z, y, x.
    #[default]
    Ascending,
    /// The reverse.
    Descending,
}

/// Which voxels are tried as seeds, in which order. Names and arguments are those of google/ffn; its class
/// is named where the name here differs.
#[derive(Debug, Clone, PartialEq)]
pub enum SeedPolicy {
    /// Peaks of the distance to edges of the image (Sobel magnitude above its Gaussian average), sorted.
    Peaks,
    /// The same plane by plane.
    Peaks2d {
        /// Peaks of a plane are so far apart, voxels.
        min_distance: usize,
        /// Distances above this only, voxels.
        threshold_abs: f64,
        /// `sort_cmp`.
        order: Order,
    },
    /// Peaks of the distance to what is labelled already, sorted.
    FillEmptySpace,
    /// All voxels, brightest first; of equal ones the last in C order first.
    Max,
    /// Peaks of the image, sorted; what is labelled or masked counts as 0.
    MaxPeaks {
        /// Peaks are so far apart, voxels.
        min_distance: usize,
        /// Values above this only, of the normalised image.
        threshold_abs: f64,
        /// Values above this share of the largest only.
        threshold_rel: f64,
    },
    /// Peaks of the image in 3-d, then those of each plane; brightest first.
    ImagePeaks3d2d {
        /// Peaks of a plane are so far apart, voxels; `None` = none of them.
        min_distance_2d: Option<usize>,
        /// Peaks in 3-d are so far apart, voxels; `None` = none of them.
        min_distance_3d: Option<usize>,
    },
    /// Peaks of each plane, maxima of a disk, brightest first.
    ImagePeaks2dDisk {
        /// Peaks are so far apart, voxels, by Euclid.
        min_distance_2d: usize,
        /// Values above this share of the plane's largest only.
        threshold_rel: f32,
        /// A peak is the maximum of a disk of this radius, voxels; at most 64.
        disk_radius: usize,
    },
    /// For each offset the voxels from it on, a step apart along each axis.
    Grid3d {
        /// Voxels between two seeds.
        step: usize,
        /// First voxel along each axis, one grid after the other.
        offsets: Vec<usize>,
    },
    /// The same in each plane.
    Grid2d {
        /// Voxels between two seeds.
        step: usize,
        /// First voxel along y and x, one grid after the other.
        offsets: Vec<usize>,
    },
    /// `PolicyDenseSeeds`: every voxel above a threshold, after erosions by the 6 face neighbours, in C
    /// order.
    Dense {
        /// Of the normalised image.
        threshold: f32,
        /// How often.
        num_erosions: usize,
        /// Voxels at or below the threshold instead.
        invert: bool,
    },
    /// Given voxels; those of `PolicyInvertOrigins` too.
    Points(Vec<[usize; 3]>),
    /// `ReverseCoords`: the last seed of a policy first.
    Reverse(Box<SeedPolicy>),
    /// `SequentialPolicies`: one policy after the other.
    Sequence(Vec<SeedPolicy>),
}

/// Larger windows, steps and offsets are mistakes.
const LARGEST: usize = 1 << 20;
/// The maximum of a disk takes as many operations a voxel as the disk has voxels.
const LARGEST_DISK: usize = 64;
/// Policies inside policies.
const DEEPEST: usize = 16;

impl SeedPolicy {
    /// `Ok` if all arguments can be.
    ///
    /// # Errors
    /// [`Error::Usage`] names the argument, expected and found.
    pub fn check(&self) -> Result<()> {
        self.check_at(0)
    }

    fn check_at(&self, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            let message = format!("seed policies are nested deeper than {DEEPEST}");
            return Err(Error::Usage(message));
        }
        match self {
            Self::Peaks2d { min_distance, threshold_abs, .. } => {
                up_to(LARGEST, "min_distance", *min_distance)?;
                number("threshold_abs", *threshold_abs)
            }
            Self::MaxPeaks { min_distance, threshold_abs, threshold_rel } => {
                up_to(LARGEST, "min_distance", *min_distance)?;
                number("threshold_abs", *threshold_abs)?;
                number("threshold_rel", *threshold_rel)
            }
            Self::ImagePeaks3d2d { min_distance_2d, min_distance_3d } => {
                up_to(LARGEST, "min_distance_2d", min_distance_2d.unwrap_or(0))?;
                up_to(LARGEST, "min_distance_3d", min_distance_3d.unwrap_or(0))
            }
            Self::ImagePeaks2dDisk { min_distance_2d, threshold_rel, disk_radius } => {
                up_to(LARGEST, "min_distance_2d", *min_distance_2d)?;
                up_to(LARGEST_DISK, "disk_radius", *disk_radius)?;
                number("threshold_rel", f64::from(*threshold_rel))
            }
            Self::Grid3d { step, offsets } | Self::Grid2d { step, offsets } => grid(*step, offsets),
            Self::Dense { threshold, num_erosions, .. } => {
                up_to(LARGEST, "num_erosions", *num_erosions)?;
                number("threshold", f64::from(*threshold))
            }
            Self::Reverse(policy) => policy.check_at(depth + 1),
            Self::Sequence(policies) => policies.iter().try_for_each(|p| p.check_at(depth + 1)),
            Self::Peaks | Self::FillEmptySpace | Self::Max | Self::Points(_) => Ok(()),
        }
    }

    /// Whether the policy says nothing without labels that are there already.
    pub fn needs_labels(&self) -> bool {
        match self {
            Self::FillEmptySpace => true,
            Self::Reverse(policy) => policy.needs_labels(),
            Self::Sequence(policies) => policies.iter().any(Self::needs_labels),
            _ => false,
        }
    }
}

fn up_to(largest: usize, name: &str, value: usize) -> Result<()> {
    if value <= largest {
        return Ok(());
    }
    Err(Error::Usage(format!("{name}: expected at most {largest}, found {value}")))
}

fn number(name: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::Usage(format!("{name}: expected a finite number, found {value}")))
}

fn grid(step: usize, offsets: &[usize]) -> Result<()> {
    if step == 0 {
        return Err(Error::Usage("step: expected at least 1, found 0".into()));
    }
    up_to(LARGEST, "step", step)?;
    offsets.iter().try_for_each(|offset| up_to(LARGEST, "offsets", *offset))
}
