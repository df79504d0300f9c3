//! `exavox train`: a flood-filling network from labels.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use exavox_compute::ComputeDevice;
use exavox_pipeline::Observer;
use exavox_pipeline::blocks::StopFlag;
use exavox_pipeline::train::{Select, StartMode, TrainConfig, TrainReport, TrainRun, train};
use serde::Serialize;

use super::job::enter;
use crate::context::Context;
use crate::exit_status::ExitStatus;

mod dashboard;
mod signals;

use dashboard::Dashboard;

/// Train a flood-filling network on images with labels.
///
/// Names in CONFIG.toml are relative to its folder. The folder run.output gets checkpoints
/// (checkpoint-STEP.safetensors, which segment --model takes), training.csv, curves.html (open it in a
/// browser), and segment.toml for segment --config. A run that was killed goes on with --resume, to the
/// same weights as one that was not. Asked to end (Ctrl-C, TERM) it writes a checkpoint; exit status 75.
///
/// docs/training.md says what the configuration holds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to train on what, and how.
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Go on with the latest checkpoint, if there is one.
    #[arg(long)]
    resume: bool,
    /// Remove the checkpoints that are there, and begin anew.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Which checkpoint segment.toml names: the last one, or the one that did best in the validation.
    #[arg(long, value_name = "last|best", default_value = "last", value_parser = select)]
    select: Select,
    /// On a terminal, show progress, curves and validations on a screen of its own. Elsewhere, and with
    /// --quiet or --no-progress, the ordinary lines.
    #[arg(long)]
    dashboard: bool,
}

fn select(text: &str) -> Result<Select, String> {
    match text {
        "last" => Ok(Select::Last),
        "best" => Ok(Select::Best),
        _ => Err("expected last or best".to_owned()),
    }
}

/// Trains, and tells what came of it.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let path =
        std::path::absolute(&args.config).with_context(|| args.config.display().to_string())?;
    let config = TrainConfig::open(&args.config)?;
    enter(path.parent().unwrap_or(Path::new("/")))?;
    let run = TrainRun {
        devices: devices(&config, context)?,
        start: match (args.resume, args.overwrite) {
            (true, _) => StartMode::Resume,
            (_, true) => StartMode::Overwrite,
            _ => StartMode::CreateNew,
        },
        memory_bytes: context.memory_bytes(),
        select: args.select,
        stop: StopFlag::default(),
    };
    let mut report = watched(&config, &run, &args, context)?;
    // Names for people, who are not in the folder of the configuration.
    let folder = args.config.parent().unwrap_or(Path::new(""));
    for path in
        [&mut report.output, &mut report.checkpoint, &mut report.settings, &mut report.curves]
    {
        *path = folder.join(&*path);
    }
    let status = if report.complete { ExitStatus::Done } else { ExitStatus::TryAgain };
    context.printer.summary(&Summary { config: args.config, report })?;
    Ok(status)
}

fn devices(config: &TrainConfig, context: &Context) -> anyhow::Result<Vec<ComputeDevice>> {
    if config.run.devices.is_empty() {
        return Ok(vec![context.open_device()?]);
    }
    let open = |name: &String| -> anyhow::Result<ComputeDevice> {
        context.open_named(name.parse().with_context(|| format!("run.devices: {name}"))?)
    };
    config.run.devices.iter().map(open).collect()
}

/// Trains, with the screen or the lines that are asked for.
fn watched(
    config: &TrainConfig,
    run: &TrainRun,
    args: &Args,
    context: &Context,
) -> anyhow::Result<TrainReport> {
    if !(args.dashboard && cfg!(unix) && context.observer.is_on_terminal()) {
        super::job::stop_first(&run.stop)?;
        return Ok(train(config, run, &context.observer)?);
    }
    signals::stop_first_with_screen(&run.stop)?;
    let screen = Dashboard::open(&config.run.output, &context.observer, context.printer);
    let screen = screen.context("--dashboard: the terminal cannot be used")?;
    let observer: &dyn Observer = &screen;
    Ok(train(config, run, observer)?)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    #[serde(skip)]
    config: PathBuf,
    #[serde(flatten)]
    report: TrainReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = &self.report;
        write!(f, "step {}, {} FOVs in {:.0} s on {}", r.steps, r.fovs, r.seconds, r.device)?;
        if let Some(loss) = r.loss {
            write!(f, ", loss {loss:.4}")?;
        }
        if let Some(f1) = r.f1 {
            write!(f, ", F1 {f1:.3}")?;
        }
        if r.bad_steps > 0 {
            write!(f, ", {} steps without finite gradients", r.bad_steps)?;
        }
        writeln!(f)?;
        if let Some(best) = &r.best {
            writeln!(
                f,
                "best of the validation: step {}, VOI {:.3} (split {:.3}, merge {:.3}), adapted Rand error {:.3}",
                best.step, best.voi, best.voi_split, best.voi_merge, best.adapted_rand_error
            )?;
        }
        writeln!(f, "checkpoint: {}", r.checkpoint.display())?;
        writeln!(f, "curves:     {}", r.curves.display())?;
        if !r.complete {
            return write!(
                f,
                "not at its end; go on with: exavox train {} --resume",
                self.config.display()
            );
        }
        write!(f, "segment:    exavox segment IMAGE LABELS --config {}", r.settings.display())
    }
}
