//! Filters of images, and one door to them all.
//!
//! A filter takes a volume that is in memory and gives a new one of the same shape; channels know nothing
//! of each other.

use exavox_io::{DataType, Voxels};

use super::distance_transform::{DistanceOptions, distance_transform};
use crate::error::Result;

mod boundary;
mod clahe;
mod gaussian;
mod median;
mod normalize;
mod sample;
mod sobel;
mod survey;

pub use boundary::Boundary;
pub use clahe::{ClaheOptions, ClaheTiles, Dimensions, LevelCounts, Mapping, clahe};
pub use gaussian::gaussian;
pub use median::median;
pub use normalize::{Normalization, normalize, normalize_by};
pub use sobel::{Gradient, sobel};
pub use survey::{Sought, Survey, Tally};

/// A filter with its settings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// [`gaussian`].
    Gaussian {
        /// Standard deviations in voxels.
        sigma_zyx: [f64; 3],
        /// What lies beyond the border.
        boundary: Boundary,
    },
    /// [`median`].
    Median {
        /// Voxels on each side of the one in the middle.
        radius_zyx: [usize; 3],
        /// What lies beyond the border.
        boundary: Boundary,
    },
    /// [`sobel`].
    Sobel(Gradient),
    /// [`clahe`].
    Clahe(ClaheOptions),
    /// [`normalize`].
    Normalize(Normalization),
    /// [`distance_transform`] of a mask.
    Distance(DistanceOptions),
}

impl Filter {
    /// Runs the filter.
    ///
    /// # Errors
    /// As the filter's own function.
    pub fn run(&self, voxels: &Voxels) -> Result<Voxels> {
        match self {
            Self::Gaussian { sigma_zyx, boundary } => gaussian(voxels, *sigma_zyx, *boundary),
            Self::Median { radius_zyx, boundary } => median(voxels, *radius_zyx, *boundary),
            Self::Clahe(options) => clahe(voxels, options),
            Self::Normalize(method) => normalize(voxels, *method),
            Self::Sobel(gradient) => sobel(voxels, *gradient),
            Self::Distance(options) => distance_transform(voxels, options),
        }
    }

    /// `gaussian`, `median`, `sobel`, `clahe`, `normalize`, `distance`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gaussian { .. } => "gaussian",
            Self::Median { .. } => "median",
            Self::Sobel(_) => "sobel",
            Self::Clahe(_) => "clahe",
            Self::Normalize(_) => "normalize",
            Self::Distance(_) => "distance",
        }
    }

    /// Type of the result for an input type: that of a median is the input's, all others are f32.
    pub fn output_dtype(&self, input: DataType) -> DataType {
        match self {
            Self::Median { .. } => input,
            _ => DataType::F32,
        }
    }

    /// Whether results lie between 0 and 1, so that integers need another scale.
    pub fn is_unit_range(&self) -> bool {
        match self {
            Self::Clahe(_) => true,
            Self::Normalize(method) => method.is_unit_range(),
            _ => false,
        }
    }
}
