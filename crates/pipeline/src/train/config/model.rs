//! `[model]`: the network that is trained. Keys are those of `[model]` for `segment`.

use exavox_compute::ffn::{
    Architecture, ArchitectureOptions, Family, ModelConfig, Padding, SeedUpdate,
};
use serde::{Deserialize, Serialize};

use super::expect;
use crate::segment::{FamilyName, Features, PaddingName};

/// Channels of a layer at most.
const MAX_FEATURES: usize = 1024;
/// Modules at most.
const MAX_DEPTH: usize = 100;
/// Channels of the image at most.
const MAX_CHANNELS: usize = 256;
/// Convolutions of a module at most.
const MAX_CONVS: usize = 26;

/// `[model]`: the network. What is left out has the default of the architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    /// `ConvStack`, the default, or `ResConvStack`.
    pub architecture: Option<FamilyName>,
    /// Residual modules; of a ConvStack the first pair of convolutions counts too.
    pub depth: usize,
    /// Convolutions of a module; 2.
    pub num_convs: Option<usize>,
    /// Outputs of all convolutions, or of each but the last.
    pub features: Features,
    /// Whether channels are normalised before each module; a ResConvStack's are.
    pub layer_norm: Option<bool>,
    /// `same`, or of a ResConvStack `valid`.
    pub padding: Option<PaddingName>,
    /// Whether the output is the change of the seed: that of a ConvStack is, that of a ResConvStack is not.
    pub additive: Option<bool>,
    /// Channels of the image that the network sees; 1.
    pub image_channels: Option<usize>,
    /// Field of view, voxels, odd.
    pub fov_zyx: [usize; 3],
    /// How far the field of view moves in one go.
    pub deltas_zyx: [usize; 3],
    /// Weights to begin with, of this architecture: the prefix of a TensorFlow checkpoint, a `.safetensors`
    /// file, or a file of flax. Left out: random ones.
    pub checkpoint: Option<String>,
    /// Which parameters of a file of flax that has several: `params`, `ema_params`.
    pub parameters: Option<String>,
}

impl Default for ModelTable {
    /// The default of google/ffn's `ConvStack3DFFNModel`, with the published field of view.
    fn default() -> Self {
        let ModelConfig { fov_zyx, deltas_zyx } = ModelConfig::default();
        Self {
            architecture: None,
            depth: 9,
            num_convs: None,
            features: Features::All(32),
            layer_norm: None,
            padding: None,
            additive: None,
            image_channels: None,
            fov_zyx,
            deltas_zyx,
            checkpoint: None,
            parameters: None,
        }
    }
}

impl ModelTable {
    /// Field of view and deltas.
    pub fn config(&self) -> ModelConfig {
        ModelConfig { fov_zyx: self.fov_zyx, deltas_zyx: self.deltas_zyx }
    }

    /// Channels of the image that the network sees.
    pub fn num_channels(&self) -> usize {
        self.image_channels.unwrap_or(1)
    }

    /// What is trained.
    pub fn architecture(&self) -> Architecture {
        let family = self.architecture.map_or(Family::ConvStack, Family::from);
        let usual = match family {
            Family::ConvStack => Architecture::conv_stack(self.depth, 1),
            Family::ResConvStack => Architecture::res_conv_stack(self.depth, 1),
        };
        let mut architecture = Architecture {
            num_convs: self.num_convs.unwrap_or(usual.num_convs),
            layer_norm: self.layer_norm.unwrap_or(usual.layer_norm),
            padding: self.padding.map_or(usual.padding, Padding::from),
            update: self.additive.map_or(usual.update, SeedUpdate::from_additive),
            image_channels: self.num_channels(),
            ..usual
        };
        architecture.features = match self.features() {
            [all] => vec![*all; architecture.num_features()],
            each => each.to_vec(),
        };
        architecture
    }

    fn features(&self) -> &[usize] {
        match &self.features {
            Features::All(all) => std::slice::from_ref(all),
            Features::Each(each) => each,
        }
    }

    /// What a checkpoint to begin with must be, and what it cannot say itself.
    pub(in super::super) fn options(&self) -> ArchitectureOptions {
        let architecture = self.architecture();
        ArchitectureOptions {
            family: Some(architecture.family),
            padding: Some(architecture.padding),
            update: Some(architecture.update),
            image_channels: Some(architecture.image_channels),
            parameters: self.parameters.clone(),
            ..ArchitectureOptions::default()
        }
    }

