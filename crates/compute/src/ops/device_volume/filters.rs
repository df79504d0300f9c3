//! Filters. Beyond the border volumes are mirrored at the edge of the last voxel, SciPy's `reflect`.
//!
//! Shader compilers may take it that there is no NaN: volumes with NaN or infinities are refused.

use cubecl::client::Client;
use cubecl::server::Handle;
use exavox_io::{Axis, DataType};

use super::DeviceVolume;
use crate::error::{Error, Result};
use crate::kernels::filters::{
    launch_convert, launch_convolve_axis, launch_differences, launch_median, launch_rescale,
};

/// Voxels of the largest box whose median is searched; the work grows with their square.
const LARGEST_BOX: usize = 343;

impl DeviceVolume {
    /// Smooths with a Gaussian of `sigma_zyx` voxels, each 0 or above, cut at four sigma; `float32`.
    /// Weights are computed in f64, sums in f32.
    ///
    /// # Errors
    /// [`Error::Usage`] if a sigma is negative or not finite, [`Error::NotOnDevice`] if a voxel is not finite;
    /// [`Error::DeviceFailed`].
    pub fn gaussian(&self, sigma_zyx: [f64; 3]) -> Result<Self> {
        if !sigma_zyx.iter().all(|sigma| (0.0..=1e6).contains(sigma)) {
            let message = format!("sigma {sigma_zyx:?}: each must be from 0 to 1e6");
            return Err(Error::Usage(message));
        }
        self.filter("gaussian", |client, mut values| {
            for (axis, sigma) in sigma_zyx.into_iter().enumerate().filter(|(_, s)| *s > 0.0) {
                values = launch_convolve_axis(client, &values, self.shape, axis, &weights(sigma));
            }
            values
        })
    }

    /// The Sobel operator, not normalised: along an axis, or the length of the gradient; `float32`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the axis is not z, y or x, [`Error::NotOnDevice`] if a voxel is not finite;
    /// [`Error::DeviceFailed`].
    pub fn sobel(&self, along: Option<Axis>) -> Result<Self> {
        let index = |axis: Axis| {
            let other = || Error::Usage(format!("sobel along {axis}: expected z, y or x"));
            axis.zyx_index().ok_or_else(other)
        };
        let axis = along.map(index).transpose()?;
        self.filter("sobel", |client, values| launch_differences(client, &values, self.shape, axis))
    }

    /// The median of the box of `2 * radius + 1` voxels around each voxel; `float32`.
    ///
    /// # Errors
    /// [`Error::NotOnDevice`] if the box has more than 343 voxels, or a voxel is not finite;
    /// [`Error::DeviceFailed`].
    pub fn median(&self, radius_zyx: [usize; 3]) -> Result<Self> {
        let sizes = radius_zyx.map(|radius| radius.saturating_mul(2).saturating_add(1));
        let voxels = sizes.into_iter().fold(1, usize::saturating_mul);
        if voxels > LARGEST_BOX {
            return Err(Error::NotOnDevice(format!(
                "median: expected a box of at most {LARGEST_BOX} voxels, found {voxels}"
            )));
        }
        self.filter("median", |client, values| {
            launch_median(client, &values, self.shape, radius_zyx)
        })
    }

    /// `(value - mean) / deviation`; `float32`.
    ///
    /// # Errors
    /// [`Error::Usage`] if mean or deviation are not finite, the deviation is 0, or a voxel is not
    /// finite; [`Error::DeviceFailed`].
    pub fn normalize(&self, mean: f32, deviation: f32) -> Result<Self> {
        if !mean.is_finite() || !deviation.is_normal() {
            let message = format!("mean {mean}, deviation {deviation}: expected finite, not 0");
            return Err(Error::Usage(message));
        }
        self.filter("normalize", |client, values| launch_rescale(client, &values, mean, deviation))
    }

    /// Runs a filter on the voxels as f32.
    fn filter(&self, name: &str, launch: impl FnOnce(&Client, Handle) -> Handle) -> Result<Self> {
        if !self.finite {
            let message =
                format!("{name} on a device: expected finite voxels, found NaN or infinity");
            return Err(Error::NotOnDevice(message));
        }
        if self.voxels() == 0 {
            return Ok(Self { dtype: DataType::F32, ..self.clone() });
        }
        self.make(self.shape, DataType::F32, |client| {
            let floats = self.dtype == DataType::F32;
            let words = &self.words;
            launch(client, if floats { words.clone() } else { launch_convert(client, words) })
        })
    }
}

/// The Gaussian from minus to plus four sigma; the sum is 1.
fn weights(sigma: f64) -> Vec<f32> {
    let radius = (4.0 * sigma + 0.5) as i64;
    let value = |x: i64| (-0.5 * (x as f64 / sigma).powi(2)).exp();
    let sum: f64 = (-radius..=radius).map(value).sum();
    (-radius..=radius).map(|x| (value(x) / sum) as f32).collect()
}
