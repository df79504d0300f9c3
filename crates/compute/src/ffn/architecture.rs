//! What a network computes, apart from its numbers: how many layers of which kind, and what is done
//! with the last one's output.

use super::config::ModelConfig;
use crate::error::{Error, Result};

mod layers;
mod options;
mod text;

pub use options::ArchitectureOptions;
pub use text::features_text;

/// The kinds of networks. The names are those of the classes in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `ConvStack3DFFNModel` of google/ffn: pairs of convolutions, the first one counted.
    ConvStack,
    /// `ResConvStack` of google-research/connectomics: residual modules of convolutions, perhaps with
    /// layer normalisation, after first convolutions that are not counted.
    ResConvStack,
}

/// What surrounds the image of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Zeros: the output has the size of the input.
    #[default]
    Same,
    /// Nothing: each convolution takes half of its kernel off each side.
    Valid,
}

/// What the network's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeedUpdate {
    /// The change of the seed.
    Additive,
    /// The new logits themselves.
    #[default]
    Direct,
}

/// Everything about a network but its numbers. As text, one line of `name=value` words behind the
/// family; files keep it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// The kind of network.
    pub family: Family,
    /// Residual modules; of a [`Family::ConvStack`] the first pair counts too.
    pub depth: usize,
    /// Convolutions of a module, and before the first one.
    pub num_convs: usize,
    /// Outputs of each convolution in order, without the last of all.
    pub features: Vec<usize>,
    /// Taps of the convolutions along z, y and x.
    pub kernel_zyx: [usize; 3],
    /// Whether channels are normalised before each module and before the output.
    pub layer_norm: bool,
    /// What surrounds the image of a convolution.
    pub padding: Padding,
    /// What the output is.
    pub update: SeedUpdate,
    /// Channels of the image; the seed comes behind them.
    pub image_channels: usize,
}

impl SeedUpdate {
    /// By the name that the setting has in google/ffn: `additive_seed_update`.
    pub fn from_additive(additive: bool) -> Self {
        if additive { Self::Additive } else { Self::Direct }
    }
}

impl Architecture {
    /// Voxels along z, y and x of each side of a FOV for which there are no new logits.
    pub fn lost_zyx(&self) -> [usize; 3] {
        match self.padding {
            Padding::Same => [0; 3],
            Padding::Valid => self.kernel_zyx.map(|k| k / 2 * self.num_convs * (self.depth + 1)),
        }
    }

    /// Voxels along z, y and x of the middle of a FOV, for which there are new logits; 0 if it is too small.
    pub fn kept_zyx(&self, fov_zyx: [usize; 3]) -> [usize; 3] {
        let lost = self.lost_zyx();
        [0, 1, 2].map(|a| fov_zyx[a].saturating_sub(2 * lost[a]))
    }

    /// `Ok` if a FOV is larger than what is lost of it, and the deltas stay inside what is left.
    ///
    /// # Errors
    /// [`Error::Usage`] names the axis, expected and found.
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        config.check()?;
        let lost = self.lost_zyx();
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            let (fov, delta, least) = (config.fov_zyx[a], config.deltas_zyx[a], 2 * lost[a] + 1);
            if fov < least {
                let message = format!(
                    "FOV along {axis}: 'valid' padding of this network takes {} voxels off each side: expected at least {least}, found {fov}",
                    lost[a]
                );
                return Err(Error::Usage(message));
            }
            if delta > (fov - 2 * lost[a]) / 2 {
                let most = (fov - 2 * lost[a]) / 2;
                let message = format!(
                    "delta along {axis}: 'valid' padding leaves {} voxels of the FOV: expected at most {most}, found {delta}",
                    fov - 2 * lost[a]
                );
                return Err(Error::Usage(message));
            }
        }
        Ok(())
    }

    /// Multiplications and additions of the convolutions of one step.
    pub fn flop(&self, fov_zyx: [usize; 3]) -> u64 {
        let taps: usize = self.kernel_zyx.iter().product();
        let (mut inputs, mut size, mut flop) = (self.image_channels + 1, fov_zyx, 0);
        for &outputs in &self.features {
            if self.padding == Padding::Valid {
                size = [0, 1, 2].map(|a| size[a].saturating_sub(self.kernel_zyx[a] / 2 * 2));
            }
            flop += 2 * size.iter().product::<usize>() * taps * inputs * outputs;
            inputs = outputs;
        }
        (flop + 2 * size.iter().product::<usize>() * inputs) as u64
    }
}