    /// What is wrong, with the key, expected and found.
    pub(super) fn check(&self) -> Result<(), String> {
        self.config().check().map_err(|e| format!("model: {e}"))?;
        // Before an architecture is made of them.
        let (depth, num_convs) = (self.depth, self.num_convs.unwrap_or(2));
        expect("model.depth", (1..=MAX_DEPTH).contains(&depth), "from 1 to 100", depth)?;
        expect("model.num_convs", (1..=MAX_CONVS).contains(&num_convs), "from 1 to 26", num_convs)?;
        let channels = self.num_channels();
        let good = (1..=MAX_CHANNELS).contains(&channels);
        expect("model.image_channels", good, "from 1 to 256", channels)?;
        for &features in self.features() {
            let good = (1..=MAX_FEATURES).contains(&features);
            expect("model.features", good, "from 1 to 1024", features)?;
        }
        let architecture = self.architecture();
        architecture.check_layers().map_err(|e| format!("model.{e}"))?;
        architecture.check(&self.config()).map_err(|e| format!("model: {e}"))?;
        match (&self.checkpoint, &self.parameters) {
            (None, Some(name)) => Err(format!(
                "model.parameters: expected model.checkpoint beside it, found '{name}' alone"
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(text: &str) -> ModelTable {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_left_out_is_that_of_the_architecture() {
        let plain = table("features = 8\ndepth = 3").architecture();
        assert_eq!(plain, Architecture::conv_stack(3, 8));
        let text = "architecture = 'ResConvStack'\nfeatures = [8]\ndepth = 3\n";
        assert_eq!(table(text).architecture(), Architecture::res_conv_stack(3, 8));
        let more = "num_convs = 1\nlayer_norm = false\npadding = 'valid'\nadditive = true\n\
                    image_channels = 3";
        assert_eq!(
            table(&format!("{text}{more}")).architecture().to_string(),
            "ResConvStack depth=3 num_convs=1 features=8 kernel_zyx=3,3,3 layer_norm=false \
             padding=valid update=additive image_channels=3"
        );
    }

    #[test]
    fn what_cannot_be_is_named_with_its_key() {
        let res = "architecture = 'ResConvStack'\ndepth = 2\n";
        for (before, more, expected) in [
            ("", "num_convs = 3", "model.num_convs: expected 2 in a ConvStack, found 3"),
            (
                "",
                "layer_norm = true",
                "model.layer_norm: expected false in a ConvStack, found true",
            ),
            ("", "padding = 'valid'", "model.padding: expected same in a ConvStack, found valid"),
            ("", "additive = false", "model.additive: expected true in a ConvStack, found false"),
            (
                "",
                "features = [8, 8]",
                "model.features: expected 18 numbers or one, found 2 numbers",
            ),
            ("", "features = []", "model.features: expected 18 numbers or one, found 0 numbers"),
            ("", "image_channels = 0", "model.image_channels: expected from 1 to 256, found 0"),
            ("", "features = 0", "model.features: expected from 1 to 1024, found 0"),
            ("", "parameters = 'ema_params'", "model.parameters: expected model.checkpoint"),
            (res, "num_convs = 27", "model.num_convs: expected from 1 to 26, found 27"),
            (
                res,
                "features = [4, 8, 4, 8, 4, 9]",
                "model.features: expected 8 at the end of each module, found 9 as number 6",
            ),
            (
                res,
                "padding = 'valid'\nfov_zyx = [33, 11, 33]\ndeltas_zyx = [8, 2, 8]",
                "model: FOV along y: 'valid' padding of this network takes 6 voxels off each side: \
                 expected at least 13, found 11",
            ),
            (res, "padding = 'valid'\nfov_zyx = [27, 33, 33]", "model: delta along z: 'valid'"),
        ] {
            let found = table(&format!("{before}{more}")).check().unwrap_err();
            assert!(found.starts_with(expected), "{more}: {found}");
        }
        table(&format!("{res}features = [4, 8, 3, 8, 7, 8]")).check().unwrap();
    }
}
