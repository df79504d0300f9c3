//! Flags that commands with a network share.

use std::path::PathBuf;

use anyhow::bail;
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, OpenOptions, Volume};
use exavox_pipeline::agglomerate::{AgglomerateRun, AgglomerateSettings};
use exavox_pipeline::segment::SegmentSettings;
use exavox_pipeline::table::TableFormat;

use super::super::segment::Flags;
use super::pair_args::{PairArgs, RunArgs};
use crate::context::Context;

/// What `merge`, `all` and `endpoints` share: the network, and the image.
#[derive(Debug, clap::Args)]
pub(super) struct NetworkArgs {
    /// Trained weights: prefix of a TensorFlow checkpoint, or a .safetensors file.
    #[arg(long, value_name = "CHECKPOINT")]
    model: Option<PathBuf>,
    /// Settings in TOML: tables model, inference, seeds, masks, agglomerate.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Part of the image: z0:z1,y0:y1,x0:x1 in voxels, half open; an end may be left out.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    /// Replace results that exist, once the new ones are whole.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    runs: RunArgs,
    #[command(flatten)]
    flags: Flags,
}

/// What `merge` and `all` share.
#[derive(Debug, clap::Args)]
pub(super) struct MergingArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Keep the folder of work: another run with other thresholds of the rule then segments nothing again.
    #[arg(long)]
    keep_work: bool,
    /// How the merge graph is written: STEM.pairs.csv, or STEM.pairs.parquet.
    #[arg(long, value_name = "csv|parquet", value_parser = format, default_value = "csv")]
    pairs_format: TableFormat,
    #[command(flatten)]
    pairs: PairArgs,
}

fn format(text: &str) -> Result<TableFormat, String> {
    [TableFormat::Csv, TableFormat::Parquet]
        .into_iter()
        .find(|format| format.suffix() == text)
        .ok_or_else(|| "expected csv or parquet".to_owned())
}

pub(super) fn mode(overwrite: bool) -> WriteMode {
    if overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew }
}

impl NetworkArgs {
    pub(super) fn settings(&self) -> anyhow::Result<AgglomerateSettings> {
        let mut settings = match &self.config {
            Some(path) => AgglomerateSettings::from_toml(path)?,
            None => AgglomerateSettings::new(SegmentSettings::new("")),
        };
        self.flags.apply(&mut settings.segment);
        self.runs.table().apply(&mut settings);
        if let Some(model) = &self.model {
            settings.segment.checkpoint.clone_from(model);
        }
        settings.segment.roi = self.roi;
        if settings.segment.checkpoint.as_os_str().is_empty() {
            bail!("no checkpoint is given; expected --model, or one in --config");
        }
        Ok(settings)
    }

    pub(super) fn open_image(&self, name: &str) -> anyhow::Result<Volume> {
        let options = OpenOptions::default().with_scale(self.flags.scale);
        Ok(Volume::open_with(name, &options)?)
    }

    pub(super) fn mode(&self) -> WriteMode {
        mode(self.overwrite)
    }
}

impl MergingArgs {
    pub(super) fn settings(&self) -> anyhow::Result<AgglomerateSettings> {
        let mut settings = self.network.settings()?;
        self.pairs.table().apply(&mut settings);
        Ok(settings)
    }

    pub(super) fn open_image(&self, name: &str) -> anyhow::Result<Volume> {
        self.network.open_image(name)
    }

    pub(super) fn run(&self, target: &str, context: &Context) -> anyhow::Result<AgglomerateRun> {
        Ok(AgglomerateRun {
            target: target.to_owned(),
            mode: self.network.mode(),
            device: context.open_device()?,
            memory_bytes: context.memory_bytes(),
            keep_work: self.keep_work,
            pairs_format: self.pairs_format,
        })
    }
}
