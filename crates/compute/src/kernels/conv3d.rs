//! 3-d convolution with what networks do around it - ReLU before, bias, residual, ReLU after - in one
//! kernel. Channels are last, so that a voxel's channels lie together.
//!
//! Three kernels: [`rows`] for CubeCL's CPU runtime, [`tiles`] for GPUs, [`matrix_units`] for GPUs
//! with matrix units where 16-bit products will do. The first two add the products of a voxel in the
//! same order, so that their results are equal; [`choice`] takes the fastest.

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::error::{Error, Result};
use crate::precision::Precision;

mod choice;
mod matrix_units;
mod padding;
mod rows;
mod staging;
mod tiles;
#[cfg(feature = "train")]
pub(crate) mod transposed;
#[cfg(feature = "train")]
pub(crate) mod weight_gradient;

/// Input channels whose products are added before those of the next tap. The same in all f32 kernels.
const DEPTH: usize = 16;

/// What a convolution is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConvShape {
    /// Volumes that are convolved at once.
    pub(crate) batch: usize,
    /// Voxels along z, y and x; the output has as many, the input counts as 0 outside.
    pub(crate) zyx: [usize; 3],
    /// Channels in.
    pub(crate) inputs: usize,
    /// Channels out.
    pub(crate) outputs: usize,
    /// Kernel size along z, y and x; odd.
    pub(crate) kernel: [usize; 3],
}

impl ConvShape {
    /// Voxels of all volumes.
    pub(crate) fn voxels(&self) -> usize {
        self.batch * self.zyx.iter().product::<usize>()
    }

    /// Values of the input `[batch, z, y, x, inputs]`.
    pub(crate) fn input_len(&self) -> usize {
        self.voxels() * self.inputs
    }

    /// Values of the weights `[kz, ky, kx, inputs, outputs]`.
    pub(crate) fn weights_len(&self) -> usize {
        self.kernel.iter().product::<usize>() * self.inputs * self.outputs
    }

    /// Values of the output, and of the residual, `[batch, z, y, x, outputs]`.
    pub(crate) fn output_len(&self) -> usize {
        self.voxels() * self.outputs
    }

    /// `Ok` if the device can hold and count the largest buffer, and the kernel is odd.
    ///
    /// # Errors
    /// [`Error::Usage`] with what was found and the limit.
    pub(crate) fn check(&self, client: &Client) -> Result<()> {
        if self.kernel.iter().any(|k| k.is_multiple_of(2)) || self.inputs == 0 || self.outputs == 0
        {
            let message = format!("expected odd kernels and channels above 0, found {self:?}");
            return Err(Error::Usage(message));
        }
        let pitch = self.zyx[2].saturating_add(self.kernel[2] / 2);
        let line = [self.batch, self.zyx[0], self.zyx[1], pitch];
        let positions = line.iter().fold(1usize, |all, n| all.saturating_mul(*n));
        let values = positions.saturating_mul(self.inputs.max(self.outputs));
        let bytes = client.properties().memory.max_page_size / 4;
        let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(1 << 31);
        if values > most {
            return Err(Error::Usage(format!(
                "a convolution of {} x {:?} voxels needs a buffer of {values} values, the device \
                 has room for {most}",
                self.batch, self.zyx
            )));
        }
        Ok(())
    }

    /// Tiles of positions along x and y, blocks of channels along z.
    fn tiles(&self, [positions, channels]: [usize; 2]) -> CubeCount {
        let [nz, ny, nx] = self.zyx;
        let line = self.batch * nz * ny * (nx + self.kernel[2] / 2);
        let tiles = line.div_ceil(positions);
        // No device allows fewer along an axis.
        let x = tiles.clamp(1, 65_535);
        let blocks = self.outputs.div_ceil(channels);
        CubeCount::Static(x as u32, tiles.div_ceil(x) as u32, blocks as u32)
    }

