//! Trained weights of a `ConvStack3DFFNModel`, from a TensorFlow checkpoint or a safetensors file.
//! Checkpoints of any architecture are opened by [`TrainedModel`].

use std::path::Path;

use super::architecture::{Architecture, ArchitectureOptions, Family, Padding, SeedUpdate};
use super::tensor_bundle::TensorBundle;
use super::trained_model::{Layers, TrainedModel};
use crate::error::{Error, Result};

pub(super) mod safetensors;

/// Layers beyond this are not a network but a damaged file.
pub(super) const MAX_DEPTH: usize = 1000;

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
    /// The first pair; its input has the channels of the image, and the seed as the last.
    pub first: (Layer, Layer),
    /// The residual modules; depth - 1 of them.
    pub modules: Vec<(Layer, Layer)>,
    /// The 1x1x1 convolution to one channel.
    pub update: Layer,
}

/// Where tensors come from.
pub(super) trait TensorSource {
    /// A tensor of f32 with its shape; `None` if there is no such tensor.
    fn read(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>>;

    /// Names of all tensors.
    fn tensor_names(&self) -> Vec<&str>;
}

impl TensorSource for TensorBundle {
    fn read(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        self.read_f32(name)
    }

    fn tensor_names(&self) -> Vec<&str> {
        self.names().collect()
    }
}

impl Weights {
    /// Reads a checkpoint of a ConvStack of one image channel: any file that [`TrainedModel::open`] takes.
    /// `depth` is checked if it is given, otherwise taken from the file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names the file and the tensor that is missing, damaged or of another
    /// shape or architecture than expected.
    pub fn open(path: &Path, depth: Option<usize>) -> Result<Self> {
        let options = ArchitectureOptions {
            family: Some(Family::ConvStack),
            depth,
            image_channels: Some(1),
            ..ArchitectureOptions::default()
        };
        match TrainedModel::open(path, &options)?.into_layers() {
            Layers::ConvStack(weights) => Ok(weights),
            Layers::ResConvStack(_) => {
                let name = path.display().to_string();
                Err(Error::checkpoint(name, "expected a ConvStack, found a ResConvStack"))
            }
        }
    }

    /// Writes a safetensors file that [`Weights::open`] reads.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        safetensors::save(&self.tensors(), &self.architecture(), path)
    }

    /// All tensors with names and shapes, as files hold them: layer by layer, weights before biases.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        let layers = self.named_layers().into_iter();
        layers.flat_map(|(name, layer)| layer.tensors(&name, "weights", "biases")).collect()
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

    /// What the layers say of the network.
    pub fn architecture(&self) -> Architecture {
        let [kz, ky, kx, inputs, _] = self.first.0.shape;
        let pairs = std::iter::once(&self.first).chain(&self.modules);
        Architecture {
            family: Family::ConvStack,
            depth: self.depth(),
            num_convs: 2,
            features: pairs.flat_map(|(a, b)| [a.biases.len(), b.biases.len()]).collect(),
            kernel_zyx: [kz, ky, kx],
            layer_norm: false,
            padding: Padding::Same,
            update: SeedUpdate::Additive,
            image_channels: inputs.saturating_sub(1),
        }
    }

    /// Reads all layers of an open checkpoint.
    pub(super) fn from_source(source: &dyn TensorSource, file: &str) -> Result<Self> {
        let depth = depth_of(source.tensor_names().into_iter());
        if depth > MAX_DEPTH {
            return Err(Error::checkpoint(file, format!("depth {depth} is over {MAX_DEPTH}")));
        }
        Self::read(source, file, depth)
    }

    /// The numbers of each tensor, in the order of [`Weights::tensors`].
    #[cfg(feature = "train")]
    pub(super) fn values_mut(&mut self) -> Vec<&mut Vec<f32>> {
        let pairs = std::iter::once(&mut self.first).chain(&mut self.modules);
        let layers = pairs.flat_map(|(a, b)| [a, b]).chain(std::iter::once(&mut self.update));
        layers.flat_map(|layer| [&mut layer.weights, &mut layer.biases]).collect()
    }

    fn read(source: &dyn TensorSource, file: &str, depth: usize) -> Result<Self> {
        let first = source.read("seed_update/conv0_a/weights")?;
        // An image has one channel at least; the seed comes behind.
        let inputs = first.and_then(|(shape, _)| shape.get(3).copied()).map_or(2, |n| n.max(2));
        let layer = |name: &str, kernel: usize, inputs: usize| {
            read_layer(source, file, &format!("seed_update/{name}"), kernel, inputs)
        };
        let pair = |i: usize, inputs: usize| -> Result<(Layer, Layer)> {
            let a = layer(&format!("conv{i}_a"), 3, inputs)?;
            let b = layer(&format!("conv{i}_b"), 3, a.biases.len())?;
            Ok((a, b))
        };
        let first = pair(0, inputs)?;
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
    Layer::read(source, file, name, ["weights", "biases"], [kernel; 3], inputs)
}

impl Layer {
    /// Reads `NAME/PARTS[0]` and `NAME/PARTS[1]`: weights and biases. `kernel_zyx` and `inputs` are
    /// what the weights must have.
    pub(super) fn read(
        source: &dyn TensorSource,
        file: &str,
        name: &str,
        parts: [&str; 2],
        kernel_zyx: [usize; 3],
        inputs: usize,
    ) -> Result<Self> {
        let weights = read_tensor(source, file, &format!("{name}/{}", parts[0]))?;
        Self::of(source, file, name, parts, weights, (kernel_zyx, inputs))
    }

    /// As [`Layer::read`], of weights that have been read.
    pub(super) fn of(
        source: &dyn TensorSource,
        file: &str,
        name: &str,
        parts: [&str; 2],
        (shape, weights_found): Tensor,
        ([kz, ky, kx], inputs): ([usize; 3], usize),
    ) -> Result<Self> {
        let [weights, biases] = parts.map(|part| format!("{name}/{part}"));
        let (bias_shape, biases_found) = read_tensor(source, file, &biases)?;
        let expected = [kz, ky, kx, inputs, biases_found.len()];
        if shape != expected || bias_shape.len() != 1 || biases_found.is_empty() {
            let message = format!("tensor {weights}: expected shape {expected:?}, found {shape:?}");
            return Err(Error::checkpoint(file, message));
        }
        Ok(Self { shape: expected, weights: weights_found, biases: biases_found })
    }

    /// Weights and biases with their names and shapes, as files hold them.
    pub(super) fn tensors<'l>(
        &'l self,
        name: &str,
        weights: &str,
        biases: &str,
    ) -> [(String, Vec<usize>, &'l [f32]); 2] {
        [
            (format!("{name}/{weights}"), self.shape.to_vec(), self.weights.as_slice()),
            (format!("{name}/{biases}"), vec![self.biases.len()], self.biases.as_slice()),
        ]
    }
}

/// Shape and numbers.
pub(super) type Tensor = (Vec<usize>, Vec<f32>);

/// A tensor that must be there, of finite numbers.
pub(super) fn read_tensor(source: &dyn TensorSource, file: &str, name: &str) -> Result<Tensor> {
    let missing = || Error::checkpoint(file, format!("tensor {name} is missing"));
    let (shape, values) = source.read(name)?.ok_or_else(missing)?;
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        let found = values[at];
        let message = format!("tensor {name}: value {at} is {found}: not finite");
        return Err(Error::checkpoint(file, message));
    }
    Ok((shape, values))
}
