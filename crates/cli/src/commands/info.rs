//! `exavox info`: what is known of a volume without reading its voxels.

use std::fmt;

use exavox_compute::ffn::TrainedModel;
use exavox_io::{Metadata, Scale, Volume};
use indicatif::DecimalBytes;
use serde::Serialize;

use super::convert_model;
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::source_args::SourceArgs;

/// Names of channels in the table; `--json` gives all.
const CHANNELS_SHOWN: usize = 16;

/// Show shape, type, voxel size, chunks, codecs and scales of a volume; or what the checkpoint of a network
/// holds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The volume, or the checkpoint.
    #[arg(value_name = "VOLUME")]
    volume: String,
    #[command(flatten)]
    from: SourceArgs,
}

/// Prints the description on stdout.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    if TrainedModel::is_checkpoint(args.volume.as_ref()) {
        return convert_model::show(args.volume.as_ref(), context);
    }
    let volume = Volume::open_with(&args.volume, &args.from.open_options(context))?;
    context.printer.answer(&Description::new(&volume))?;
    Ok(ExitStatus::Done)
}

/// What `--json` prints. Shapes and sizes are `[z, y, x]`, in voxels and nanometres.
#[derive(Debug, Serialize)]
struct Description<'a> {
    name: &'a str,
    format: &'a str,
    shape: [u64; 3],
    channels: &'a [String],
    dtype: &'a str,
    /// On disk, slowest first.
    axes: &'a str,
    voxel_size_nm: Option<[f64; 3]>,
    chunk_shape: [u64; 3],
    shard_shape: Option<[u64; 3]>,
    /// From the first applied on writing to the last.
    codecs: &'a [String],
    /// All scales of a pyramid, finest first.
    scales: Vec<ScaleDescription>,
    /// Of all channels of this scale, uncompressed.
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct ScaleDescription {
    shape: [u64; 3],
    voxel_size_nm: Option<[f64; 3]>,
}

impl From<&Scale> for ScaleDescription {
    fn from(scale: &Scale) -> Self {
        let voxel_size_nm = scale.voxel_size.map(|size| size.nm_zyx);
        Self { shape: scale.shape, voxel_size_nm }
    }
}

impl fmt::Display for ScaleDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&by(&self.shape))?;
        match self.voxel_size_nm {
            Some([z, y, x]) => write!(f, " of {z} x {y} x {x} nm"),
            None => Ok(()),
        }
    }
}

impl<'a> Description<'a> {
    fn new(volume: &'a Volume) -> Self {
        let metadata: &Metadata = volume.metadata();
        Self {
            name: volume.name(),
            format: &metadata.format,
            shape: metadata.shape,
            channels: &metadata.channels,
            dtype: metadata.dtype.name(),
            axes: &metadata.stored_axes,
            voxel_size_nm: metadata.voxel_size.map(|size| size.nm_zyx),
            chunk_shape: metadata.chunk_shape,
            shard_shape: metadata.shard_shape,
            codecs: &metadata.codecs,
            scales: scales(metadata),
            bytes: metadata.num_bytes(),
        }
    }

    fn channel_list(&self) -> String {
        let count = self.channels.len();
        let shown = &self.channels[..count.min(CHANNELS_SHOWN)];
        let more = if count > CHANNELS_SHOWN { ", …" } else { "" };
        format!("{count} ({}{more})", shown.join(", "))
    }
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codecs = if self.codecs.is_empty() { "none".into() } else { self.codecs.join(", ") };
        let scales: Vec<String> = self.scales.iter().map(ToString::to_string).collect();
        let rows = [
            ("format", self.format.to_owned()),
            ("shape", format!("{} (z, y, x)", by(&self.shape))),
            ("channels", self.channel_list()),
            ("dtype", self.dtype.to_owned()),
            ("axes on disk", self.axes.to_owned()),
            ("voxel size", voxel_size(self.voxel_size_nm)),
            ("chunk", by(&self.chunk_shape)),
            ("shard", self.shard_shape.as_ref().map_or("none".into(), by)),
            ("codecs", codecs),
            ("scales", scales.join(", ")),
            ("bytes", format!("{} ({})", self.bytes, DecimalBytes(self.bytes))),
        ];
        writeln!(f, "{}", self.name)?;
        rows.iter().try_for_each(|(name, value)| writeln!(f, "  {name:<13} {value}"))
    }
}

/// The scales; that of a plain volume is as the volume itself.
fn scales(metadata: &Metadata) -> Vec<ScaleDescription> {
    let mut scales: Vec<ScaleDescription> = metadata.scales.iter().map(Into::into).collect();
    if let [only] = &mut scales[..] {
        only.voxel_size_nm = metadata.voxel_size.map(|size| size.nm_zyx);
    }
    scales
}

fn by([z, y, x]: &[u64; 3]) -> String {
    format!("{z} x {y} x {x}")
}

fn voxel_size(nm_zyx: Option<[f64; 3]>) -> String {
    match nm_zyx {
        Some([z, y, x]) => format!("{z} x {y} x {x} nm (z, y, x)"),
        None => "unknown".to_owned(),
    }
}
