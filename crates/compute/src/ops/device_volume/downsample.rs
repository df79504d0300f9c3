//! Smaller volumes.

use exavox_io::DataType;

use super::DeviceVolume;
use crate::error::{Error, Result};
use crate::kernels::downsample::{CellRule, launch};
use crate::ops::downsample::DownsampleMethod;

impl DeviceVolume {
    /// Every cell of `factor` voxels becomes one, as by [`downsample`](crate::ops::downsample::downsample);
    /// means of floats are added up in f32.
    ///
    /// # Errors
    /// [`Error::Usage`] if a factor is 0, for the mode of floats, and for means whose sums may not fit
    /// into 32 bits; [`Error::DeviceFailed`].
    pub fn downsample(&self, factor: [usize; 3], method: DownsampleMethod) -> Result<Self> {
        if factor.contains(&0) {
            let message = format!("downsampling factor {factor:?}: each must be at least 1");
            return Err(Error::Usage(message));
        }
        // A cell larger than the volume is as large as the volume.
        let factor: [usize; 3] = std::array::from_fn(|a| factor[a].min(self.shape[a]).max(1));
        let shape = std::array::from_fn(|a| self.shape[a].div_ceil(factor[a]));
        let rule = self.rule(factor, method)?;
        if self.voxels() == 0 {
            return Ok(Self { shape, ..self.clone() });
        }
        self.make(shape, self.dtype, |client| launch(client, &self.words, self.shape, factor, rule))
    }

    fn rule(&self, factor: [usize; 3], method: DownsampleMethod) -> Result<CellRule> {
        let largest: u64 = match (method, self.dtype) {
            (DownsampleMethod::Mode, DataType::F32) => {
                let message = "the mode is for labels, which are integers; found float32";
                return Err(Error::Usage(message.into()));
            }
            (DownsampleMethod::Mode, _) => return Ok(CellRule::ModeOfWords),
            (DownsampleMethod::Mean, DataType::F32) if self.finite => {
                return Ok(CellRule::MeanOfFloats);
            }
            (DownsampleMethod::Mean, DataType::F32) => {
                let message = "mean on a device: expected finite voxels, found NaN or infinity";
                return Err(Error::Usage(message.into()));
            }
            (DownsampleMethod::Mean, DataType::U8) => 255,
            (DownsampleMethod::Mean, DataType::U16) => 65_535,
            (DownsampleMethod::Mean, _) => u64::from(u32::MAX),
        };
        let voxels = factor.iter().fold(1u64, |all, f| all.saturating_mul(*f as u64));
        if largest.saturating_mul(voxels) > u64::from(u32::MAX) {
            return Err(Error::Usage(format!(
                "mean of {} in cells of {factor:?}: sums may not fit into the device's 32 bits",
                self.dtype
            )));
        }
        Ok(CellRule::MeanOfWords)
    }
}
