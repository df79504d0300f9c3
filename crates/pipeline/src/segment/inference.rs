//! The segmentation of one subvolume in memory: voxels, settings and a network in, labels out.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use exavox_compute::ffn::seed::{NormalisedImage, Scene, SeedPolicy};
use exavox_compute::ffn::{
    self, Canvas, CanvasChannel, Executor, ExecutorOptions, Executors, FallbackNetwork, FloodEvent,
    Network, Restrictor, Segmenter, Steps, TrainedModel,
};
use exavox_compute::{ComputeDevice, Error as ComputeError};
use exavox_io::{BoundingBox, Volume, VoxelSize, Voxels};

use super::checkpoint::{self, Checkpoint};
use super::{ImageChannel, Seeds, SegmentSettings};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};

/// What is segmented.
pub(crate) struct Subvolume {
    /// Its voxels.
    pub(crate) image: Arc<Voxels>,
    /// Further channels for the network.
    pub(crate) more: Vec<CanvasChannel>,
    /// Where they lie in the volume.
    pub(crate) region: BoundingBox,
    /// Edge lengths of a voxel, for the seed policy.
    pub(crate) voxel_size: Option<VoxelSize>,
    /// What is masked.
    pub(crate) restrictor: Restrictor,
    /// Whether probabilities are kept.
    pub(crate) keeps_probabilities: bool,
}

/// The channels behind the first that the network of the settings sees.
pub(crate) fn read_more(
    image: &Volume,
    settings: &SegmentSettings,
    region: &BoundingBox,
) -> Result<Vec<CanvasChannel>> {
    let read = |ImageChannel { number, mean, stddev }| {
        let voxels = Arc::new(image.read(number, region)?);
        Ok(CanvasChannel { voxels, mean, stddev })
    };
    settings.more_channels()?.into_iter().map(read).collect()
}

/// What came of it.
pub(crate) struct Inferred {
    /// Labels, origins with seeds in voxels of the subvolume, counters.
    pub(crate) segmentation: ffn::Segmentation,
    /// Time of the seed policy.
    pub(crate) seed_seconds: f64,
    /// Time of the flood loop.
    pub(crate) flood_seconds: f64,
}

/// Segments a subvolume. The labels depend on subvolume, settings and network alone, not on how many
/// steps are computed at once.
///
/// # Errors
/// [`Error::Settings`] if a given seed lies outside; what network and settings say.
pub(crate) fn infer(
    subvolume: &Subvolume,
    settings: &SegmentSettings,
    steps: &mut dyn Steps,
    observer: &dyn Observer,
) -> Result<Inferred> {
    infer_saved(subvolume, None, settings, steps, None, observer)
}

/// As [`infer`], with labels that are there before, 0 or from 1 on, which stay; going on with what an
/// earlier run has saved, and saving from time to time.
///
/// # Errors
/// As [`infer`]; [`Error::PlanChanged`] if what was saved is of something else.
pub(super) fn infer_saved(
    subvolume: &Subvolume,
    initial: Option<Vec<i32>>,
    settings: &SegmentSettings,
    steps: &mut dyn Steps,
    checkpoint: Option<&mut Checkpoint>,
    observer: &dyn Observer,
) -> Result<Inferred> {
    subvolume.restrictor.check(subvolume.image.shape())?;
    // Before there is a canvas: the policy and the canvas never take memory together.
    let (seeds, seed_seconds) = find_seeds(subvolume, initial.as_deref(), settings, observer)?;
    let place = || checkpoint::plan(subvolume, initial.as_deref(), settings, &seeds);
    let plan = checkpoint.is_some().then(place).transpose()?;
    let canvas = canvas(subvolume, initial, settings)?;
    let flooding = Instant::now();
    let mut segmenter = Segmenter::new(canvas, seeds)?.with_restriction(&subvolume.restrictor);
    let checkpoint = match (checkpoint, plan) {
        (Some(checkpoint), Some(plan)) => {
            segmenter = segmenter.noting_changes();
            checkpoint.begin(plan, &mut segmenter, observer)?;
            Some(checkpoint)
        }
        _ => None,
    };
    let segmentation = flood(segmenter, steps, checkpoint, observer)?;
    let flood_seconds = flooding.elapsed().as_secs_f64();
    Ok(Inferred { segmentation, seed_seconds, flood_seconds })
}