    fn grid(&self) -> staging::GridLaunch {
        let [nz, ny, nx] = self.zyx.map(|n| n as u32);
        staging::GridLaunch::new(nz, ny, nx, (self.batch * self.zyx[0] * self.zyx[1]) as u32)
    }
}

/// What is done around the convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Fusions {
    /// Inputs below 0 count as 0.
    pub(crate) relu_input: bool,
    /// Results below 0 become 0, after bias and residual.
    pub(crate) relu_output: bool,
}

/// f32 buffers of a convolution; see [`ConvShape`] for their sizes.
#[derive(Clone, Copy)]
pub(crate) struct Buffers<'a> {
    pub(crate) input: &'a Handle,
    pub(crate) weights: &'a Handle,
    /// `[outputs]`.
    pub(crate) bias: &'a Handle,
    /// As long as the output. Where it is not above 0, the sum with the bias becomes 0.
    pub(crate) mask: Option<&'a Handle>,
    /// Added to what the mask has left.
    pub(crate) residual: Option<&'a Handle>,
    /// Another buffer than the others.
    pub(crate) output: &'a Handle,
}

impl Buffers<'_> {
    fn check(&self, shape: &ConvShape) -> Result<()> {
        let mut all = vec![
            ("input", self.input, shape.input_len()),
            ("weights", self.weights, shape.weights_len()),
            ("bias", self.bias, shape.outputs),
            ("output", self.output, shape.output_len()),
        ];
        all.extend(self.mask.map(|handle| ("mask", handle, shape.output_len())));
        all.extend(self.residual.map(|handle| ("residual", handle, shape.output_len())));
        for (name, handle, values) in all {
            let (found, expected) = (handle.size_in_used(), values as u64 * 4);
            if found < expected {
                let message =
                    format!("convolution: {name}: expected {expected} bytes, found {found}");
                return Err(Error::Usage(message));
            }
        }
        Ok(())
    }

    /// As arguments of a launch; [`Self::check`] has been called.
    #[allow(unsafe_code)]
    fn bind(self, shape: &ConvShape) -> Bound {
        // SAFETY: the buffers have these lengths.
        let argument =
            |handle: &Handle, length| unsafe { BufferArg::from_raw_parts(handle.clone(), length) };
        Bound {
            input: argument(self.input, shape.input_len()),
            weights: argument(self.weights, shape.weights_len()),
            bias: argument(self.bias, shape.outputs),
            mask: self.mask.map(|handle| argument(handle, shape.output_len())),
            residual: self.residual.map(|handle| argument(handle, shape.output_len())),
            output: argument(self.output, shape.output_len()),
        }
    }
}

/// Arguments of a launch.
struct Bound {
    input: BufferArg,
    weights: BufferArg,
    bias: BufferArg,
    mask: Option<BufferArg>,
    residual: Option<BufferArg>,
    output: BufferArg,
}

/// Widest vector, at most `widest`, of which a voxel's channels are whole ones.
pub(super) fn lanes(widest: usize, channels: usize) -> usize {
    let mut lanes = 1;
    while lanes * 2 <= widest && channels.is_multiple_of(lanes * 2) {
        lanes *= 2;
    }
    lanes
}

/// Starts a convolution. What fails on the device - memory, compilation - is reported when the output
/// is read. A NaN in the input may come out of a ReLU as NaN or as 0.
///
/// The first convolution of its kind on a GPU takes longer: the kernels are tried.
///
/// # Errors
/// [`Error::Usage`] if a buffer is too small, or the device cannot hold or count its values.
pub(crate) fn launch(
    client: &Client,
    buffers: Buffers<'_>,
    shape: ConvShape,
    fusions: Fusions,
    precision: Precision,
) -> Result<()> {
    shape.check(client)?;
    buffers.check(&shape)?;
    if shape.output_len() > 0 {
        let method = choice::choose(client, buffers, &shape, fusions, precision);
        method.launch(client, buffers, shape, fusions);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
