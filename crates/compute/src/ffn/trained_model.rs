//! A network of any architecture with its trained numbers, as a checkpoint holds it.

use std::path::{Path, PathBuf};

use super::architecture::{Architecture, ArchitectureOptions};
use super::flax::{FlaxFile, flax_path};
use super::res_conv_stack::ResConvStackWeights;
use super::tensor_bundle::{TensorBundle, is_tensor_bundle, strip_index, with_suffix};
use super::weights::{TensorSource, Weights, safetensors};
use crate::error::{Error, Result};

/// Names of tensors that an error shows.
const NAMES_SHOWN: usize = 3;

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedModel {
    architecture: Architecture,
    layers: Layers,
    found_in: Option<String>,
}

/// The layers of a network.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Layers {
    /// [`Family::ConvStack`](super::Family::ConvStack).
    ConvStack(Weights),
    /// [`Family::ResConvStack`](super::Family::ResConvStack).
    ResConvStack(ResConvStackWeights),
}

impl From<Weights> for TrainedModel {
    fn from(weights: Weights) -> Self {
        let architecture = weights.architecture();
        Self { architecture, layers: Layers::ConvStack(weights), found_in: None }
    }
}

impl From<ResConvStackWeights> for TrainedModel {
    fn from(weights: ResConvStackWeights) -> Self {
        let architecture = weights.architecture();
        Self { architecture, layers: Layers::ResConvStack(weights), found_in: None }
    }
}

impl TrainedModel {
    /// Reads a checkpoint: the prefix or the `.index` of a TensorFlow checkpoint, a `.safetensors` file,
    /// or a file of flax (`.msgpack`, `.flax`, or the prefix of a checkpoint of clu). What the options say
    /// must be so.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names the file and the first tensor that is missing, damaged, or of another
    /// shape or architecture than expected.
    pub fn open(path: &Path, options: &ArchitectureOptions) -> Result<Self> {
        let name = path.display().to_string();
        let wrong = |why: String| Error::checkpoint(&*name, why);
        let model = Self::read(path, &name, options)?;
        options.check(&model.architecture).map_err(wrong)?;
        Ok(model)
    }

    fn read(path: &Path, name: &str, options: &ArchitectureOptions) -> Result<Self> {
        let wrong = |why: String| Error::checkpoint(name, why);
        if path.extension().is_some_and(|e| e == "safetensors") {
            return Self::of_file(&safetensors::File::open(path)?, name, options);
        }
        if let Some(file) = flax_path(path) {
            let file = FlaxFile::open(&file, options.parameters.as_deref())?;
            let found_in = Some(file.found.clone());
            let model = Self::from_source(&file, name)?.with_unseen(options);
            return Ok(Self { found_in, ..model });
        }
        if is_tensor_bundle(path) {
            return Self::from_source(&TensorBundle::open(path)?, name);
        }
        Err(wrong(not_a_checkpoint(path)))
    }

    /// As [`TrainedModel::open`], from the bytes of a safetensors file that says all by itself and is in
    /// memory already; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`TrainedModel::open`].
    #[cfg(feature = "train")]
    pub fn from_safetensors(bytes: Vec<u8>, name: &str) -> Result<Self> {
        let file = safetensors::File::from_bytes(bytes, name.to_owned())?;
        Self::of_file(&file, name, &ArchitectureOptions::default())
    }

    fn of_file(
        file: &safetensors::File,
        name: &str,
        options: &ArchitectureOptions,
    ) -> Result<Self> {
        let model = Self::from_source(file, name)?;
        match &file.architecture {
            Some(text) => {
                model.described_by(text).map_err(|why: String| Error::checkpoint(name, why))
            }
            None => Ok(model.with_unseen(options)),
        }
    }

    /// With what tensors do not tell, from the text of an architecture.
    fn described_by(mut self, text: &str) -> Result<Self, String> {
        let mut architecture = self.architecture.clone();
        architecture.take_unseen(text)?;
        if let Layers::ResConvStack(weights) = &mut self.layers {
            (weights.padding, weights.update) = (architecture.padding, architecture.update);
            self.architecture = weights.architecture();
        }
        match self.architecture.differs_from(text) {
            Some(why) => Err(why),
            None => Ok(self),
        }
    }

