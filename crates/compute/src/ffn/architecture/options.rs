//! What is known of a network before its checkpoint is read.

use super::{Architecture, Family, Padding, SeedUpdate};

/// What the user says of a network. A checkpoint must agree; what it cannot say itself (padding, and
/// what the output is, of files of flax) is taken from here, else the default of the family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchitectureOptions {
    /// The kind of network.
    pub family: Option<Family>,
    /// As in [`Architecture::depth`].
    pub depth: Option<usize>,
    /// As in [`Architecture::num_convs`].
    pub num_convs: Option<usize>,
    /// As in [`Architecture::features`]; a single number counts for all.
    pub features: Option<Vec<usize>>,
    /// As in [`Architecture::layer_norm`].
    pub layer_norm: Option<bool>,
    /// As in [`Architecture::padding`].
    pub padding: Option<Padding>,
    /// As in [`Architecture::update`].
    pub update: Option<SeedUpdate>,
    /// As in [`Architecture::image_channels`].
    pub image_channels: Option<usize>,
    /// Which parameters of a file of flax that has several, as `params` and `ema_params`; parts of the
    /// path with `/` between. Default: those that look most like what was trained.
    pub parameters: Option<String>,
}

impl ArchitectureOptions {
    /// `Ok` if a network is what was said, else the first thing that differs, with the tensor.
    pub(in crate::ffn) fn check(&self, found: &Architecture) -> Result<(), String> {
        self.check_family(found)?;
        self.check_depth(found)?;
        let first = Layer { family: found.family, number: 0, num_convs: found.num_convs };
        differs(self.num_convs, found.num_convs, "convolutions of a module")
            .map_err(|e| format!("{e}; the first tensor is {first}"))?;
        differs(self.image_channels, found.image_channels, "channels of the image")
            .map_err(|e| format!("tensor {first}: {e}"))?;
        self.check_features(found)?;
        differs(self.layer_norm, found.layer_norm, "layer_norm")
            .map_err(|e| format!("tensor LayerNorm_0/scale: {e}"))?;
        differs(self.padding, found.padding, "padding")?;
        differs(self.update, found.update, "update")
    }

    fn check_family(&self, found: &Architecture) -> Result<(), String> {
        let Some(family) = self.family.filter(|family| *family != found.family) else {
            return Ok(());
        };
        let wanted = Layer { family, number: 0, num_convs: 2 };
        let there = Layer { family: found.family, number: 0, num_convs: 2 };
        Err(format!(
            "expected a {family}, found a {}: tensor {wanted} is missing, there is {there}",
            found.family
        ))
    }

    fn check_depth(&self, found: &Architecture) -> Result<(), String> {
        let Some(depth) = self.depth.filter(|depth| *depth != found.depth) else { return Ok(()) };
        let (family, num_convs) = (found.family, found.num_convs);
        let modules = depth.min(found.depth) + usize::from(family == Family::ResConvStack);
        let first = Layer { family, number: modules * num_convs, num_convs };
        let what = if depth > found.depth { "is missing" } else { "is one too many" };
        Err(format!(
            "expected a network of depth {depth}, found {}: tensor {first} {what}",
            found.depth
        ))
    }

    fn check_features(&self, found: &Architecture) -> Result<(), String> {
        let Some(features) = &self.features else { return Ok(()) };
        let count = found.features.len();
        if features.len() != 1 && features.len() != count {
            let all = features.len();
            return Err(format!("features: expected {count} numbers or one, found {all}"));
        }
        for (number, outputs) in found.features.iter().enumerate() {
            let expected = features[if features.len() == 1 { 0 } else { number }];
            if expected != *outputs {
                let layer = Layer { family: found.family, number, num_convs: found.num_convs };
                return Err(format!(
                    "tensor {layer}: expected {expected} features, found {outputs}"
                ));
            }
        }
        Ok(())
    }
}

fn differs<T: PartialEq + std::fmt::Display>(
    expected: Option<T>,
    found: T,
    what: &str,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => {
            Err(format!("{what}: expected {expected}, found {found}"))
        }
        _ => Ok(()),
    }
}

/// A convolution by its number, shown as the name of its weights.
struct Layer {
    family: Family,
    number: usize,
    num_convs: usize,
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let num_convs = self.num_convs.max(1);
        let (module, conv) = (self.number / num_convs, self.number % num_convs);
        let letter = (b'a' + conv.min(25) as u8) as char;
        match (self.family, module) {
            (Family::ConvStack, _) => write!(f, "seed_update/conv{module}_{letter}/weights"),
            (Family::ResConvStack, 0) => write!(f, "pre_{letter}/kernel"),
            (Family::ResConvStack, _) => write!(f, "res{}{letter}/kernel", module - 1),
        }
    }
}
