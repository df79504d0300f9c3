//! A whole training: from its first step, or from where it was, to its end.

use std::path::PathBuf;
use std::time::Instant;

use exavox_compute::ComputeDevice;
use serde::Serialize;

use super::config::TrainConfig;
use super::folder::{Folder, StartMode, checkpoint_name};
use super::learner::{MakeLearner, Trainers};
use super::session::Session;
use super::validation::Validated;
use crate::blocks::StopFlag;
use crate::demo::settings_toml;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// Settings for `segment --config`, beside the checkpoints.
const SETTINGS: &str = "segment.toml";
/// The curves.
pub(super) const CURVES: &str = "curves.html";

/// Which checkpoint the settings for `segment` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Select {
    /// The last one.
    #[default]
    Last,
    /// The one with the lowest variation of information in the validation.
    Best,
}

/// What a run may use, and how it begins and ends.
#[derive(Debug, Clone)]
pub struct TrainRun {
    /// Devices, each with a part of the batch; validation is on the first.
    pub devices: Vec<ComputeDevice>,
    /// What to do with a training that is there already.
    pub start: StartMode,
    /// Bytes of memory to stay below: examples are made ahead as it allows, and what cannot fit is
    /// refused. Memory of GPUs is not counted.
    pub memory_bytes: u64,
    /// Which checkpoint is used afterwards.
    pub select: Select,
    /// Set by someone who wants it to end: it writes a checkpoint first.
    pub stop: StopFlag,
}

/// What a training gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct TrainReport {
    /// Folder with everything.
    pub output: PathBuf,
    /// Whether it went to its end.
    pub complete: bool,
    /// Steps so far.
    pub steps: u64,
    /// Fields of view trained on so far.
    pub fovs: u64,
    /// Labelled voxels of the volumes, if they were counted.
    pub labelled_voxels: Option<u64>,
    /// Steps whose loss or gradient was not finite.
    pub bad_steps: u64,
    /// Mean loss of the last line of the table.
    pub loss: Option<f64>,
    /// F1 score of the last line of the table.
    pub f1: Option<f64>,
    /// Wall-clock time of training, of earlier runs too.
    pub seconds: f64,
    /// Fields of view a second, of this run.
    pub fovs_per_second: f64,
    /// Device that took the last step.
    pub device: String,
    /// The checkpoint that the settings name.
    pub checkpoint: PathBuf,
    /// Settings for `exavox segment --config`.
    pub settings: PathBuf,
    /// Curves.
    pub curves: PathBuf,
    /// The best checkpoint of the validation.
    pub best: Option<Validated>,
}

/// Trains a network; writes checkpoints, tables, curves, and settings that segment with the result.
///
/// # Errors
/// [`Error::Settings`] with the volume, the axis, the tensor or the key that is wrong; if the loss is not
/// finite for too long; what volumes, devices and disks say.
pub fn train(config: &TrainConfig, run: &TrainRun, observer: &dyn Observer) -> Result<TrainReport> {
    let options = config.optimizer.options();
    let model = config.model.config();
    let maker = Trainers { model, options, devices: run.devices.clone() };
    train_with(&maker, config, run, observer)
}

/// As [`train`], with a maker of learners.
pub(super) fn train_with(
    maker: &dyn MakeLearner,
    config: &TrainConfig,
    run: &TrainRun,
    observer: &dyn Observer,
) -> Result<TrainReport> {
    if run.select == Select::Best && config.validation.is_none() {
        return Err(Error::settings("--select best", "expected [validation] in the configuration"));
    }
    let folder = Folder::open(&config.run.output, run.start)?;
    let mut session = Session::open(maker, config, run, &folder, observer)?;
    let (total, unit) = session.ending().total();
    observer.notify(&Event::Started { stage: "train", total, unit });
    let started = Instant::now();
    let before = session.progress().fovs;
    let ended = session.run();
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "train", seconds });
    ended?;
    let mut report = session.report();
    report.fovs_per_second = (report.fovs - before) as f64 / seconds.max(1e-9);
    let step = match (run.select, &report.best) {
        (Select::Best, Some(best)) => best.step,
        _ => report.steps,
    };
    report.checkpoint = folder.join(&format!("{}.safetensors", checkpoint_name(step)));
    if !report.checkpoint.exists() {
        let message = "the checkpoint has been removed";
        return Err(Error::settings(report.checkpoint.display().to_string(), message));
    }
    write_settings(config, &folder, step)?;
    Ok(report)
}

/// Writes the settings that segment with a checkpoint.
pub(super) fn write_settings(config: &TrainConfig, folder: &Folder, step: u64) -> Result<()> {
    let mut settings = config.settings();
    settings.checkpoint = PathBuf::from(format!("{}.safetensors", checkpoint_name(step)));
    let text = settings_toml(&settings);
    Ok(exavox_io::staging::write_whole(&folder.join(SETTINGS), text.as_bytes())?)
}

impl TrainReport {
    /// A report of a folder, with nothing known yet.
    pub(super) fn empty(folder: &Folder) -> Self {
        Self {
            output: folder.path().to_owned(),
            complete: false,
            steps: 0,
            fovs: 0,
            labelled_voxels: None,
            bad_steps: 0,
            loss: None,
            f1: None,
            seconds: 0.0,
            fovs_per_second: 0.0,
            device: String::new(),
            checkpoint: PathBuf::new(),
            settings: folder.join(SETTINGS),
            curves: folder.join(CURVES),
            best: None,
        }
    }
}