    /// With what tensors do not tell, from what the user says.
    fn with_unseen(mut self, options: &ArchitectureOptions) -> Self {
        if let Layers::ResConvStack(weights) = &mut self.layers {
            weights.padding = options.padding.unwrap_or(weights.padding);
            weights.update = options.update.unwrap_or(weights.update);
            self.architecture = weights.architecture();
        }
        self
    }

    /// The files of a checkpoint, whether they are there or not.
    pub fn files(path: &Path) -> Vec<PathBuf> {
        if let Some(file) = flax_path(path) {
            return vec![file];
        }
        if path.is_file() && path.extension().is_none_or(|e| e != "index") {
            return vec![path.to_owned()];
        }
        let prefix = strip_index(path);
        [".index", ".data-00000-of-00001"].map(|suffix| with_suffix(&prefix, suffix)).to_vec()
    }

    /// Whether a path looks like a checkpoint, by its name or by what is there.
    pub fn is_checkpoint(path: &Path) -> bool {
        let named = |e: &std::ffi::OsStr| e == "safetensors" || e == "msgpack" || e == "flax";
        let prefix_of_clu = || flax_path(path).is_some_and(|file| file != path);
        let is_named = path.extension().is_some_and(named) && path.is_file();
        is_named || is_tensor_bundle(path) || prefix_of_clu()
    }

    /// What the network computes.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its layers with their numbers.
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    pub(super) fn into_layers(self) -> Layers {
        self.layers
    }

    /// Of a file of flax, where in the tree the parameters are, and where there are others.
    pub fn found_in(&self) -> Option<&str> {
        self.found_in.as_deref()
    }

    /// Number of weights, biases and scales.
    pub fn num_parameters(&self) -> usize {
        self.tensors().iter().map(|(.., values)| values.len()).sum()
    }

    /// Names, shapes and numbers of all tensors, as files hold them: layer by layer, kernels before their
    /// biases; normalisations behind.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, &[f32])> {
        match &self.layers {
            Layers::ConvStack(weights) => weights.tensors(),
            Layers::ResConvStack(weights) => weights.tensors(),
        }
    }

    /// The numbers of each tensor, in the order of [`TrainedModel::tensors`].
    #[cfg(feature = "train")]
    pub(super) fn values_mut(&mut self) -> Vec<&mut Vec<f32>> {
        match &mut self.layers {
            Layers::ConvStack(weights) => weights.values_mut(),
            Layers::ResConvStack(weights) => weights.values_mut(),
        }
    }

    /// Writes a safetensors file with the architecture in its metadata, which [`TrainedModel::open`]
    /// reads. It replaces one that is there, once it is whole.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn save(&self, path: &Path) -> Result<()> {
        safetensors::save(&self.tensors(), &self.architecture, path)
    }

    fn from_source(source: &dyn TensorSource, file: &str) -> Result<Self> {
        let names = source.tensor_names();
        if names.iter().any(|name| name.starts_with("seed_update/conv0_")) {
            return Ok(Weights::from_source(source, file)?.into());
        }
        if names.iter().any(|name| name.starts_with("pre_a/")) {
            return Ok(ResConvStackWeights::from_source(source, file)?.into());
        }
        let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).copied().collect();
        let more = if names.len() > NAMES_SHOWN { ", ..." } else { "" };
        let message = format!(
            "expected tensor seed_update/conv0_a/weights of a ConvStack or pre_a/kernel of a ResConvStack, found [{}{more}]",
            shown.join(", ")
        );
        Err(Error::checkpoint(file, message))
    }
}

fn not_a_checkpoint(path: &Path) -> String {
    if path.is_dir() {
        return "is a directory: expected a file; of an orbax checkpoint, write the parameters with flax.serialization.to_bytes".to_owned();
    }
    "found neither a TensorFlow checkpoint (NAME.index), nor a .safetensors file, nor a file of flax (.msgpack, NAME.flax)".to_owned()
}
