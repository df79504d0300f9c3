//! The convolution under autodiff. burn keeps the tape; what a convolution and its gradients are is
//! computed by kernels of our own where the device has them, elsewhere by burn's operations.

use burn::backend::autodiff::NodeId;
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
#[cfg_attr(not(any(feature = "flex", feature = "cube")), allow(dead_code))]
pub(super) struct Kernels<B: Backend> {
    pub(super) forward: Forward<B>,
    pub(super) parameters: ParameterGradients<B>,
    pub(super) input: InputGradient<B>,
    /// Takes back what is not needed any more.
    pub(super) recycle: fn(FloatTensor<B>),
}

/// See [`super::Conv3d::forward`]: of input, weights, bias and maybe residual.
type Forward<B> = fn(&[FloatTensor<B>], Operation) -> FloatTensor<B>;

/// Gradients of weights and bias, each in one line, from the input and the gradient of the sum.
type ParameterGradients<B> = fn(&FloatTensor<B>, &FloatTensor<B>, Operation) -> [FloatTensor<B>; 2];

/// Gradient of the input from input, weights and gradient of the sum, added to another if there is one.
type InputGradient<B> = fn(
    FloatTensor<B>,
    &FloatTensor<B>,
    FloatTensor<B>,
    Option<FloatTensor<B>>,
    Operation,
) -> FloatTensor<B>;

/// A backend that may have kernels of its own.
pub(super) trait Conv3dGradients: Conv3dOps {
    /// The kernels for an operation on such a tensor; without them burn differentiates its own convolution.
    fn kernels(_x: &FloatTensor<Self>, _operation: Operation) -> Option<Kernels<Self>> {
        None
    }
}

/// What packing gives are the weights as they are, so that gradients are theirs.
impl<B: Conv3dGradients, C: CheckpointStrategy> Conv3dOps for Autodiff<B, C> {
    fn conv3d(
        x: FloatTensor<Self>,
        packed: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        operation: Operation,
    ) -> FloatTensor<Self> {
        match B::kernels(x.primitive(), operation) {
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
        match B::kernels(x.primitive(), operation) {
            Some(kernels) => record::<B, C, 4>(kernels, [x, packed, bias, residual], operation),
            None => portable::convolve::<Self>(x, packed, bias, Some(residual), operation),
        }
    }

    /// One step of the tape, so that the gradient of the sum is never copied.
    fn conv3d_module(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        operations: [Operation; 2],
    ) -> FloatTensor<Self> {
        let kernels = operations.map(|operation| B::kernels(x.primitive(), operation));
        if let [Some(inner), Some(outer)] = kernels {
            let tensors = [x, first, first_bias, second, second_bias];
            return record_module::<B, C>([inner, outer], tensors, operations);
        }
        let inner = <Self as Conv3dOps>::conv3d(x.clone(), first, first_bias, operations[0]);
        Self::conv3d_onto(inner, second, second_bias, x, operations[1])
    }
}

fn record_module<B: Conv3dGradients, C: CheckpointStrategy>(
    kernels: [Kernels<B>; 2],
    tensors: [FloatTensor<Autodiff<B, C>>; 5],
    operations: [Operation; 2],
) -> FloatTensor<Autodiff<B, C>> {
    let mut values = Vec::with_capacity(5);
    let guards = tensors.map(|tensor| {
        let (value, guard) = tensor.into_parts();
        values.push(value);
        guard
    });
    let inner = (kernels[0].forward)(&values[..3], operations[0]);
    let mut outer = vec![inner.clone()];
    outer.extend_from_slice(&values[3..]);
    outer.push(values[0].clone());
    let output = (kernels[1].forward)(&outer, operations[1]);
    let state = ModuleState::<B> {
        x: values[0].clone(),
        inner,
        weights: [values[1].clone(), values[3].clone()],
        operations,
    };
    match Module(kernels).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// What the backward pass of a residual module needs.
#[derive(Debug, Clone)]
struct ModuleState<B: Backend> {
    x: FloatTensor<B>,
    inner: FloatTensor<B>,
    weights: [FloatTensor<B>; 2],
    operations: [Operation; 2],
}

/// A residual module on the tape.
#[derive(Debug)]
struct Module<B: Backend>([Kernels<B>; 2]);

impl<B: Conv3dGradients> Backward<B, 5> for Module<B> {
    type State = ModuleState<B>;

    fn backward(self, ops: Ops<ModuleState<B>, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let outer = grads.consume::<B>(&ops.node);
        let [first, second] = &self.0;
        let ModuleState { x, inner, weights, operations } = ops.state;
        let [input, first_weights, first_bias, second_weights, second_bias] = ops.parents;
        let found = (second.parameters)(&inner, &outer, operations[1]);
        register::<B>(grads, [second_weights, second_bias].map(|node| node.map(|n| n.id)), found);
        let middle = (second.input)(inner, &weights[1], outer.clone(), None, operations[1]);
        let found = (first.parameters)(&x, &middle, operations[0]);
        register::<B>(grads, [first_weights, first_bias].map(|node| node.map(|n| n.id)), found);
        if let Some(node) = input {
            let gradient = (first.input)(x, &weights[0], middle, Some(outer), operations[0]);
            grads.register::<B>(node.id, gradient);
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
            register::<B>(grads, parameters.map(|node| node.map(|n| n.id)), found);
        }
        let kept = residual.map(|node| (node, gradient.clone()));
        match input {
            Some(node) => {
                let gradient = (self.0.input)(x, &weights, gradient, None, operation);
                grads.register::<B>(node.id, gradient);
            }
            None => (self.0.recycle)(gradient),
        }
        if let Some((node, gradient)) = kept {
            grads.register::<B>(node.id, gradient);
        }
    }
}

/// Gradients for the nodes that want them.
fn register<B: Backend>(
    grads: &mut Gradients,
    nodes: [Option<NodeId>; 2],
    found: [FloatTensor<B>; 2],
) {
    for (node, gradient) in nodes.into_iter().zip(found) {
        if let Some(node) = node {
            grads.register::<B>(node, gradient);
        }
    }
}
