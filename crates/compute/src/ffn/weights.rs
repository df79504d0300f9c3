//! Trained weights of a `ConvStack3DFFNModel`, from a TensorFlow checkpoint or a safetensors file.

use std::path::Path;

use super::tensor_bundle::{TensorBundle, is_tensor_bundle};
use crate::error::{Error, Result};

mod safetensors;

/// Layers beyond this are not a network but a damaged file.
const MAX_DEPTH: usize = 1000;

/// One convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Kernel: z, y, x, channels in, channels out.
    pub shape: [usize; 5],
    /// Weights in C order of `shape`.
    pub weights: Vec<f32>,
    /// One for each channel out.
    pub biases: Vec<f32>,
}

/// All layers of a network: `conv0_a`, `conv0_b`; pairs `convN_a`, `convN_b`; `conv_lom`.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The first pair; its input has two channels, image and seed.
    pub first: (Layer, Layer),
    /// The residual modules; depth - 1 of them.
    pub modules: Vec<(Layer, Layer)>,
    /// The 1x1x1 convolution to one channel.
    pub update: Layer,
}

/// Where tensors come from.
trait TensorSource {
    /// A tensor of f32 with its shape; `None` if there is no such tensor.
    fn read(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>>;
}

impl TensorSource for TensorBundle {
    fn read(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        self.read_f32(name)
    }
}

impl Weights {
    /// Reads a checkpoint: the prefix or the `.index` of a TensorFlow checkpoint, or a
    /// `.safetensors` file with the same names and shapes. `depth` is checked if it is given,
    /// otherwise taken from the file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names the file and the tensor that is missing, damaged or of another
    /// shape than expected.
    pub fn open(path: &Path, depth: Option<usize>) -> Result<Self> {
        let name = path.display().to_string();
        if is_tensor_bundle(path) {
            let bundle = TensorBundle::open(path)?;
            let found = depth_of(bundle.names());
            return Self::read(&bundle, &name, checked_depth(&name, depth, found)?);
        }
        if path.extension().is_some_and(|e| e == "safetensors") {
            let file = safetensors::File::open(path)?;
            let found = depth_of(file.names());
            return Self::read(&file, &name, checked_depth(&name, depth, found)?);
        }
        let message = "found neither a TensorFlow checkpoint (NAME.index) nor a .safetensors file";
        Err(Error::checkpoint(name, message))
    }

    /// Writes a safetensors file that [`Weights::open`] reads.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        safetensors::save(self, path)
    }

    /// Pairs of convolutions, the first one counted.
    pub fn depth(&self) -> usize {
        self.modules.len() + 1
    }

    /// Number of weights and biases.
    pub fn num_parameters(&self) -> usize {
        self.named_layers().iter().map(|(_, l)| l.weights.len() + l.biases.len()).sum()
    }

    /// The layers with their names in a checkpoint, `seed_update/conv0_a` first.
    pub(super) fn named_layers(&self) -> Vec<(String, &Layer)> {
        let pairs = std::iter::once(&self.first).chain(&self.modules).enumerate();
        let mut layers: Vec<_> = pairs
            .flat_map(|(i, (a, b))| {
                [(format!("seed_update/conv{i}_a"), a), (format!("seed_update/conv{i}_b"), b)]
            })
            .collect();
        layers.push(("seed_update/conv_lom".to_owned(), &self.update));
        layers
    }

    /// The layers in the order of [`Weights::named_layers`].
    #[cfg(feature = "train")]
    pub(super) fn layers_mut(&mut self) -> Vec<&mut Layer> {
        let pairs = std::iter::once(&mut self.first).chain(&mut self.modules);
        let layers = pairs.flat_map(|(a, b)| [a, b]);
        layers.chain(std::iter::once(&mut self.update)).collect()
    }

    fn read(source: &dyn TensorSource, file: &str, depth: usize) -> Result<Self> {
        let layer = |name: &str, kernel: usize, inputs: usize| {
            read_layer(source, file, &format!("seed_update/{name}"), kernel, inputs)
        };
        let pair = |i: usize, inputs: usize| -> Result<(Layer, Layer)> {
            let a = layer(&format!("conv{i}_a"), 3, inputs)?;
            let b = layer(&format!("conv{i}_b"), 3, a.biases.len())?;
            Ok((a, b))
        };
        let first = pair(0, 2)?;
        let features = first.1.biases.len();
        let modules = (1..depth).map(|i| pair(i, features)).collect::<Result<Vec<_>>>()?;
        for (i, (_, b)) in modules.iter().enumerate() {
            let name = format!("conv{}_b", i + 1);
            check_outputs(file, &name, b.biases.len(), features)?;
        }
        let update = layer("conv_lom", 1, features)?;
        check_outputs(file, "conv_lom", update.biases.len(), 1)?;
        Ok(Self { first, modules, update })
    }
}

/// Number of pairs, from the highest `convN_a` there is.
fn depth_of<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let number = |n: &str| -> Option<usize> {
        n.strip_prefix("seed_update/conv")?.strip_suffix("_a/weights")?.parse().ok()
    };
    names.filter_map(number).max().map_or(1, |n| n.saturating_add(1))
}

fn checked_depth(file: &str, expected: Option<usize>, found: usize) -> Result<usize> {
    if found > MAX_DEPTH {
        return Err(Error::checkpoint(file, format!("depth {found} is over {MAX_DEPTH}")));
    }
    match expected {
        Some(depth) if depth != found => Err(Error::checkpoint(
            file,
            format!("expected a network of depth {depth}, found {found}"),
        )),
        _ => Ok(found),
    }
}

fn check_outputs(file: &str, name: &str, found: usize, expected: usize) -> Result<()> {
    if found != expected {
        let message =
            format!("tensor seed_update/{name}: expected {expected} outputs, found {found}");
        return Err(Error::checkpoint(file, message));
    }
    Ok(())
}

fn read_layer(
    source: &dyn TensorSource,
    file: &str,
    name: &str,
    kernel: usize,
    inputs: usize,
) -> Result<Layer> {
    let tensor = |part: &str| {
        let name = format!("{name}/{part}");
        let missing = || Error::checkpoint(file, format!("tensor {name} is missing"));
        Ok::<_, Error>((name.clone(), source.read(&name)?.ok_or_else(missing)?))
    };
    let (_, (bias_shape, biases)) = tensor("biases")?;
    let (weights_name, (shape, weights)) = tensor("weights")?;
    let expected = [kernel, kernel, kernel, inputs, biases.len()];
    if shape != expected || bias_shape.len() != 1 || biases.is_empty() {
        let message =
            format!("tensor {weights_name}: expected shape {expected:?}, found {shape:?}");
        return Err(Error::checkpoint(file, message));
    }
    if let Some(at) = weights.iter().chain(&biases).position(|v| !v.is_finite()) {
        let message = format!("tensor {name}: value {at} is not finite");
        return Err(Error::checkpoint(file, message));
    }
    Ok(Layer { shape: expected, weights, biases })
}
