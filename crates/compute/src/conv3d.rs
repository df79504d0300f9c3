//! The 3-d convolution of the networks: one door, behind which each device may have its own kernel.
//!
//! On the CPU, 3x3x3 kernels go to a direct convolution of our own where the CPU has AVX2 or AVX-512;
//! all else goes to burn.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

#[cfg(all(feature = "flex", target_arch = "x86_64"))]
mod direct;
#[cfg(feature = "flex")]
mod flex;

/// Cross-correlation with zero padding that keeps the size ("SAME"), stride 1, odd kernels.
///
/// `x`: `[batch, channels in, z, y, x]`; `weight`: `[channels out, channels in, kz, ky, kx]`;
/// `bias`: `[channels out]`; result `[batch, channels out, z, y, x]`; f32.
pub fn conv3d_same(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    Tensor::from_dispatch(<Dispatch as Conv3dSame>::conv3d_same(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// The door as burn's backends see it. A device without a kernel of its own takes the default body.
#[backend_extension(Flex: cfg(feature = "flex"), Cube: cfg(feature = "cube"))]
trait Conv3dSame: Backend {
    fn conv3d_same(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        burn_conv3d::<Self>(x, weight, bias)
    }
}

#[cfg(feature = "cube")]
impl Conv3dSame for burn_cubecl::CubeBackend {}

/// burn's own convolution.
fn burn_conv3d<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    use burn::backend::TensorMetadata;
    let kernel = weight.shape();
    let padding = [kernel[2] / 2, kernel[3] / 2, kernel[4] / 2];
    B::conv3d(x, weight, Some(bias), ConvOptions::new([1; 3], padding, [1; 3], 1))
}