fn canvas(
    subvolume: &Subvolume,
    initial: Option<Vec<i32>>,
    settings: &SegmentSettings,
) -> Result<Canvas> {
    let image = Arc::clone(&subvolume.image);
    let mut canvas = Canvas::new(image, settings.model, settings.inference)?
        .with_more_channels(subvolume.more.clone())?;
    if let Some(labels) = initial {
        canvas = canvas.with_segmentation(labels)?;
    }
    Ok(if subvolume.keeps_probabilities { canvas.with_probabilities() } else { canvas })
}

fn find_seeds(
    subvolume: &Subvolume,
    labels: Option<&[i32]>,
    settings: &SegmentSettings,
    observer: &dyn Observer,
) -> Result<(Vec<[usize; 3]>, f64)> {
    let started = Instant::now();
    let seeds = match &settings.seeds {
        _ if subvolume.restrictor.covers_all() => Vec::new(),
        Seeds::Policy(policy) => {
            let total = subvolume.region.num_voxels();
            observer.notify(&Event::Started { stage: "seeds", total, unit: Unit::Voxels });
            let scene = Scene {
                image: NormalisedImage::new(&subvolume.image, &settings.inference),
                voxel_size_zyx: subvolume.voxel_size.map_or([1.0; 3], |v| v.nm_zyx),
                margin: settings.model.margin(),
                labels,
                restrictor: Some(&subvolume.restrictor),
            };
            let seeds = ffn::seed::find(&inside(policy, &subvolume.region), &scene)?;
            let note = format!("{} seeds", seeds.len());
            observer.notify(&Event::Advanced { by: total, note: &note });
            seeds
        }
        Seeds::Points(points) => relative(points, &subvolume.region)?,
    };
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "seeds", seconds });
    Ok((seeds, seconds))
}

/// A policy whose points are voxels of the region; those outside of it are left out.
fn inside(policy: &SeedPolicy, region: &BoundingBox) -> SeedPolicy {
    match policy {
        SeedPolicy::Points(points) => {
            let of = |p: &[usize; 3]| {
                let at = p.map(|v| v as u64);
                let is_inside = (0..3).all(|a| region.start[a] <= at[a] && at[a] < region.end[a]);
                is_inside.then(|| [0, 1, 2].map(|a| (at[a] - region.start[a]) as usize))
            };
            SeedPolicy::Points(points.iter().filter_map(of).collect())
        }
        SeedPolicy::Reverse(policy) => SeedPolicy::Reverse(Box::new(inside(policy, region))),
        SeedPolicy::Sequence(policies) => {
            SeedPolicy::Sequence(policies.iter().map(|policy| inside(policy, region)).collect())
        }
        other => other.clone(),
    }
}

/// Points of the volume as points of the region.
fn relative(points: &[[u64; 3]], region: &BoundingBox) -> Result<Vec<[usize; 3]>> {
    let inside = |p: &[u64; 3]| (0..3).all(|a| region.start[a] <= p[a] && p[a] < region.end[a]);
    points
        .iter()
        .map(|p| {
            if !inside(p) {
                return Err(Error::settings(
                    format!("seed {p:?}"),
                    format!("lies outside {region}"),
                ));
            }
            Ok([0, 1, 2].map(|a| (p[a] - region.start[a]) as usize))
        })
        .collect()
}

