//! `exavox demo`: the whole way, from voxels to projections and an evaluated segmentation, on input
//! that the program makes itself.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, Error as IoError, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::demo::{
    Baseline, CHANNELS, Synthetic, TRAINED_NETWORK, best_threshold, settings_toml, touching_tubes,
    trained_settings,
};
use exavox_pipeline::evaluate::{EvaluateOptions, EvaluateReport, evaluate};
use exavox_pipeline::picture::{Picture, Rgb};
use exavox_pipeline::project::{ProjectOptions, project};
use exavox_pipeline::report::{Overlay, overlay_slices};
use exavox_pipeline::segment::{SegmentReport, SegmentRun, SegmentSettings, segment};
use serde::Serialize;

use crate::context::Context;
use crate::exit_status::ExitStatus;

#[cfg(feature = "train")]
mod training;

/// Voxels of the volume, z, y, x: large enough to look at, small enough for a minute.
const SHAPE: [usize; 3] = [48, 80, 128];
/// Seed of the volume; those of the volumes to train on are others.
const SEED: u64 = 1;

/// Make a synthetic volume of tubes that touch, project it, segment it with a network that exavox has
/// trained on other tubes, and compare with the labels that are known.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory for everything.
    #[arg(value_name = "DIRECTORY", default_value = "exavox-demo")]
    directory: PathBuf,
    /// Replace what an earlier demo left there.
    #[arg(long)]
    overwrite: bool,
    /// Write volumes with labels to train on, and train.toml for exavox train, instead.
    #[cfg(feature = "train")]
    #[arg(long)]
    training: bool,
}

/// Runs each step as its own command would, and tells how to repeat it.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let started = Instant::now();
    let mode = if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew };
    let demo = Demo { directory: args.directory, mode, context };
    #[cfg(feature = "train")]
    if args.training {
        return training::run(&demo);
    }
    let made = touching_tubes(SHAPE, SEED)?;
    demo.write_input(&made)?;
    demo.project()?;
    let settings = demo.write_settings()?;
    let segmentation = demo.segment(&settings)?;
    let evaluation = demo.evaluate()?;
    let baseline = best_threshold(&made.channels[0], &made.labels)?;
    demo.write_overview(&made)?;
    let directory = demo.directory.clone();
    let seconds = started.elapsed().as_secs_f64();
    context.printer.summary(&Summary { directory, seconds, segmentation, evaluation, baseline })?;
    Ok(ExitStatus::Done)
}

struct Demo<'a> {
    directory: PathBuf,
    mode: WriteMode,
    context: &'a Context,
}

