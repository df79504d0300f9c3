//! `model_name` and `model_args` of a request: which network, with its arguments as JSON.

use exavox_compute::ffn::{ArchitectureOptions, Family, SeedUpdate};
use serde::Deserialize;

use super::Reader;
use crate::error::Result;
use crate::segment::model_table::{Features, PaddingName};
use crate::segment::settings::SegmentSettings;

/// What both fields said so far; they may come in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelFields {
    family: Option<Family>,
    args: Option<ModelArgs>,
}

/// Arguments of the networks in Python. Sizes are x, y, z.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ModelArgs {
    depth: Option<usize>,
    fov_size: Option<[usize; 3]>,
    deltas: Option<[usize; 3]>,
    features: Option<Features>,
    padding: Option<PaddingName>,
    num_convs: Option<usize>,
    use_layernorm: Option<bool>,
    additive_seed_update: Option<bool>,
    dim: Option<usize>,
    out_features: Option<usize>,
    /// Has no effect: the batch is one FOV.
    #[serde(rename = "batch_size")]
    _batch_size: Option<usize>,
    /// Has no effect: names with and without numbers are read.
    #[serde(rename = "enumerate_layers")]
    _enumerate_layers: Option<bool>,
    /// Has no effect: the FOV says it.
    #[serde(rename = "native_input_size")]
    _native_input_size: Option<[usize; 3]>,
}

impl ModelFields {
    pub(super) fn take_name(&mut self, field: &Reader<'_>) -> Result<()> {
        let found = field.text()?;
        self.family = Some(match found.rsplit('.').next() {
            Some("ConvStack3DFFNModel") => Family::ConvStack,
            Some("ResConvStack") => Family::ResConvStack,
            _ => {
                return Err(field.wrong(&format!(
                    "'{found}' is not supported, expected 'ConvStack3DFFNModel' or 'ResConvStack'"
                )));
            }
        });
        Ok(())
    }

    pub(super) fn take_args(&mut self, field: &Reader<'_>) -> Result<()> {
        let args: ModelArgs = serde_json::from_str(field.text()?)
            .map_err(|e| field.wrong(&format!("is not what the network takes: {e}")))?;
        if args.dim.is_some_and(|dim| dim != 3) {
            return Err(field.wrong("is of a network of planes: expected dim 3"));
        }
        if args.out_features.is_some_and(|out| out != 1) {
            return Err(field.wrong("is of a network of several outputs: expected out_features 1"));
        }
        self.args = Some(args);
        Ok(())
    }

    /// Sets what was said, or what the network's own defaults are.
    ///
    /// # Errors
    /// The name of an argument that the network does not have.
    pub(super) fn apply(self, settings: &mut SegmentSettings) -> Result<(), String> {
        let said = self.args.is_some();
        let (family, args) =
            (self.family.unwrap_or(Family::ConvStack), self.args.unwrap_or_default());
        let reversed = |[x, y, z]: [usize; 3]| [z, y, x];
        settings.model.fov_zyx = args.fov_size.map_or(settings.model.fov_zyx, reversed);
        settings.model.deltas_zyx = args.deltas.map_or(settings.model.deltas_zyx, reversed);
        if family == Family::ConvStack {
            let foreign = [
                ("padding", args.padding.is_some()),
                ("num_convs", args.num_convs.is_some()),
                ("use_layernorm", args.use_layernorm.is_some()),
                ("additive_seed_update", args.additive_seed_update.is_some()),
            ];
            if let Some((name, _)) = foreign.iter().find(|(_, given)| *given) {
                return Err(format!("{name} is not an argument of ConvStack3DFFNModel"));
            }
        }
        let is_stack = family == Family::ConvStack;
        let default_depth = if is_stack { 9 } else { 12 };
        settings.architecture = ArchitectureOptions {
            family: Some(family),
            depth: said.then(|| args.depth.unwrap_or(default_depth)),
            features: args.features.map(|features| match features {
                Features::All(features) => vec![features],
                Features::Each(features) => features,
            }),
            num_convs: args.num_convs,
            layer_norm: args.use_layernorm.or((said && !is_stack).then_some(true)),
            padding: args.padding.map(Into::into),
            update: args.additive_seed_update.map(SeedUpdate::from_additive),
            ..settings.architecture.clone()
        };
        Ok(())
    }
}
