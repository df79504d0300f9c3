//! Smaller volumes: every cell of `factor` voxels becomes one voxel, by mean for images or by mode for
//! labels.
//!
//! Cells begin at the start of a block. Those at its end hold what is left of it: only voxels that
//! exist take part. A volume cut into blocks at multiples of the factor gives the same as in one piece.

use std::fmt;
use std::str::FromStr;

use exavox_io::{DataType, Voxels};

use crate::error::{Error, Result};

mod cells;
mod mean;
mod mode;

use cells::Cells;

/// What is made of the voxels of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownsampleMethod {
    /// The mean. Integers are added up exactly and rounded to the nearest, halves to the even number;
    /// floats are added up in f64. NaN if a voxel is NaN.
    Mean,
    /// The value that occurs most often; of several the smallest. 0 is a value like any other. Integers
    /// only.
    Mode,
}

impl DownsampleMethod {
    /// The method for a type where nobody chose one: mode for integers of 32 and 64 bits, which hold
    /// labels, mean for all others.
    pub fn default_of(dtype: DataType) -> Self {
        match dtype {
            DataType::U32 | DataType::U64 | DataType::I32 | DataType::I64 => Self::Mode,
            _ => Self::Mean,
        }
    }

    /// `mean` or `mode`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Mode => "mode",
        }
    }
}

impl fmt::Display for DownsampleMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DownsampleMethod {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Mean, Self::Mode]
            .into_iter()
            .find(|method| method.name() == text)
            .ok_or_else(|| Error::Usage(format!("expected mean or mode, found '{text}'")))
    }
}

/// Shape of a volume of `shape` after downsampling: rounded up, so that no voxel is lost.
pub fn downsampled_shape(shape: [u64; 3], factor: [u64; 3]) -> [u64; 3] {
    std::array::from_fn(|a| shape[a].div_ceil(factor[a].max(1)))
}

/// Downsamples a block by `factor` (`[z, y, x]`, each at least 1). The result has the block's type and
/// the shape of [`downsampled_shape`].
///
/// Cost: each voxel is read once, on the threads of the current rayon pool; besides the result it takes
/// a row of sums for each thread.
///
/// # Errors
/// [`Error::Usage`] if a factor is 0, or for the mode of floats.
pub fn downsample(voxels: &Voxels, factor: [usize; 3], method: DownsampleMethod) -> Result<Voxels> {
    if factor.contains(&0) {
        return Err(Error::Usage(format!(
            "downsampling factor {factor:?}: each must be at least 1"
        )));
    }
    let cells = Cells::new(voxels.shape(), factor);
    match method {
        DownsampleMethod::Mean => mean::downsample(voxels, &cells),
        DownsampleMethod::Mode => mode::downsample(voxels, &cells),
    }
}
