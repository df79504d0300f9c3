//! Weights of the convolution that takes gradients of the output back to the input: taps in reverse
//! order, channels in and out exchanged.

use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::ConvShape;
use crate::kernels::words;

/// A unit gives the weights of one tap and one output channel.
#[cube(launch)]
fn transpose(weights: &[f32], out: &mut [f32], taps: usize, inputs: usize, outputs: usize) {
    if ABSOLUTE_POS < taps * outputs {
        let (tap, output) = (ABSOLUTE_POS / outputs, ABSOLUTE_POS % outputs);
        let from = (taps - 1 - tap) * inputs;
        for input in 0..inputs {
            out[ABSOLUTE_POS * inputs + input] = weights[(from + input) * outputs + output];
        }
    }
}

/// `[kz, ky, kx, outputs, inputs]` of the weights of a convolution, `[kz, ky, kx, inputs, outputs]`.
pub(crate) fn launch(client: &Client, weights: &Handle, shape: &ConvShape) -> Handle {
    let ConvShape { inputs, outputs, kernel, .. } = *shape;
    let taps = kernel.iter().product::<usize>();
    let out = client.empty(shape.weights_len() * 4);
    let dim = CubeDim::new(client, taps * outputs);
    let count = calculate_cube_count_elemwise(client, taps * outputs, dim);
    let (from, to) = (words::all(weights), words::all(&out));
    transpose::launch(client, count, dim, from, to, taps, inputs, outputs);
    out
}
