//! Checkpoints of other frameworks as safetensors files, and what is known of a network without a step.

use std::path::Path;

use exavox_compute::ffn::{ArchitectureOptions, ModelConfig, SeedUpdate, TrainedModel};
use exavox_io::staging::Staged;
use exavox_io::volume::WriteMode;
use serde::Serialize;

use crate::error::{Error, Result};

/// A network. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The checkpoint read.
    pub checkpoint: String,
    /// The file written, if any.
    pub target: Option<String>,
    /// Of a file of flax, where in it the parameters are.
    pub found_in: Option<String>,
    /// `ConvStack` or `ResConvStack`.
    pub architecture: String,
    /// Residual modules; of a ConvStack the first pair of convolutions counts too.
    pub depth: usize,
    /// Convolutions of a module.
    pub num_convs: usize,
    /// Outputs of each convolution but the last.
    pub features: Vec<usize>,
    /// Taps along z, y and x.
    pub kernel_zyx: [usize; 3],
    /// Whether channels are normalised.
    pub layer_norm: bool,
    /// `same` or `valid`.
    pub padding: String,
    /// Whether the output is the change of the seed, not the new logits.
    pub additive: bool,
    /// Channels of the image.
    pub image_channels: usize,
    /// Weights, biases and scales.
    pub parameters: usize,
    /// Field of view that `flop_per_fov` is for.
    pub fov_zyx: [usize; 3],
    /// Voxels of each side of the field of view without new logits.
    pub lost_zyx: [usize; 3],
    /// Multiplications and additions of the convolutions of one step; nothing if the field of view is too
    /// small for the network.
    pub flop_per_fov: Option<u64>,
}

/// What is known of a network with a field of view.
pub fn describe_model(model: &TrainedModel, checkpoint: &Path, fov_zyx: [usize; 3]) -> ModelReport {
    let architecture = model.architecture();
    let fits = architecture.check(&ModelConfig { fov_zyx, deltas_zyx: [0; 3] }).is_ok();
    ModelReport {
        checkpoint: checkpoint.display().to_string(),
        target: None,
        found_in: model.found_in().map(str::to_owned),
        architecture: architecture.family.to_string(),
        depth: architecture.depth,
        num_convs: architecture.num_convs,
        features: architecture.features.clone(),
        kernel_zyx: architecture.kernel_zyx,
        layer_norm: architecture.layer_norm,
        padding: architecture.padding.to_string(),
        additive: architecture.update == SeedUpdate::Additive,
        image_channels: architecture.image_channels,
        parameters: model.num_parameters(),
        fov_zyx,
        lost_zyx: architecture.lost_zyx(),
        flop_per_fov: fits.then(|| architecture.flop(fov_zyx)),
    }
}

/// Reads a checkpoint and writes it as a safetensors file that carries its architecture.
///
/// # Errors
/// [`Error::Settings`] if the target is no `.safetensors`; what checkpoint and disk say.
pub fn convert_model(
    source: &Path,
    target: &Path,
    options: &ArchitectureOptions,
    mode: WriteMode,
) -> Result<TrainedModel> {
    if target.extension().is_none_or(|e| e != "safetensors") {
        let name = target.display().to_string();
        return Err(Error::settings(name, "expected a name that ends in .safetensors"));
    }
    let model = TrainedModel::open(source, options)?;
    let staged = Staged::new(target, mode)?;
    model.save(staged.path())?;
    staged.commit()?;
    Ok(model)
}