/// The trained network of the settings, which takes as many channels of the image as they name.
///
/// # Errors
/// What the checkpoint says; [`Error::Settings`] if it takes another number of channels, or a larger FOV.
pub(crate) fn open_model(settings: &SegmentSettings) -> Result<TrainedModel> {
    let model = TrainedModel::open(&settings.checkpoint, &settings.architecture)?;
    let place = || settings.checkpoint.display().to_string();
    let (expected, found) = (model.architecture().image_channels, settings.num_channels());
    if expected != found {
        let message = format!(
            "the network takes {expected} channels of the image, {found} are given; choose them with channels"
        );
        return Err(Error::settings(place(), message));
    }
    let fits = model.architecture().check(&settings.model);
    fits.map_err(|error| Error::settings(place(), error.to_string()))?;
    Ok(model)
}

/// The network on a device, with the CPU to take over.
pub(crate) fn network_on_device<'a>(
    model: &'a TrainedModel,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    observer: &'a dyn Observer,
) -> Result<Box<dyn Network + 'a>> {
    let warn = move |message: &str| observer.notify(&Event::Warning(message));
    Ok(network_with(model, settings, device, warn)?)
}

/// One for each device, on a thread of its own, for many subvolumes at once.
pub(crate) fn executors(
    model: &Arc<TrainedModel>,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    threads: usize,
) -> Result<Executors> {
    let options = ExecutorOptions::new(threads).with_batch(device.batch());
    let start = |device: &ComputeDevice| {
        let (model, settings, device) = (Arc::clone(model), settings.clone(), device.clone());
        Executor::start(options, move |warn| network_with(model, &settings, &device, warn))
    };
    Ok(Executors::new(device.all().map(start).collect::<Result<_, _>>()?)?)
}

fn network_with<'a>(
    model: impl Deref<Target = TrainedModel> + 'a,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    mut warn: impl FnMut(&str) + 'a,
) -> Result<Box<dyn Network + 'a>, ComputeError> {
    let (config, precision) = (settings.model, settings.precision);
    let first = (!device.is_cpu()).then(|| ffn::model_on(&model, &config, device, precision));
    let on_cpu = move || -> Result<Box<dyn Network + 'a>, ComputeError> {
        ffn::model_on(&model, &config, &ComputeDevice::cpu()?, precision)
    };
    match first {
        None => on_cpu(),
        Some(Ok(first)) => Ok(Box::new(FallbackNetwork::new(first, Some(Box::new(on_cpu)), warn))),
        Some(Err(error)) => {
            warn(&format!("{error}; the run goes on on the CPU"));
            on_cpu()
        }
    }
}

fn flood(
    mut segmenter: Segmenter<'_>,
    steps: &mut dyn Steps,
    mut checkpoint: Option<&mut Checkpoint>,
    observer: &dyn Observer,
) -> Result<ffn::Segmentation> {
    let started = Instant::now();
    let total = segmenter.num_seeds() as u64;
    observer.notify(&Event::Started { stage: "flood", total, unit: Unit::Seeds });
    let (mut computed, mut segments, mut settled) = (0, 0, 0);
    let mut watch = |event: FloodEvent<'_>| {
        let by = match event {
            FloodEvent::Step { steps } => {
                computed = steps;
                0
            }
            FloodEvent::Seed { settled: now, segments: found } => {
                segments = found;
                let by = now.saturating_sub(settled);
                settled = now;
                by as u64
            }
            FloodEvent::Segment(_) => return,
        };
        let note = format!("{segments} segments, {computed} steps");
        observer.notify(&Event::Advanced { by, note: &note });
    };
    while segmenter.advance(steps, &mut watch)? {
        if let Some(checkpoint) = &mut checkpoint {
            checkpoint.save_if_due(&mut segmenter, steps, &mut watch, observer)?;
        }
        for warning in steps.take_warnings() {
            observer.notify(&Event::Warning(&warning));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "flood", seconds });
    Ok(segmenter.finish())
}
