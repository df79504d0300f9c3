//! Flags that say what a checkpoint holds, where it cannot say so itself.

use exavox_compute::ffn::{ArchitectureOptions, Family, Padding, SeedUpdate};

/// What the network must be.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct ModelArgs {
    /// The kind of network that the checkpoint must hold: ConvStack (google/ffn on TensorFlow) or
    /// ResConvStack (JAX).
    #[arg(long, value_name = "NAME")]
    architecture: Option<Family>,
    /// Residual modules it must have; of a ConvStack the first pair of convolutions counts too.
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// What surrounds the image: same (zeros) or valid (nothing; new logits are for the middle of the
    /// field of view). Files of flax do not say it [default: same].
    #[arg(long, value_name = "same|valid")]
    padding: Option<Padding>,
    /// The output is the change of the seed (additive_seed_update), not the new logits. Files of flax do
    /// not say it.
    #[arg(long)]
    additive: bool,
    /// Which parameters of a training state of flax: params, ema_params.
    #[arg(long, value_name = "PATH")]
    parameters: Option<String>,
}

impl ModelArgs {
    /// Sets what is said.
    pub(crate) fn apply(&self, options: &mut ArchitectureOptions) {
        options.family = self.architecture.or(options.family);
        options.depth = self.depth.or(options.depth);
        options.padding = self.padding.or(options.padding);
        if self.additive {
            options.update = Some(SeedUpdate::Additive);
        }
        if let Some(parameters) = &self.parameters {
            options.parameters = Some(parameters.clone());
        }
    }
}
