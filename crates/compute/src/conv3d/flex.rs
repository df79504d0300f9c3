//! The convolution on burn's CPU backend.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::{Conv3dSame, burn_conv3d};

impl Conv3dSame for Flex {
    fn conv3d_same(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        #[cfg(target_arch = "x86_64")]
        if let Some(result) = direct(&x, &weight, &bias) {
            return result;
        }
        burn_conv3d::<Self>(x, weight, bias)
    }
}

/// By our own kernel, if it fits type, kernel size and CPU.
#[cfg(target_arch = "x86_64")]
fn direct(
    x: &FloatTensor<Flex>,
    weight: &FloatTensor<Flex>,
    bias: &FloatTensor<Flex>,
) -> Option<FloatTensor<Flex>> {
    use burn::tensor::TensorData;

    let [outputs, inputs, 3, 3, 3] = dimensions(weight)? else { return None };
    let [batch, channels, nz, ny, nx] = dimensions(x)?;
    let tile = super::direct::Tile::detect()?;
    if channels != inputs {
        return None;
    }
    let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
    let weights = super::direct::Weights::pack(weight.as_slice()?, inputs, outputs);
    let (input, bias) = (x.as_slice::<f32>()?, bias.as_slice::<f32>()?);
    let mut output = vec![0.0f32; batch * outputs * nz * ny * nx];
    let [from, to] = [inputs, outputs].map(|c| (c * nz * ny * nx).max(1));
    for (input, output) in input.chunks_exact(from).zip(output.chunks_exact_mut(to)) {
        super::direct::convolve(tile, input, [nz, ny, nx], &weights, bias, output);
    }
    let shape = [batch, outputs, nz, ny, nx];
    Some(FloatTensor::<Flex>::from_data(TensorData::new(output, shape)))
}

#[cfg(target_arch = "x86_64")]
fn dimensions(tensor: &FloatTensor<Flex>) -> Option<[usize; 5]> {
    use burn::backend::TensorMetadata;
    tensor.shape().to_vec().try_into().ok()
}
