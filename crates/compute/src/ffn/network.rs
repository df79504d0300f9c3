//! One step of the network, whatever runs it: the seam between the flood loop and the devices.

use std::ops::Range;

use super::config::ModelConfig;
use super::lanes::Lanes;
use super::residence::Residence;
use super::stack::Stack;
use super::trained_model::TrainedModel;
use super::weights::Weights;
use crate::conv3d::Kernel;
use crate::device::{ComputeDevice, guarded};
use crate::error::{Error, Result};
use crate::precision::Precision;

/// Something that computes one step. The flood loop knows no more of a device than this.
pub trait Network {
    /// Writes the new logits of one FOV.
    ///
    /// All three have the FOV's voxels in C order `[z, y, x]`: `image` normalised, of several channels
    /// one after the other; `seed` logits without NaN; `logits` the result, NaN where the network says
    /// nothing (at the border, without padding).
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device fails or is out of memory; `logits` is then undefined.
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()>;

    /// Writes the new logits of `count` FOVs, one after the other in all three slices, each as
    /// [`Network::step`] would.
    ///
    /// # Errors
    /// As [`Network::step`].
    fn step_batch(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        count: usize,
    ) -> Result<()> {
        let [image, fov] = [images, seeds].map(|all| all.len() / count.max(1));
        (0..count).try_for_each(|i| {
            let (part, voxels) = (i * image..(i + 1) * image, i * fov..(i + 1) * fov);
            self.step(&images[part], &seeds[voxels.clone()], &mut logits[voxels])
        })
    }

    /// FOVs of a batch with which the device does most steps a second.
    fn preferred_batch(&self) -> usize {
        1
    }

    /// The place for images and logits of objects on its device; `None` if each step has to bring them along.
    fn residence(&mut self) -> Option<&mut dyn Residence> {
        None
    }

    /// Name of the device that runs it now.
    fn device_name(&self) -> String;
}

/// The network on a burn device.
pub struct BurnNetwork {
    model: Stack,
    device: ComputeDevice,
    fov_zyx: [usize; 3],
    /// Made for the first batch on the CPU.
    lanes: Option<Lanes>,
}

impl BurnNetwork {
    /// Puts the weights on the device. Kernels are compiled at the first step.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device has no room for them.
    pub fn new(weights: &Weights, config: &ModelConfig, device: &ComputeDevice) -> Result<Self> {
        Self::with_precision(weights, config, device, Precision::Exact)
    }

    /// As [`BurnNetwork::new`]. [`Precision::Fast`] makes a difference on CPUs with AVX-512 VNNI, where the
    /// largest error of a logit of the published network is then 0.01, not 0.00003, and on GPUs with matrix
    /// units.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device has no room for the weights.
    pub fn with_precision(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        Self::with_kernel(weights, config, device, Kernel::Own(precision))
    }

    /// A network of any architecture.
    ///
    /// # Errors
    /// [`Error::Usage`] if the FOV is too small for it; [`Error::DeviceFailed`] if the device has no room
    /// for the weights.
    pub fn of_model(
        model: &TrainedModel,
        config: &ModelConfig,
        device: &ComputeDevice,
        precision: Precision,
    ) -> Result<Self> {
        model.architecture().check(config)?;
        let (fov_zyx, kernel) = (config.fov_zyx, Kernel::Own(precision));
        let model = guarded(|| Stack::new(model, fov_zyx, kernel, device.burn()))
            .map_err(|reason| failed(device, reason))?;
        Ok(Self { model, device: device.clone(), fov_zyx, lanes: None })
    }

    /// The same network by burn's own convolution, which ours is measured against.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] if the device has no room for the weights.
    pub fn by_burn_alone(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
    ) -> Result<Self> {
        Self::with_kernel(weights, config, device, Kernel::Burn)
    }

    fn with_kernel(
        weights: &Weights,
        config: &ModelConfig,
        device: &ComputeDevice,
        kernel: Kernel,
    ) -> Result<Self> {
        let model = guarded(|| Stack::conv_stack(weights, config.fov_zyx, kernel, device.burn()))
            .map_err(|reason| failed(device, reason))?;
        Ok(Self { model, device: device.clone(), fov_zyx: config.fov_zyx, lanes: None })
    }
}

impl BurnNetwork {
    fn forward(&self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        let input =
            |values: &[f32]| super::stack::inputs(values, 1, self.fov_zyx, self.device.burn());
        // burn reports some failures as errors and some as panics; both mean the same here.
        let data = guarded(|| self.model.forward(input(image), input(seed)).try_into_data())
            .map_err(|reason| failed(&self.device, reason))?
            .map_err(|error| failed(&self.device, error.to_string()))?;
        let values = data.as_slice::<f32>().map_err(|e| failed(&self.device, format!("{e:?}")))?;
        self.model
            .place(values, self.fov_zyx, logits)
            .map_err(|reason| failed(&self.device, reason))
    }
}

