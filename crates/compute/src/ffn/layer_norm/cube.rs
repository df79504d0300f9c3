//! Layer normalisation on devices of CubeCL.

use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;

use super::{EPSILON, LayerNormOps, portable};
use crate::conv3d::cube::{contiguous, tensor};
use crate::kernels::layer_norm;

type Float = FloatTensor<CubeBackend>;

impl LayerNormOps for CubeBackend {
    fn layer_norm(x: Float, scale: Float, bias: Float) -> Float {
        let Some(sizes) = sizes([&x, &scale, &bias]) else {
            return portable::<Self>(x, scale, bias);
        };
        let [x, scale, bias] = [&x, &scale, &bias].map(contiguous);
        let handles = [&x.handle, &scale.handle, &bias.handle];
        let result = layer_norm::launch(&x.client, handles, sizes, EPSILON);
        tensor(&x, result, x.meta.shape().clone())
    }
}

/// Voxels and channels of the first tensor. `None` where one is not of f32, or has no values.
fn sizes(tensors: [&Float; 3]) -> Option<[usize; 2]> {
    let shape = tensors[0].meta.shape();
    let (values, channels) = (shape.num_elements(), shape.iter().last().copied().unwrap_or(0));
    let ours = values > 0 && tensors.iter().all(|tensor| tensor.dtype == DType::F32);
    ours.then(|| [values / channels, channels])
}

#[cfg(feature = "train")]
impl super::gradient::LayerNormGradients for CubeBackend {
    fn layer_norm_gradients(x: Float, scale: Float, gradient: Float) -> [Float; 3] {
        let Some(sizes) = sizes([&x, &scale, &gradient]) else {
            return super::gradient::portable::<Self>(x, scale, gradient);
        };
        let [x, scale, gradient] = [&x, &scale, &gradient].map(contiguous);
        let handles = [&x.handle, &scale.handle, &gradient.handle];
        let [of_x, of_scale, of_bias] =
            layer_norm::gradient::launch(&x.client, handles, sizes, EPSILON);
        let parameter = |handle| tensor(&x, handle, Shape::new([sizes[1]]));
        let input = tensor(&x, of_x, x.meta.shape().clone());
        [input, parameter(of_scale), parameter(of_bias)]
    }
}
