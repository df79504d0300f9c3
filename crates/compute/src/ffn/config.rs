//! What the network is, and how it is used.

use crate::error::{Error, Result};

/// Geometry of a network, voxels in `[z, y, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelConfig {
    /// Field of view: shape of image, seed and logits of one step. Odd on each axis.
    pub fov_zyx: [usize; 3],
    /// How far the FOV moves in one go; 0 switches an axis off.
    pub deltas_zyx: [usize; 3],
}

impl Default for ModelConfig {
    /// The published FIB-25 network: FOV 33, deltas 8.
    fn default() -> Self {
        Self { fov_zyx: [33; 3], deltas_zyx: [8; 3] }
    }
}

impl ModelConfig {
    /// Voxels between a FOV's centre and its border.
    pub fn margin(&self) -> [usize; 3] {
        self.fov_zyx.map(|f| f / 2)
    }

    /// Voxels of a FOV.
    pub fn fov_voxels(&self) -> usize {
        self.fov_zyx.iter().product()
    }

    /// `Ok` if the FOV is odd on each axis and the deltas stay inside it.
    ///
    /// # Errors
    /// [`Error::Usage`] names the axis, expected and found.
    pub fn check(&self) -> Result<()> {
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            let (fov, delta) = (self.fov_zyx[a], self.deltas_zyx[a]);
            if fov.is_multiple_of(2) || fov > 1 << 10 {
                let message =
                    format!("FOV along {axis}: expected an odd size below 1024, found {fov}");
                return Err(Error::Usage(message));
            }
            if delta > fov / 2 {
                let message =
                    format!("delta along {axis}: expected at most {}, found {delta}", fov / 2);
                return Err(Error::Usage(message));
            }
        }
        Ok(())
    }
}

/// How a network is used on a volume. Activations and thresholds are probabilities; the names are
/// those of google/ffn's `InferenceOptions`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InferenceOptions {
    /// Subtracted from the image.
    pub image_mean: f32,
    /// The image is divided by it afterwards.
    pub image_stddev: f32,
    /// Probability given to the seed voxel.
    pub init_activation: f32,
    /// Probability of voxels that no step has touched.
    pub pad_value: f32,
    /// The FOV moves to a voxel of at least this probability, and stops at one below.
    pub move_threshold: f32,
    /// Voxels of at least this probability belong to the segment.
    pub segment_threshold: f32,
    /// Once more than this fraction of a FOV is above the move threshold, a voxel judged outside
    /// stays outside. Below 0 switches the rule off; 0, the default of google/ffn, has it on.
    pub disco_seed_threshold: f32,
    /// A seed with another segment within this distance is skipped, voxels `[z, y, x]`.
    pub min_boundary_dist_zyx: [usize; 3],
    /// Segments of fewer voxels are dropped.
    pub min_segment_size: usize,
}

impl Default for InferenceOptions {
    /// The settings published with the FIB-25 weights.
    fn default() -> Self {
        Self {
            image_mean: 128.0,
            image_stddev: 33.0,
            init_activation: 0.95,
            pad_value: 0.05,
            move_threshold: 0.9,
            segment_threshold: 0.6,
            disco_seed_threshold: 0.0,
            min_boundary_dist_zyx: [1; 3],
            min_segment_size: 1000,
        }
    }
}

impl InferenceOptions {
    /// `Ok` if the activations and thresholds are probabilities and the deviation is above 0.
    ///
    /// # Errors
    /// [`Error::Usage`] names the field, expected and found.
    pub fn check(&self) -> Result<()> {
        let probabilities = [
            ("init_activation", self.init_activation),
            ("pad_value", self.pad_value),
            ("move_threshold", self.move_threshold),
            ("segment_threshold", self.segment_threshold),
        ];
        for (name, value) in probabilities {
            if !(0.0..=1.0).contains(&value) {
                let message = format!("{name}: expected a probability from 0 to 1, found {value}");
                return Err(Error::Usage(message));
            }
        }
        let (mean, stddev) = (self.image_mean, self.image_stddev);
        if !(stddev.is_finite() && stddev > 0.0 && mean.is_finite()) {
            let message =
                format!("image_mean {mean}, image_stddev {stddev}: expected finite, above 0");
            return Err(Error::Usage(message));
        }
        if self.disco_seed_threshold.is_nan() {
            return Err(Error::Usage("disco_seed_threshold: expected a number, found NaN".into()));
        }
        Ok(())
    }
}

/// Log-odds of a probability; 0 and 1 give the infinities.
pub(super) fn logit(probability: f32) -> f64 {
    let p = f64::from(probability);
    (p / (1.0 - p)).ln()
}
