//! `[run]` and `[validation]`: how long, where to, and how it is watched.

use serde::{Deserialize, Serialize};

use super::expect;

/// `[run]`: how long, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunTable {
    /// Folder for checkpoints, tables and curves.
    pub output: String,
    /// Steps of the optimiser. The run ends at the first of the ends that are given.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Minutes of training, of runs before too.
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Fields of view for each labelled voxel; google/ffn advises 1.
    #[serde(default)]
    pub passes: Option<f64>,
    /// A checkpoint after so many steps.
    #[serde(default)]
    pub checkpoint_steps: Option<u64>,
    /// A checkpoint after so many minutes.
    #[serde(default = "five")]
    pub checkpoint_minutes: f64,
    /// Checkpoints that are kept, the best of the validation besides.
    #[serde(default = "ten")]
    pub keep: usize,
    /// Steps in a row without finite loss and gradients after which the run stops.
    #[serde(default = "hundred")]
    pub max_bad_steps: u64,
    /// Steps of a line of the table.
    #[serde(default = "hundred")]
    pub log_steps: u64,
    /// Devices to train on, each with a part of the batch. Left out: that of `--device`.
    #[serde(default)]
    pub devices: Vec<String>,
}

fn five() -> f64 {
    5.0
}

fn ten() -> usize {
    10
}

fn hundred() -> u64 {
    100
}

impl RunTable {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.steps.is_none() && self.minutes.is_none() && self.passes.is_none() {
            return Err("run: expected steps, minutes or passes".to_owned());
        }
        let time = |v: f64| v.is_finite() && v > 0.0 && v < 1e7;
        for (key, value) in [("run.minutes", self.minutes), ("run.passes", self.passes)] {
            let value = value.unwrap_or(1.0);
            expect(key, time(value), "a number above 0", value)?;
        }
        let minutes = self.checkpoint_minutes;
        expect("run.checkpoint_minutes", time(minutes), "a number above 0", minutes)?;
        for (key, value) in [
            ("run.checkpoint_steps", self.checkpoint_steps.unwrap_or(1)),
            ("run.keep", self.keep as u64),
            ("run.max_bad_steps", self.max_bad_steps),
            ("run.log_steps", self.log_steps),
        ] {
            expect(key, value >= 1, "at least 1", value)?;
        }
        Ok(())
    }
}

/// `[validation]`: a region that is segmented with the weights of the moment, and compared with its
/// labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationTable {
    /// The image.
    pub image: String,
    /// Its labels.
    pub labels: String,
    /// The part that is segmented: z0:z1,y0:y1,x0:x1.
    #[serde(default)]
    pub roi: Option<String>,
    /// After so many steps; a checkpoint is written as well.
    pub steps: u64,
}

impl ValidationTable {
    pub(super) fn check(&self) -> Result<(), String> {
        expect("validation.steps", self.steps >= 1, "at least 1", self.steps)
    }
}