impl Network for BurnNetwork {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        self.forward(image, seed, logits)
    }

    /// On the CPU a core takes an FOV of its own as long as there is one for each; the rest is computed
    /// by all cores, one after the other. The logits are the same.
    fn step_batch(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        count: usize,
    ) -> Result<()> {
        let fov: usize = self.fov_zyx.iter().product();
        let image = fov * self.model.image_channels();
        check_batch([image, fov], count, images, seeds, logits)?;
        if self.device.is_cpu() && count > 1 && self.lanes.is_none() {
            self.lanes = Some(Lanes::new()?);
        }
        let lanes = self.lanes.as_ref().filter(|lanes| self.device.is_cpu() && lanes.len() > 1);
        let alone = lanes.map_or(0, |lanes| count - count % lanes.len());
        let each = |images, seeds, logits| fovs(images, seeds, logits, [image, fov]);
        let (by_lanes, by_all) = logits.split_at_mut(alone * fov);
        let (images, more_images) = images.split_at(alone * image);
        let (seeds, more_seeds) = seeds.split_at(alone * fov);
        if let Some(lanes) = lanes.filter(|_| alone > 0) {
            let work = each(images, seeds, by_lanes);
            lanes.run(work, |(image, seed, logits)| self.forward(image, seed, logits))?;
        }
        each(more_images, more_seeds, by_all)
            .try_for_each(|(image, seed, logits)| self.forward(image, seed, logits))
    }

    fn preferred_batch(&self) -> usize {
        if self.device.is_cpu() { rayon::current_num_threads() } else { 1 }
    }

    fn device_name(&self) -> String {
        self.device.name().to_owned()
    }
}

/// One FOV after the other, each of so many values of the image and so many voxels.
fn fovs<'a>(
    images: &'a [f32],
    seeds: &'a [f32],
    logits: &'a mut [f32],
    [image, fov]: [usize; 2],
) -> impl Iterator<Item = (&'a [f32], &'a [f32], &'a mut [f32])> + Send {
    let inputs = images.chunks_exact(image).zip(seeds.chunks_exact(fov));
    inputs.zip(logits.chunks_exact_mut(fov)).map(|((image, seed), logits)| (image, seed, logits))
}

/// `Ok` if each of the slices has `count` FOVs, each of so many values of the image and so many voxels.
pub(super) fn check_batch(
    [image, fov]: [usize; 2],
    count: usize,
    images: &[f32],
    seeds: &[f32],
    logits: &[f32],
) -> Result<()> {
    for (name, one, found) in [
        ("images", image, images.len()),
        ("seeds", fov, seeds.len()),
        ("logits", fov, logits.len()),
    ] {
        let expected = count.saturating_mul(one);
        if found != expected {
            let message =
                format!("{name} of {count} FOVs: expected {expected} values, found {found}");
            return Err(Error::Usage(message));
        }
    }
    Ok(())
}

/// Runs parts of at most `most`. A part that fails is tried again in halves, and `most` stays there;
/// the error of a part of one comes out.
pub(super) fn in_parts(
    count: usize,
    most: &mut usize,
    mut run: impl FnMut(Range<usize>) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    while done < count {
        let part = (count - done).min(*most);
        match run(done..done + part) {
            Ok(()) => done += part,
            Err(error) if part == 1 => return Err(error),
            Err(_) => *most = part.div_ceil(2),
        }
    }
    Ok(())
}

fn failed(device: &ComputeDevice, reason: String) -> Error {
    Error::DeviceFailed { device: device.name().to_owned(), reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Runs parts on a device with room for `room`; which parts were asked for, and what came of it.
    fn parts(count: usize, most: &mut usize, room: usize) -> (Vec<Range<usize>>, Result<()>) {
        let mut asked = Vec::new();
        let result = in_parts(count, most, |part| {
            asked.push(part.clone());
            if part.len() <= room {
                return Ok(());
            }
            Err(Error::DeviceFailed { device: "test".into(), reason: "out of memory".into() })
        });
        (asked, result)
    }

    #[test]
    fn a_batch_that_does_not_fit_is_halved_until_it_does() {
        let mut most = 8;
        let (asked, result) = parts(11, &mut most, 3);
        result.unwrap();
        assert_eq!(asked, [0..8, 0..4, 0..2, 2..4, 4..6, 6..8, 8..10, 10..11]);
        assert_eq!(most, 2);
        let (asked, _) = parts(2, &mut most, 3);
        assert_eq!(asked.len(), 1);
    }

    #[test]
    fn a_device_without_room_for_one_is_an_error() {
        let (asked, result) = parts(3, &mut 4, 0);
        assert_eq!(asked, [0..3, 0..2, 0..1]);
        assert!(matches!(result, Err(Error::DeviceFailed { .. })));
    }

    #[test]
    fn nothing_is_run_for_an_empty_batch() {
        let (asked, result) = parts(0, &mut 4, 1);
        assert!(asked.is_empty() && result.is_ok());
    }
}
