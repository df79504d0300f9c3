//! Filters as a plan writes them.

use exavox_compute::ops::distance_transform::{DistanceKind, DistanceOptions};
use exavox_compute::ops::filter::{ClaheOptions, Dimensions, Filter, Normalization, Sought};
use exavox_io::VoxelSize;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A filter: `{ kind = "gaussian", sigma = [1, 2, 2] }`. Lengths are in voxels, `[z, y, x]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FilterSettings {
    /// Smoothing.
    Gaussian {
        /// Standard deviations; 0 leaves an axis as it is.
        sigma: [f64; 3],
        /// `reflect` or `nearest`.
        #[serde(default = "reflect")]
        boundary: String,
    },
    /// The median of a box.
    Median {
        /// Voxels on each side of the one in the middle.
        radius: [usize; 3],
        /// `reflect` or `nearest`.
        #[serde(default = "reflect")]
        boundary: String,
    },
    /// Edges.
    Sobel {
        /// `magnitude`, `z`, `y` or `x`.
        #[serde(default = "magnitude")]
        gradient: String,
    },
    /// Contrast within tiles.
    Clahe {
        /// Voxels of a tile. Default: an eighth of the volume.
        tile: Option<[usize; 3]>,
        /// 2: each plane by itself; 3: tiles along z too.
        #[serde(default = "two")]
        dimensions: u8,
        /// How much of a tile may have one gray level, 0 to 1; 0 does not limit the contrast.
        #[serde(default = "clip_limit")]
        clip_limit: f64,
        /// Values that become the lowest and the highest gray level. Default: those of each channel.
        range: Option<[f64; 2]>,
    },
    /// Mean 0 and deviation 1.
    NormalizeMeanStd {},
    /// The lowest value becomes 0, the highest 1.
    NormalizeMinMax {},
    /// Two values become 0 and 1.
    NormalizeRange {
        /// The two.
        range: [f64; 2],
    },
    /// The values at two percentiles become 0 and 1.
    NormalizePercentiles {
        /// The two, 0 to 100.
        percentiles: [f64; 2],
    },
    /// The distance to background.
    Distance {
        /// Edge lengths of a voxel: distances are in their unit. Default: the volume's, in nanometres, or 1
        /// where it has none.
        voxel_size: Option<[f64; 3]>,
        /// The squared distance.
        #[serde(default)]
        squared: bool,
        /// Beyond the border: `open` (nothing) or `background`.
        #[serde(default = "open")]
        border: String,
    },
}

fn reflect() -> String {
    "reflect".to_owned()
}

fn magnitude() -> String {
    "magnitude".to_owned()
}

fn open() -> String {
    "open".to_owned()
}

fn two() -> u8 {
    2
}

fn clip_limit() -> f64 {
    ClaheOptions::default().clip_limit
}

impl FilterSettings {
    /// As a plan would write a filter.
    pub fn of(filter: &Filter) -> Option<Self> {
        Some(match filter {
            Filter::Gaussian { sigma_zyx, boundary } => {
                Self::Gaussian { sigma: *sigma_zyx, boundary: boundary.to_string() }
            }
            Filter::Median { radius_zyx, boundary } => {
                Self::Median { radius: *radius_zyx, boundary: boundary.to_string() }
            }
            Filter::Sobel(gradient) => Self::Sobel { gradient: gradient.to_string() },
            Filter::Clahe(options) => Self::Clahe {
                tile: options.tile_zyx,
                dimensions: if options.dimensions == Dimensions::Three { 3 } else { 2 },
                clip_limit: options.clip_limit,
                range: options.range,
            },
            Filter::Normalize(Normalization::MeanStd) => Self::NormalizeMeanStd {},
            Filter::Normalize(Normalization::MinMax) => Self::NormalizeMinMax {},
            Filter::Normalize(Normalization::Range { low, high }) => {
                Self::NormalizeRange { range: [*low, *high] }
            }
            Filter::Normalize(Normalization::Percentiles { low, high }) => {
                Self::NormalizePercentiles { percentiles: [*low, *high] }
            }
            Filter::Distance(DistanceOptions { voxel_size_zyx, kind, border, .. }) => {
                Self::Distance {
                    voxel_size: Some(*voxel_size_zyx),
                    squared: *kind == DistanceKind::Squared,
                    border: border.to_string(),
                }
            }
            _ => return None,
        })
    }

    /// The filter, for a volume whose voxels have this size.
    ///
    /// # Errors
    /// If it cannot be.
    pub(super) fn filter(&self, voxel_size: Option<VoxelSize>) -> Result<Filter> {
        let filter = match self {
            Self::Gaussian { sigma, boundary } => {
                check_sigma(*sigma)?;
                Filter::Gaussian { sigma_zyx: *sigma, boundary: boundary.parse()? }
            }
            Self::Median { radius, boundary } => {
                Filter::Median { radius_zyx: *radius, boundary: boundary.parse()? }
            }
            Self::Sobel { gradient } => Filter::Sobel(gradient.parse()?),
            Self::Clahe { tile, dimensions, clip_limit, range } => {
                let mut options = ClaheOptions::default();
                (options.tile_zyx, options.range) = (*tile, *range);
                (options.clip_limit, options.dimensions) =
                    (*clip_limit, dimensions_of(*dimensions)?);
                Filter::Clahe(options)
            }
            Self::NormalizeMeanStd {} => Filter::Normalize(Normalization::MeanStd),
            Self::NormalizeMinMax {} => Filter::Normalize(Normalization::MinMax),
            Self::NormalizeRange { range: [low, high] } => {
                Filter::Normalize(Normalization::Range { low: *low, high: *high })
            }
            Self::NormalizePercentiles { percentiles: [low, high] } => {
                Filter::Normalize(Normalization::Percentiles { low: *low, high: *high })
            }
            Self::Distance { voxel_size: own, squared, border } => {
                let size = own.or(voxel_size.map(|size| size.nm_zyx));
                let mut options = DistanceOptions::default();
                options.voxel_size_zyx = size.unwrap_or(options.voxel_size_zyx);
                options.kind =
                    if *squared { DistanceKind::Squared } else { DistanceKind::Euclidean };
                options.border = border.parse()?;
                Filter::Distance(options)
            }
        };
        match filter {
            Filter::Normalize(method) => method.check().map(|()| filter).map_err(Error::from),
            _ => Ok(filter),
        }
    }
}

fn check_sigma(sigma: [f64; 3]) -> Result<()> {
    if sigma.iter().all(|s| s.is_finite() && *s >= 0.0) {
        return Ok(());
    }
    let message = format!("expected finite numbers of at least 0, found {sigma:?}");
    Err(Error::settings("filter gaussian: sigma", message))
}

fn dimensions_of(number: u8) -> Result<Dimensions> {
    match number {
        2 => Ok(Dimensions::Two),
        3 => Ok(Dimensions::Three),
        _ => Err(Error::settings(
            "filter clahe: dimensions",
            format!("expected 2 or 3, found {number}"),
        )),
    }
}

/// Voxels beyond a block, `[z, y, x]`, on which its result depends.
pub(super) fn halo(filter: &Filter) -> [u64; 3] {
    match filter {
        // Where the kernel is cut.
        Filter::Gaussian { sigma_zyx, .. } => sigma_zyx.map(|s| (4.0 * s + 0.5) as u64),
        Filter::Median { radius_zyx, .. } => radius_zyx.map(|r| r as u64),
        Filter::Sobel(_) => [1; 3],
        _ => [0; 3],
    }
}

/// What a filter must know of the whole volume before its first block.
pub(super) fn sought(filter: &Filter) -> Option<Sought> {
    match filter {
        Filter::Normalize(method) => method.sought(),
        Filter::Clahe(options) if options.range.is_none() => Some(Sought::Extremes),
        _ => None,
    }
}
