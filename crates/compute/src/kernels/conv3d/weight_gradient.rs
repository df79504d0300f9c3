//! The gradient of a convolution's weights: for each tap and pair of channels, the sum over all voxels of
//! the input at the tap times the gradient of the output.
//!
//! The voxels are cut into slabs, as many for a shape whatever the device's threads; each gives a sum of
//! its own, and these are added up last. [`rows`] is for CubeCL's CPU runtime, [`tiles`] for GPUs.

use cubecl::client::Client;
use cubecl::server::Handle;

use super::ConvShape;
use crate::error::{Error, Result};
use crate::kernels::sums::Parts;

mod rows;
mod tiles;

/// What computes the sums of the slabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// With so many vectors of sums in registers.
    Rows(usize),
    Tiles,
}

impl Method {
    fn of(client: &Client, shape: &ConvShape) -> Self {
        let (hardware, identity) = (&client.properties().hardware, &client.properties().identity);
        if hardware.num_cpu_cores.is_some() {
            return Self::Rows(super::rows::Run::of_cpu(hardware).sums);
        }
        // What is no card is a CPU under another name.
        if identity.physical.is_none() || !tiles::fits(hardware, shape) {
            return Self::Rows(8);
        }
        Self::Tiles
    }

    fn parts(
        self,
        client: &Client,
        [input, gradient]: [&Handle; 2],
        shape: ConvShape,
        relu_input: bool,
    ) -> Parts {
        match self {
            Self::Rows(sums) => rows::launch(client, [input, gradient], shape, relu_input, sums),
            Self::Tiles => tiles::launch(client, [input, gradient], shape, relu_input),
        }
    }
}

/// Voxels of a slab, at least so many: sums of slabs are then no larger than `share` times the gradient
/// of the output, and no more than the device can hold in one buffer.
fn voxels_of_a_slab(client: &Client, shape: &ConvShape, least: usize, share: usize) -> usize {
    let values = shape.weights_len();
    let most = (client.properties().memory.max_page_size / 8).min(1 << 31) as usize;
    let slabs = (most / values.max(1)).max(1);
    least.max(values / shape.outputs / share).max(shape.voxels().div_ceil(slabs))
}

/// Starts the gradient of the weights, f32 `[kz, ky, kx, inputs, outputs]`, from input (`relu_input`: what
/// is below 0 counts as 0) and gradient of the output. What fails on the device is reported when the
/// result is read.
///
/// # Errors
/// [`Error::Usage`] if a buffer is too small, or the device cannot hold or count its values.
pub(crate) fn launch(
    client: &Client,
    input: &Handle,
    gradient: &Handle,
    shape: ConvShape,
    relu_input: bool,
) -> Result<Handle> {
    shape.check(client)?;
    let expected =
        [("input", input, shape.input_len()), ("gradient", gradient, shape.output_len())];
    for (name, handle, values) in expected {
        let (found, expected) = (handle.size_in_used(), values as u64 * 4);
        if found < expected {
            let message = format!(
                "gradient of a convolution: {name}: expected {expected} bytes, found {found}"
            );
            return Err(Error::Usage(message));
        }
    }
    let parts = Method::of(client, &shape).parts(client, [input, gradient], shape, relu_input);
    Ok(parts.add_up(client))
}

#[cfg(test)]
mod tests;
