//! The convolution under autodiff. burn keeps the tape; what a convolution and its gradients are is
//! computed by kernels of our own where the device has them, elsewhere by burn's operations.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

use super::{Conv3dOps, Operation, portable};

/// A convolution whose weights, `[kz, ky, kx, inputs, outputs]` in one line, are not packed, because
/// they change at each step.
#[derive(Debug)]
pub(super) struct Kernels<B: Backend> {
    /// See [`super::Conv3d::forward`]: of input, weights, bias and maybe residual.
    pub(super) forward: fn(&[FloatTensor<B>], Operation) -> FloatTensor<B>,
    /// Gradients of weights and bias, each in one line, from the input and the gradient of the sum.
    pub(super) parameters: OfParameters<B>,
    /// Gradient of the input from input, weights and gradient of the sum.
    pub(super) input: OfInput<B>,
}

type OfParameters<B> = fn(&FloatTensor<B>, &FloatTensor<B>, Operation) -> [FloatTensor<B>; 2];
type OfInput<B> = fn(FloatTensor<B>, &FloatTensor<B>, FloatTensor<B>, Operation) -> FloatTensor<B>;

/// A backend that may have kernels of its own.
pub(super) trait Conv3dGradients: Conv3dOps {
    /// The kernels for an operation; without them burn differentiates its own convolution.
    fn kernels(_operation: Operation) -> Option<Kernels<Self>> {
        None
    }
}

#[cfg(feature = "cube")]
impl Conv3dGradients for burn_cubecl::CubeBackend {}

/// What packing gives are the weights as they are, so that gradients are theirs.
impl<B: Conv3dGradients, C: CheckpointStrategy> Conv3dOps for Autodiff<B, C> {
    fn conv3d(
        x: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        match B::kernels(operation) {
            Some(kernels) => record::<B, C, 3>(kernels, [x, packed, bias], operation),
            None => portable::convolve::<Self>(x, packed, bias, None, operation),
        }
    }

    fn conv3d_onto(
        x: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        match B::kernels(operation) {
            Some(kernels) => record::<B, C, 4>(kernels, [x, packed, bias, residual], operation),
            None => portable::convolve::<Self>(x, packed, bias, Some(residual), operation),
        }
    }
}

/// Computes a convolution of input, weights, bias and maybe residual, and notes it on the tape.
fn record<B: Conv3dGradients, C: CheckpointStrategy, const N: usize>(
    kernels: Kernels<B>,
    tensors: [FloatTensor<Autodiff<B, C>>; N],
    operation: Operation,
) -> FloatTensor<Autodiff<B, C>> {
    let mut values = Vec::with_capacity(N);
    let guards = tensors.map(|tensor| {
        let (value, guard) = tensor.into_parts();
        values.push(value);
        guard
    });
    let output = (kernels.forward)(&values, operation);
    let kept = operation.relu.output.then(|| output.clone());
    let state = State::<B> { values, output: kept, operation };
    match Convolution(kernels).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// What the backward pass needs.
#[derive(Debug, Clone)]
struct State<B: Backend> {
    /// Input and weights are the first two.
    values: Vec<FloatTensor<B>>,
    /// Where a ReLU follows.
    output: Option<FloatTensor<B>>,
    operation: Operation,
}

/// A convolution on the tape.
#[derive(Debug)]
struct Convolution<B: Backend>(Kernels<B>);

impl<B: Conv3dGradients, const N: usize> Backward<B, N> for Convolution<B> {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = grads.consume::<B>(&ops.node);
        let State { mut values, output, operation } = ops.state;
        if let Some(output) = output {
            gradient = B::relu_backward(output, gradient);
        }
        values.truncate(2);
        let (Some(weights), Some(x)) = (values.pop(), values.pop()) else { return };
        let mut parents = ops.parents.into_iter();
        let mut next = || parents.next().flatten();
        let (input, parameters, residual) = (next(), [next(), next()], next());
        if parameters.iter().any(Option::is_some) {
            let found = (self.0.parameters)(&x, &gradient, operation);
            for (node, gradient) in parameters.into_iter().zip(found) {
                node.into_iter().for_each(|n| grads.register::<B>(n.id, gradient.clone()));
            }
        }
        let kept = residual.map(|node| (node, gradient.clone()));
        if let Some(node) = input {
            let gradient = (self.0.input)(x, &weights, gradient, operation);
            grads.register::<B>(node.id, gradient);
        }
        if let Some((node, gradient)) = kept {
            grads.register::<B>(node.id, gradient);
        }
    }
}
