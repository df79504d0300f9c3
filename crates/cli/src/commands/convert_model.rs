//! `exavox convert-model`: checkpoints of networks as safetensors files.

use std::fmt;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::{ArchitectureOptions, ModelConfig, TrainedModel, features_text};
use exavox_io::volume::WriteMode;
use exavox_pipeline::convert_model::{ModelReport, convert_model, describe_model};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::model_args::ModelArgs;
use crate::values;

/// Convert the checkpoint of a network to a safetensors file that says what the network is.
///
/// Reads TensorFlow checkpoints of google/ffn, files of flax (.msgpack, .flax, or the prefix of a checkpoint
/// of clu) and .safetensors. `exavox info CHECKPOINT` only shows what is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The checkpoint.
    #[arg(value_name = "CHECKPOINT")]
    source: PathBuf,
    /// The file to write.
    #[arg(value_name = "TARGET.safetensors")]
    target: PathBuf,
    /// Replace a file that exists, once the new one is whole.
    #[arg(long)]
    overwrite: bool,
    /// Field of view that the operations of a step are counted for.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    fov: Option<[usize; 3]>,
    #[command(flatten)]
    model: ModelArgs,
}

/// Converts, and tells what the network is.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut options = ArchitectureOptions::default();
    args.model.apply(&mut options);
    let mode = if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
    let model = convert_model(&args.source, &args.target, &options, mode)?;
    let mut report = describe_model(&model, &args.source, fov(args.fov));
    report.target = Some(args.target.display().to_string());
    context.printer.summary(&Description(report))?;
    Ok(ExitStatus::Done)
}

/// Shows what a checkpoint holds.
pub(crate) fn show(checkpoint: &Path, context: &Context) -> anyhow::Result<ExitStatus> {
    let model = TrainedModel::open(checkpoint, &ArchitectureOptions::default())?;
    let report = describe_model(&model, checkpoint, fov(None));
    context.printer.answer(&Description(report))?;
    Ok(ExitStatus::Done)
}

fn fov(given: Option<[usize; 3]>) -> [usize; 3] {
    given.unwrap_or(ModelConfig::default().fov_zyx)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Description(ModelReport);

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(r) = self;
        let mut rows = vec![
            ("architecture", r.architecture.clone()),
            ("depth", format!("{}, {} convolutions each", r.depth, r.num_convs)),
            ("features", features_text(&r.features)),
            ("kernel", by(r.kernel_zyx)),
            ("layer norm", if r.layer_norm { "yes" } else { "no" }.to_owned()),
            ("padding", r.padding.clone()),
            ("output", if r.additive { "change of the seed" } else { "new logits" }.to_owned()),
            ("image", format!("{} channels", r.image_channels)),
            ("parameters", r.parameters.to_string()),
            ("step", step(r)),
        ];
        if let Some(found_in) = &r.found_in {
            rows.push(("found in", found_in.clone()));
        }
        if let Some(target) = &r.target {
            rows.push(("written", target.clone()));
        }
        writeln!(f, "{}", r.checkpoint)?;
        rows.iter().try_for_each(|(name, value)| writeln!(f, "  {name:<13} {value}"))
    }
}

fn step(report: &ModelReport) -> String {
    let fov = by(report.fov_zyx);
    match report.flop_per_fov {
        Some(flop) => format!("{:.2} GFLOP for a field of view of {fov}", flop as f64 / 1e9),
        None => {
            let least = report.lost_zyx.map(|lost| 2 * lost + 1);
            format!("a field of view of {fov} is too small; at least {}", by(least))
        }
    }
}

fn by([z, y, x]: [usize; 3]) -> String {
    format!("{z} x {y} x {x}")
}