impl Demo<'_> {
    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn open(&self, name: &str) -> anyhow::Result<Volume> {
        Ok(Volume::open(&self.path(name))?)
    }

    fn write_input(&self, made: &Synthetic) -> anyhow::Result<()> {
        let names = CHANNELS.map(str::to_owned).to_vec();
        self.write("image.zarr", &made.channels, names, made)?;
        self.write("truth.zarr", std::slice::from_ref(&made.labels), vec!["labels".into()], made)
    }

    fn write(
        &self,
        name: &str,
        channels: &[Voxels],
        names: Vec<String>,
        made: &Synthetic,
    ) -> anyhow::Result<()> {
        let shape = channels[0].shape().map(|s| s as u64);
        let options = WriteOptions::new(channels[0].dtype(), shape)
            .with_channels(names)
            .with_voxel_size(Some(made.voxel_size))
            .with_mode(self.mode);
        let writer = VolumeWriter::create(&self.path(name), &options)?;
        for (channel, voxels) in channels.iter().enumerate() {
            writer.write(channel, [0; 3], voxels)?;
        }
        Ok(writer.finish()?)
    }

    fn project(&self) -> anyhow::Result<()> {
        let mut options = ProjectOptions::default();
        options.mode = self.mode;
        options.threads = self.context.threads;
        let (source, target) = (self.open("image.zarr")?, self.path("max_{channel}.png"));
        project(&source, &target, &options, &self.context.observer)?;
        Ok(())
    }

    fn write_settings(&self) -> anyhow::Result<SegmentSettings> {
        let mut settings = trained_settings();
        settings.checkpoint = self.directory.join("network.safetensors");
        let path = &settings.checkpoint;
        fs::write(path, TRAINED_NETWORK).map_err(IoError::at(path))?;
        let path = self.directory.join("segment.toml");
        fs::write(&path, settings_toml(&settings)).map_err(IoError::at(&path))?;
        Ok(settings)
    }

    fn segment(&self, settings: &SegmentSettings) -> anyhow::Result<SegmentReport> {
        let run = SegmentRun {
            target: self.path("labels.zarr"),
            probabilities: None,
            mode: self.mode,
            device: self.context.open_device()?,
            memory_bytes: self.context.memory_bytes(),
            checkpoint_interval: None,
        };
        Ok(segment(&self.open("image.zarr")?, settings, &run, &self.context.observer)?)
    }

    fn evaluate(&self) -> anyhow::Result<EvaluateReport> {
        let (labels, truth) = (self.open("labels.zarr")?, self.open("truth.zarr")?);
        Ok(evaluate(&labels, &truth, &EvaluateOptions::default(), &self.context.observer)?)
    }

    /// Projection in colours, a slice of the image, and the labels over it, side by side.
    fn write_overview(&self, made: &Synthetic) -> anyhow::Result<()> {
        let labels = self.open("labels.zarr")?;
        let labels = labels.read(0, &BoundingBox::whole(labels.shape()))?;
        let image = &made.channels[0];
        let overlay = |labels: &Voxels| -> anyhow::Result<_> {
            let size = Some(made.voxel_size);
            Ok(overlay_slices(&Overlay { image, labels, origin: [0; 3], voxel_size: size })?)
        };
        let [plain, ..] = overlay(&Voxels::zeros(labels.dtype(), labels.shape())?)?;
        let [coloured, ..] = overlay(&labels)?;
        let pictures = [self.composite()?, plain.picture, coloured.picture];
        let path = self.directory.join("overview.png");
        let png = Picture::row(&pictures, 4).enlarged(2).to_png()?;
        Ok(fs::write(&path, png).map_err(IoError::at(&path))?)
    }

    /// The maximum projections: tubes in green and blue, spots in red, membranes as a faint grey.
    fn composite(&self) -> anyhow::Result<Picture> {
        let mut planes = Vec::new();
        for channel in CHANNELS {
            let volume = self.open(&format!("max_{channel}.png"))?;
            planes.push(volume.read(0, &BoundingBox::whole(volume.shape()))?.to_f32());
        }
        let [_, height, width] = SHAPE;
        Ok(Picture::from_fn(width, height, |y, x| {
            let [membrane, tubes, spots] = [0, 1, 2].map(|c| planes[c][y * width + x]);
            let grey = (membrane - 150.0).max(0.0) * 0.3;
            let colour = [spots + grey, 0.8 * tubes + grey, 0.5 * tubes + 0.4 * spots + grey];
            Rgb(colour.map(|c| c.clamp(0.0, 255.0) as u8))
        }))
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    directory: PathBuf,
    seconds: f64,
    evaluation: EvaluateReport,
    /// Threshold and connected components on the same volume.
    baseline: Option<Baseline>,
    segmentation: SegmentReport,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directory, found) = (self.directory.display(), &self.segmentation);
        let labels = Path::new(&found.target).display();
        let EvaluateReport { voi_split, voi_merge, adapted_rand_error, truth_labels, .. } =
            self.evaluation;
        writeln!(f, "{} segments, {truth_labels} tubes, {:.1} s", found.segments, self.seconds)?;
        let mut row = |name: &str, [split, merge, error]: [f64; 3]| {
            let voi = split + merge;
            writeln!(
                f,
                "{name:22} VOI {voi:.3} (split {split:.3}, merge {merge:.3}), adapted Rand error {error:.3}"
            )
        };
        row("trained network:", [voi_split, voi_merge, adapted_rand_error])?;
        if let Some(b) = &self.baseline {
            row("threshold, components:", [b.voi_split, b.voi_merge, b.adapted_rand_error])?;
        }
        writeln!(
            f,
            "look at:  {directory}/overview.png and, in a browser, {}",
            found.report.display()
        )?;
        writeln!(f, "repeat each step:")?;
        writeln!(f, "  exavox info {directory}/image.zarr")?;
        writeln!(
            f,
            "  exavox project {directory}/image.zarr '{directory}/max_{{channel}}.png' --overwrite"
        )?;
        writeln!(
            f,
            "  exavox segment {directory}/image.zarr {labels} --config {directory}/segment.toml --overwrite"
        )?;
        write!(f, "  exavox evaluate {labels} {directory}/truth.zarr")
    }
}
