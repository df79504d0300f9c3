//! `[model]` of TOML files: which network, and how it is computed.

use std::path::{Path, PathBuf};

use exavox_compute::Precision;
use exavox_compute::ffn::{ArchitectureOptions, Family, Padding, SeedUpdate};
use serde::{Deserialize, Serialize};

use super::SegmentSettings;
use super::tables::set;

/// `[model]`: the network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    /// Prefix of a TensorFlow checkpoint, a `.safetensors` file, or a file of flax.
    pub checkpoint: Option<PathBuf>,
    /// `ConvStack` or `ResConvStack`. The checkpoint must be what is said here and below.
    pub architecture: Option<FamilyName>,
    /// Residual modules; of a ConvStack the first pair of convolutions counts too.
    pub depth: Option<usize>,
    /// Convolutions of a module.
    pub num_convs: Option<usize>,
    /// Outputs of all convolutions, or of each but the last.
    pub features: Option<Features>,
    /// Whether channels are normalised before each module.
    pub layer_norm: Option<bool>,
    /// `same` or `valid`. Files of flax do not say it: `same` there unless it is said here.
    pub padding: Option<PaddingName>,
    /// Whether the output is the change of the seed, not the new logits. Files of flax do not say it.
    pub additive: Option<bool>,
    /// Channels of the image.
    pub image_channels: Option<usize>,
    /// Which parameters of a file of flax that has several: `params`, `ema_params`.
    pub parameters: Option<String>,
    /// Field of view, voxels, odd.
    pub fov_zyx: Option<[usize; 3]>,
    /// How far the field of view moves in one go.
    pub deltas_zyx: Option<[usize; 3]>,
    /// `exact` or `fast`.
    pub precision: Option<PrecisionName>,
}

/// How exactly a network is computed, as files say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionName {
    /// [`Precision::Exact`].
    Exact,
    /// [`Precision::Fast`].
    Fast,
}

/// The kinds of networks, as files say them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FamilyName {
    /// [`Family::ConvStack`].
    ConvStack,
    /// [`Family::ResConvStack`].
    ResConvStack,
}

/// What surrounds the image of a convolution, as files say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaddingName {
    /// [`Padding::Same`].
    Same,
    /// [`Padding::Valid`].
    Valid,
}

/// Outputs of convolutions: one number, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Features {
    /// Of all.
    All(usize),
    /// Of each but the last.
    Each(Vec<usize>),
}

impl From<FamilyName> for Family {
    fn from(value: FamilyName) -> Self {
        match value {
            FamilyName::ConvStack => Self::ConvStack,
            FamilyName::ResConvStack => Self::ResConvStack,
        }
    }
}

impl From<Family> for FamilyName {
    fn from(value: Family) -> Self {
        match value {
            Family::ConvStack => Self::ConvStack,
            Family::ResConvStack => Self::ResConvStack,
        }
    }
}

impl From<PaddingName> for Padding {
    fn from(value: PaddingName) -> Self {
        match value {
            PaddingName::Same => Self::Same,
            PaddingName::Valid => Self::Valid,
        }
    }
}

impl From<Padding> for PaddingName {
    fn from(value: Padding) -> Self {
        match value {
            Padding::Same => Self::Same,
            Padding::Valid => Self::Valid,
        }
    }
}

impl From<PrecisionName> for Precision {
    fn from(value: PrecisionName) -> Self {
        match value {
            PrecisionName::Exact => Self::Exact,
            PrecisionName::Fast => Self::Fast,
        }
    }
}

impl ModelTable {
    /// Everything said.
    pub fn of(settings: &SegmentSettings) -> Self {
        let architecture = &settings.architecture;
        Self {
            checkpoint: Some(settings.checkpoint.clone()),
            architecture: architecture.family.map(FamilyName::from),
            depth: architecture.depth,
            num_convs: architecture.num_convs,
            features: architecture.features.clone().map(Features::Each),
            layer_norm: architecture.layer_norm,
            padding: architecture.padding.map(PaddingName::from),
            additive: architecture.update.map(|update| update == SeedUpdate::Additive),
            image_channels: architecture.image_channels,
            parameters: architecture.parameters.clone(),
            fov_zyx: Some(settings.model.fov_zyx),
            deltas_zyx: Some(settings.model.deltas_zyx),
            precision: Some(match settings.precision {
                Precision::Exact => PrecisionName::Exact,
                Precision::Fast => PrecisionName::Fast,
            }),
        }
    }

    fn architecture(&self) -> ArchitectureOptions {
        ArchitectureOptions {
            family: self.architecture.map(Family::from),
            depth: self.depth,
            num_convs: self.num_convs,
            features: self.features.clone().map(|features| match features {
                Features::All(features) => vec![features],
                Features::Each(features) => features,
            }),
            layer_norm: self.layer_norm,
            padding: self.padding.map(Padding::from),
            update: self.additive.map(SeedUpdate::from_additive),
            image_channels: self.image_channels,
            parameters: self.parameters.clone(),
        }
    }

    /// Sets what is said; a relative path of a checkpoint starts at `directory`.
    pub fn apply(&self, settings: &mut SegmentSettings, directory: &Path) {
        if let Some(checkpoint) = &self.checkpoint {
            settings.checkpoint = directory.join(checkpoint);
        }
        settings.architecture = self.architecture();
        set(&mut settings.precision, self.precision.map(Precision::from));
        set(&mut settings.model.fov_zyx, self.fov_zyx);
        set(&mut settings.model.deltas_zyx, self.deltas_zyx);
    }
}
