//! Layer normalisation under autodiff: one step of the tape, which keeps the input alone.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};
use burn::tensor::Shape;

use super::{EPSILON, LayerNormOps};

/// A backend that knows the gradients.
pub(super) trait LayerNormGradients: LayerNormOps {
    /// Gradients of `x`, scale and bias from `x`, scale and the gradient of the result.
    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        portable::<Self>(x, scale, gradient)
    }
}

/// With n the normalised input and s the gradient times scale, the gradient of the input is
/// `(s - mean(s) - n * mean(n * s)) / deviation`, the means over channels.
pub(super) fn portable<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let (shape, channels) = (x.shape(), scale.shape()[0]);
    let lines = |t| {
        let voxels = shape.num_elements() / channels.max(1);
        B::float_reshape(t, Shape::new([voxels, channels]))
    };
    let mean = |t| B::float_mean_dim(t, 1);
    let sum = |t| B::float_reshape(B::float_sum_dim(t, 0), Shape::new([channels]));
    let (x, gradient) = (lines(x), lines(gradient));
    let centred = B::float_sub(x.clone(), mean(x));
    let variance = mean(B::float_mul(centred.clone(), centred.clone()));
    let deviation = B::float_sqrt(B::float_add_scalar(variance, EPSILON.into()));
    let normed = B::float_div(centred, deviation.clone());
    let scaled = B::float_mul(gradient.clone(), B::float_reshape(scale, Shape::new([1, channels])));
    let along = mean(B::float_mul(scaled.clone(), normed.clone()));
    let rest = B::float_sub(scaled.clone(), mean(scaled));
    let rest = B::float_sub(rest, B::float_mul(normed.clone(), along));
    let input = B::float_reshape(B::float_div(rest, deviation), shape.clone());
    [input, sum(B::float_mul(gradient.clone(), normed)), sum(gradient)]
}

impl<B: LayerNormGradients, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn layer_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let [(x, x_guard), (scale, scale_guard), (bias, bias_guard)] =
            [x, scale, bias].map(|tensor| tensor.into_parts());
        let state = State::<B> { x: x.clone(), scale: scale.clone() };
        let output = <B as LayerNormOps>::layer_norm(x, scale, bias);
        let guards = [x_guard, scale_guard, bias_guard];
        match Normalisation.prepare::<C>(guards).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// What the backward pass needs.
#[derive(Debug, Clone)]
struct State<B: Backend> {
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
}

/// A normalisation on the tape.
#[derive(Debug)]
struct Normalisation;

impl<B: LayerNormGradients> Backward<B, 3> for Normalisation {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let State { x, scale } = ops.state;
        let found = B::layer_norm_gradients(x, scale, gradient);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}
