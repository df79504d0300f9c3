//! `exavox segment`: flood-filling-network segmentation of an image volume.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use exavox_compute::Precision;
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, OpenOptions, Volume};
use exavox_pipeline::Error;
use exavox_pipeline::segment::{
    Request, Seeds, SegmentReport, SegmentRun, SegmentSettings, segment,
};
use serde::Serialize;

mod subvolumes;

use self::subvolumes::SubvolumeArgs;
use crate::context::Context;
use crate::exit_status::ExitStatus;
use crate::failure::Hint;
use crate::model_args::ModelArgs;
use crate::values;

/// Segment an image with a flood-filling network.
///
/// Writes LABELS, and beside it STEM.segments.csv (a line per segment), STEM.report.html (open it
/// in a browser) and STEM.counters.txt (what google/ffn counts). Settings come from flags, then from --config or --request, then from those that
/// were published with the FIB-25 weights. Seed policies, masks of places and of seeds, and shift masks
/// are chosen in --config or --request: docs/segmentation.md lists them.
///
/// An image that does not fit into memory is cut into subvolumes that overlap; each is segmented on its
/// own, segments are linked where they overlap, and LABELS (.zarr, .n5, .precomputed) get one label space
/// of 64 bits and a pyramid of scales. What is done is kept in a folder .LABELS.job: a run that was killed
/// goes on when it is started again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image; with --request, the request's own unless given here.
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// The labels to write (.zarr, .npy, .tif, .raw); with --request, labels.zarr in the request's
    /// output directory unless given here.
    #[arg(value_name = "LABELS")]
    labels: Option<String>,
    /// Trained weights: prefix of a TensorFlow checkpoint, a .safetensors file, or a file of flax (.msgpack,
    /// .flax).
    #[arg(long, value_name = "CHECKPOINT")]
    model: Option<PathBuf>,
    /// Settings in TOML.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "request")]
    config: Option<PathBuf>,
    /// Settings as google/ffn's InferenceRequest in protobuf text form.
    #[arg(long, value_name = "FILE.pbtxt")]
    request: Option<PathBuf>,
    /// Part to segment: z0:z1,y0:y1,x0:x1 in voxels, half open; an end may be left out.
    #[arg(long, value_name = "REGION")]
    roi: Option<BoundingBox>,
    /// Labels of an earlier run, a volume of the image's shape: they stay, with their ids; new segments
    /// take none of their voxels and have larger ids. For one subvolume.
    #[arg(long, value_name = "VOLUME")]
    init_segmentation: Option<String>,
    /// Write the probability of each labelled voxel too, uint8: (value - 0.5) / 255, 0 = no label. For
    /// one subvolume.
    #[arg(long, value_name = "VOLUME")]
    probabilities: Option<String>,
    /// Replace results that exist, once the new ones are whole.
    #[arg(long)]
    overwrite: bool,
    /// Fields of view that a device gets at once. Objects of later seeds are then begun before their turn,
    /// and thrown away if an earlier one takes their place: labels are the same whatever N is [default: one
    /// for each subvolume that is segmented at the same time].
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// How often the state of one subvolume is saved in .LABELS.checkpoint; the same command goes on with
    /// it after a kill. 0 = never.
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = interval)]
    checkpoint_interval: Interval,
    #[command(flatten)]
    network: ModelArgs,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    subvolumes: SubvolumeArgs,
}

/// `None` is never.
#[derive(Debug, Clone, Copy)]
struct Interval(Option<Duration>);

fn interval(text: &str) -> Result<Interval, String> {
    let seconds = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    let seconds = seconds.ok_or_else(|| format!("expected seconds from 0 on, found '{text}'"))?;
    Ok(Interval(Some(seconds).filter(|s| !s.is_zero())))
}

/// Settings one by one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Flags {
    /// Channel to segment, by number.
    #[arg(long, value_name = "N")]
    channel: Option<usize>,
    /// Channels for a network of several, in its order, by number; seeds are found in the first.
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "channel")]
    channels: Vec<usize>,
    /// Scale of a pyramid to read, 0 = finest.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) scale: usize,
    /// Start at this voxel instead of the seed policy's; can be repeated.
    #[arg(long = "seed", value_name = "Z,Y,X", value_parser = values::position_zyx)]
    seeds: Vec<[u64; 3]>,
    /// Field of view of the network, voxels, odd.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    fov: Option<[usize; 3]>,
    /// How far the field of view moves in one go.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    deltas: Option<[usize; 3]>,
    /// How exactly the network is computed. fast: products of 16-bit numbers where the device is
    /// quicker with them; labels then differ a little from those of google/ffn.
    #[arg(long, value_name = "exact|fast", value_parser = values::precision)]
    precision: Option<Precision>,
    /// Subtracted from the image; one for each of the channels, or one for all.
    #[arg(long, value_name = "VALUE", value_delimiter = ',', allow_negative_numbers = true)]
    image_mean: Vec<f32>,
    /// The image is divided by it; one for each of the channels, or one for all.
    #[arg(long, value_name = "VALUE", value_delimiter = ',')]
    image_stddev: Vec<f32>,
    /// Probability given to the seed voxel.
    #[arg(long, value_name = "P")]
    init_activation: Option<f32>,
    /// Probability of voxels not looked at yet.
    #[arg(long, value_name = "P")]
    pad_value: Option<f32>,
    /// The field of view moves to voxels of at least this probability.
    #[arg(long, value_name = "P")]
    move_threshold: Option<f32>,
    /// Voxels of at least this probability are written.
    #[arg(long, value_name = "P")]
    segment_threshold: Option<f32>,
    /// Disco rule: above this share of a field of view; below 0 = off.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    disco_seed_threshold: Option<f32>,
    /// Seeds closer than this to a segment are skipped.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::sizes_zyx)]
    min_boundary_dist: Option<[usize; 3]>,
    /// Segments of fewer voxels are dropped.
    #[arg(long, value_name = "VOXELS")]
    min_segment_size: Option<usize>,
}

