//! What is read and where labels go: flags that several commands share.

use exavox_io::BoundingBox;
use exavox_io::volume::{Codec, WriteMode};
use exavox_pipeline::components::LabellingOptions;

use crate::context::Context;
use crate::source_args::SourceArgs;
use crate::values;

/// Part of the volume to read, and how labels are written.
#[derive(Debug, clap::Args)]
pub(crate) struct LabellingArgs {
    /// Channel, by name or number; needed if there are several.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Part of the volume: z0:z1,y0:y1,x0:x1 in voxels, half open; an end may be left out.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    #[command(flatten)]
    pub(crate) from: SourceArgs,
    /// Compression: raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL].
    #[arg(long, value_parser = values::codec)]
    codec: Option<Codec>,
    /// Replace a DST that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
}

impl LabellingArgs {
    /// The options within the memory of this run.
    pub(crate) fn options(&self, context: &Context) -> anyhow::Result<LabellingOptions> {
        let mut options = LabellingOptions::default();
        options.channel.clone_from(&self.channel);
        options.region = self.roi;
        options.codec = self.codec;
        options.mode = if self.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
        options.memory_bytes = Some(context.memory_bytes());
        options.device = context.asked_for_device()?;
        Ok(options)
    }
}
