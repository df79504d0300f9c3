//! Trained weights of a `ResConvStack` of google-research/connectomics, the network of FFNs in JAX.
//!
//! Names are those of flax: convolutions `pre_a`, `pre_b`, ... before the modules, `res0a`, `res0b`, ... in
//! them, `output` at the end, each with `kernel` `[z, y, x, in, out]` and `bias`; `LayerNorm_0`, ... in
//! the order in which they are applied, each with `scale` and `bias`.

use super::architecture::{Architecture, Family, Padding, SeedUpdate};
use super::layer_norm::NormLayer;
use super::weights::{Layer, MAX_DEPTH, Tensor, TensorSource, read_tensor};
use crate::error::{Error, Result};

mod network;

pub(super) use network::ResConvStack;

/// Letters of the convolutions of a module.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// All layers of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct ResConvStackWeights {
    /// `pre_a`, `pre_b`, ...; the input of the first has the channels of the image, and the seed as the
    /// last.
    pub first: Vec<Layer>,
    /// The convolutions of each residual module.
    pub modules: Vec<Vec<Layer>>,
    /// The 1x1x1 convolution to one channel.
    pub output: Layer,
    /// `LayerNorm_0`, ...: after `pre_a`, before each module, before the output; none, or so many.
    pub norms: Vec<NormLayer>,
    /// What surrounds the image of a convolution.
    pub padding: Padding,
    /// What the output is.
    pub update: SeedUpdate,
}

impl ResConvStackWeights {
    /// What the layers say of the network.
    pub fn architecture(&self) -> Architecture {
        let first = self.first.first().map_or([0; 5], |layer| layer.shape);
        let [kz, ky, kx, inputs, _] = first;
        let convolutions = self.first.iter().chain(self.modules.iter().flatten());
        Architecture {
            family: Family::ResConvStack,
            depth: self.modules.len(),
            num_convs: self.first.len(),
            features: convolutions.map(|layer| layer.biases.len()).collect(),
            kernel_zyx: [kz, ky, kx],
            layer_norm: !self.norms.is_empty(),
            padding: self.padding,
            update: self.update,
            image_channels: inputs.saturating_sub(1),
        }
    }

    /// All tensors with names and shapes, as files hold them.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let mut all = Vec::new();
        let mut add = |name: String, layer| {
            all.extend(Layer::tensors(layer, &name, "kernel", "bias"));
        };
        let letters = || LETTERS.chars();
        for (letter, layer) in letters().zip(&self.first) {
            add(format!("pre_{letter}"), layer);
        }
        for (number, module) in self.modules.iter().enumerate() {
            for (letter, layer) in letters().zip(module) {
                add(format!("res{number}{letter}"), layer);
            }
        }
        add("output".to_owned(), &self.output);
        for (number, norm) in self.norms.iter().enumerate() {
            all.extend(norm.tensors(&format!("LayerNorm_{number}")));
        }
        all
    }

    /// The numbers of each tensor, in the order of [`ResConvStackWeights::tensors`].
    #[cfg(feature = "train")]
    pub(super) fn values_mut(&mut self) -> Vec<&mut Vec<f32>> {
        let modules = self.modules.iter_mut().flatten();
        let layers = self.first.iter_mut().chain(modules).chain(std::iter::once(&mut self.output));
        let layers = layers.flat_map(|layer| [&mut layer.weights, &mut layer.biases]);
        let norms = self.norms.iter_mut().flat_map(|norm| [&mut norm.scale, &mut norm.bias]);
        layers.chain(norms).collect()
    }

    /// Reads all layers of an open checkpoint. Padding and update are not told by tensors: they are
    /// 'same' and direct.
    pub(super) fn from_source(source: &dyn TensorSource, file: &str) -> Result<Self> {
        let names = source.tensor_names();
        if names.iter().any(|name| name.ends_with("0_a/kernel")) {
            let message = "expected a ResConvStack, found tensor res0_a/kernel of a ResConvNeXtStack, which is not supported";
            return Err(Error::checkpoint(file, message));
        }
        let depth = depth_of(&names);
        if depth > MAX_DEPTH {
            return Err(Error::checkpoint(file, format!("depth {depth} is over {MAX_DEPTH}")));
        }
        let has = |name: &str| names.contains(&name);
        let num_convs = LETTERS.chars().take_while(|l| has(&format!("pre_{l}/kernel"))).count();
        let kernel = read_tensor(source, file, "pre_a/kernel")?;
        let kernel_zyx = taps_of(&kernel.0, file)?;
        let reader = Reader { source, file, kernel_zyx, num_convs };
        // An image has one channel at least, and the seed is another.
        let inputs = kernel.0.get(3).map_or(2, |inputs| *inputs.max(&2));
        let first = reader.module("pre_", inputs, Some(kernel))?;
        let width = first.last().map_or(0, |layer| layer.biases.len());
        let modules = (0..depth)
            .map(|number| {
                let module = reader.module(&format!("res{number}"), width, None)?;
                reader.check_outputs(&format!("res{number}"), &module, width)?;
                Ok(module)
            })
            .collect::<Result<Vec<_>>>()?;
        let output = Layer::read(source, file, "output", PARTS, [1; 3], width)?;
        if output.biases.len() != 1 {
            let found = output.biases.len();
            let message = format!("tensor output/kernel: expected 1 output, found {found}");
            return Err(Error::checkpoint(file, message));
        }
        let norms = if names.iter().any(|name| name.starts_with("LayerNorm_")) {
            let channels = first.first().map_or(0, |layer| layer.biases.len());
            let channels = std::iter::once(channels).chain((0..=depth).map(|_| width));
            let norm = |(number, channels)| {
                NormLayer::read(source, file, &format!("LayerNorm_{number}"), channels)
            };
            channels.enumerate().map(norm).collect::<Result<Vec<_>>>()?
        } else {
            Vec::new()
        };
        let (padding, update) = (Padding::default(), SeedUpdate::default());
        Ok(Self { first, modules, output, norms, padding, update })
    }
}