/// Segments, and tells what came of it.
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<ExitStatus> {
    let inputs = inputs(&args, context)?;
    let options = OpenOptions::default().with_scale(args.flags.scale);
    let image = Volume::open_with(&inputs.image, &options)?;
    let device = context.open_device()?.with_batch(args.batch());
    if let Some(job) = subvolumes::planned(&args, &inputs, &image, &device, context)? {
        return job.run(&device, context);
    }
    let run = SegmentRun {
        target: inputs.labels,
        probabilities: args.probabilities.clone(),
        mode: if args.overwrite { WriteMode::Overwrite } else { WriteMode::CreateNew },
        device,
        memory_bytes: context.memory_bytes(),
        checkpoint_interval: args.checkpoint_interval.0,
    };
    if run.device.all().count() > 1 {
        let name = run.device.name();
        context.printer.note(&format!("one subvolume uses one device: {name}; see --subvolume"));
    }
    let report = segment(&image, &inputs.settings, &run, &context.observer).map_err(hinted)?;
    context.printer.summary(&Summary(report))?;
    Ok(ExitStatus::Done)
}

/// How to get rid of what an earlier run has left, where that is in the way.
fn hinted(error: Error) -> anyhow::Error {
    let is_other_plan = matches!(error, Error::PlanChanged { .. });
    let error = anyhow::Error::new(error);
    if is_other_plan {
        return error
            .context(Hint("remove that file to begin again, or give the settings of before"));
    }
    error
}

impl Args {
    fn batch(&self) -> Option<usize> {
        self.batch.map(NonZeroUsize::get)
    }
}

struct Inputs {
    image: String,
    labels: String,
    settings: SegmentSettings,
}

fn inputs(args: &Args, context: &Context) -> anyhow::Result<Inputs> {
    let (mut image, mut labels) = (None, None);
    let mut settings = match (&args.config, &args.request) {
        (Some(path), _) => SegmentSettings::from_toml(path)?,
        (_, Some(path)) => {
            let request = Request::open(path)?;
            request.notes.iter().for_each(|note| context.printer.note(&format!("note: {note}")));
            image = request.image;
            labels = request.output_directory.map(|d| d.join("labels.zarr").display().to_string());
            request.settings
        }
        _ => SegmentSettings::new(""),
    };
    args.network.apply(&mut settings.architecture);
    args.flags.apply(&mut settings);
    if let Some(model) = &args.model {
        settings.checkpoint.clone_from(model);
    }
    settings.roi = args.roi;
    if args.init_segmentation.is_some() {
        settings.init_segmentation.clone_from(&args.init_segmentation);
    }
    if settings.checkpoint.as_os_str().is_empty() {
        bail!("no checkpoint is given; expected --model, or one in --config or --request");
    }
    let Some(image) = args.image.clone().or(image) else { bail!("no IMAGE is given") };
    let Some(labels) = args.labels.clone().or(labels) else {
        bail!("no LABELS to write are given")
    };
    Ok(Inputs { image, labels, settings })
}

impl Flags {
    pub(super) fn apply(&self, settings: &mut SegmentSettings) {
        let inference = &mut settings.inference;
        set(&mut settings.channel, self.channel);
        set(&mut settings.model.fov_zyx, self.fov);
        set(&mut settings.model.deltas_zyx, self.deltas);
        set(&mut settings.precision, self.precision);
        set(&mut inference.init_activation, self.init_activation);
        set(&mut inference.pad_value, self.pad_value);
        set(&mut inference.move_threshold, self.move_threshold);
        set(&mut inference.segment_threshold, self.segment_threshold);
        set(&mut inference.disco_seed_threshold, self.disco_seed_threshold);
        set(&mut inference.min_boundary_dist_zyx, self.min_boundary_dist);
        set(&mut inference.min_segment_size, self.min_segment_size);
        settings.set_channels(&self.channels);
        settings.set_means(&self.image_mean);
        settings.set_stddevs(&self.image_stddev);
        if !self.seeds.is_empty() {
            settings.seeds = Seeds::Points(self.seeds.clone());
        }
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Summary(SegmentReport);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        let percent = 100.0 * report.labelled_fraction;
        writeln!(f, "{} segments, {percent:.2} % of the voxels labelled", report.segments)?;
        let (steps, seconds) = (report.fov_steps, report.seconds);
        writeln!(f, "{steps} steps in {seconds:.1} s on {}", report.device)?;
        if report.wasted_steps > 0 {
            writeln!(f, "{} more steps in vain", report.wasted_steps)?;
        }
        if let Some(joined) = &report.joined {
            let (parts, refusals) = (joined.local_segments, &joined.refusals);
            let others = refusals.too_small + refusals.fraction_too_low + refusals.not_mutual_best;
            writeln!(
                f,
                "{} subvolumes with {parts} segments: {} links, {others} pairs not linked, {} conflicts",
                joined.subvolumes, joined.links, refusals.conflicts
            )?;
        }
        writeln!(f, "labels: {}", report.target)?;
        writeln!(f, "table:  {}", report.table.display())?;
        if let Some(probabilities) = &report.probabilities {
            writeln!(f, "probabilities: {probabilities}")?;
        }
        writeln!(f, "counters: {}", report.counters.display())?;
        write!(f, "report: {}", report.report.display())
    }
}