const PARTS: [&str; 2] = ["kernel", "bias"];

/// Number of modules, from the highest `resNa` there is.
fn depth_of(names: &[&str]) -> usize {
    let number = |name: &&str| -> Option<usize> {
        name.strip_prefix("res")?.strip_suffix("a/kernel")?.parse().ok()
    };
    names.iter().filter_map(number).max().map_or(0, |n| n.saturating_add(1))
}

/// Taps of the first convolution, which are those of all.
fn taps_of(shape: &[usize], file: &str) -> Result<[usize; 3]> {
    let wrong = |expected: &str| {
        let message = format!("tensor pre_a/kernel: expected {expected}, found shape {shape:?}");
        Error::checkpoint(file, message)
    };
    let &[kz, ky, kx, ..] = shape else { return Err(wrong("five axes")) };
    if shape.len() != 5 {
        return Err(wrong("five axes: networks of planes are not supported"));
    }
    if [kz, ky, kx].iter().any(|k| k % 2 == 0) {
        return Err(wrong("odd numbers of taps"));
    }
    Ok([kz, ky, kx])
}

struct Reader<'a> {
    source: &'a dyn TensorSource,
    file: &'a str,
    kernel_zyx: [usize; 3],
    num_convs: usize,
}

impl Reader<'_> {
    /// The layers of a module; `kernel`: that of the first one, if it has been read.
    fn module(
        &self,
        name: &str,
        mut inputs: usize,
        mut kernel: Option<Tensor>,
    ) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        for letter in LETTERS.chars().take(self.num_convs) {
            let name = format!("{name}{letter}");
            let kernel = match kernel.take() {
                Some(kernel) => kernel,
                None => read_tensor(self.source, self.file, &format!("{name}/kernel"))?,
            };
            let expected = (self.kernel_zyx, inputs);
            let layer = Layer::of(self.source, self.file, &name, PARTS, kernel, expected)?;
            inputs = layer.biases.len();
            layers.push(layer);
        }
        Ok(layers)
    }

    /// A module is added to its input.
    fn check_outputs(&self, name: &str, module: &[Layer], expected: usize) -> Result<()> {
        let found = module.last().map_or(0, |layer| layer.biases.len());
        if found == expected {
            return Ok(());
        }
        let letter = LETTERS.chars().nth(module.len().saturating_sub(1)).unwrap_or('a');
        let message = format!(
            "tensor {name}{letter}/kernel: expected {expected} outputs as the input of the module, found {found}"
        );
        Err(Error::checkpoint(self.file, message))
    }
}
