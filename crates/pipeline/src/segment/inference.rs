//! The segmentation of one subvolume in memory: voxels, settings and a network in, labels out.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use exavox_compute::ffn::{
    self, Canvas, Executor, ExecutorOptions, Executors, FallbackNetwork, FloodEvent, Network,
    Segmenter, Steps, Weights,
};
use exavox_compute::{ComputeDevice, Error as ComputeError};
use exavox_io::{BoundingBox, VoxelSize, Voxels};

use super::checkpoint::{self, Checkpoint};
use super::{Seeds, SegmentSettings};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};

/// What is segmented.
pub(crate) struct Subvolume {
    /// Its voxels.
    pub(crate) image: Arc<Voxels>,
    /// Where they lie in the volume.
    pub(crate) region: BoundingBox,
    /// Edge lengths of a voxel, for the seed policy.
    pub(crate) voxel_size: Option<VoxelSize>,
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
    infer_saved(subvolume, settings, steps, None, observer)
}

/// As [`infer`], going on with what an earlier run has saved, and saving from time to time.
///
/// # Errors
/// As [`infer`]; [`Error::PlanChanged`] if what was saved is of something else.
pub(super) fn infer_saved(
    subvolume: &Subvolume,
    settings: &SegmentSettings,
    steps: &mut dyn Steps,
    checkpoint: Option<&mut Checkpoint>,
    observer: &dyn Observer,
) -> Result<Inferred> {
    let image = Arc::clone(&subvolume.image);
    let canvas = Canvas::new(image, settings.model, settings.inference)?;
    let (seeds, seed_seconds) = find_seeds(&canvas, settings, subvolume, observer)?;
    let flooding = Instant::now();
    let plan = checkpoint.is_some().then(|| checkpoint::plan(subvolume, settings, &seeds));
    let mut segmenter = Segmenter::new(canvas, seeds)?;
    let checkpoint = match (checkpoint, plan) {
        (Some(checkpoint), Some(plan)) => {
            segmenter = segmenter.noting_changes();
            checkpoint.begin(plan?, &mut segmenter, observer)?;
            Some(checkpoint)
        }
        _ => None,
    };
    let segmentation = flood(segmenter, steps, checkpoint, observer)?;
    let flood_seconds = flooding.elapsed().as_secs_f64();
    Ok(Inferred { segmentation, seed_seconds, flood_seconds })
}

fn find_seeds(
    canvas: &Canvas,
    settings: &SegmentSettings,
    subvolume: &Subvolume,
    observer: &dyn Observer,
) -> Result<(Vec<[usize; 3]>, f64)> {
    let started = Instant::now();
    let seeds = match &settings.seeds {
        Seeds::Peaks => {
            let total = subvolume.region.num_voxels();
            observer.notify(&Event::Started { stage: "seeds", total, unit: Unit::Voxels });
            let size = subvolume.voxel_size.map_or([1.0; 3], |v| v.nm_zyx);
            let margin = settings.model.margin();
            let seeds = ffn::seed::peaks(&canvas.normalised_image(), canvas.shape(), size, margin);
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

/// The network on a device, with the CPU to take over.
pub(crate) fn network_on_device<'a>(
    weights: &'a Weights,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    observer: &'a dyn Observer,
) -> Result<Box<dyn Network + 'a>> {
    let warn = move |message: &str| observer.notify(&Event::Warning(message));
    Ok(network_with(weights, settings, device, warn)?)
}

/// One for each device, on a thread of its own, for many subvolumes at once.
pub(crate) fn executors(
    weights: &Arc<Weights>,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    threads: usize,
) -> Result<Executors> {
    let options = ExecutorOptions::new(threads).with_batch(device.batch());
    let start = |device: &ComputeDevice| {
        let (weights, settings, device) = (Arc::clone(weights), settings.clone(), device.clone());
        Executor::start(options, move |warn| network_with(weights, &settings, &device, warn))
    };
    Ok(Executors::new(device.all().map(start).collect::<Result<_, _>>()?)?)
}

fn network_with<'a>(
    weights: impl Deref<Target = Weights> + 'a,
    settings: &SegmentSettings,
    device: &ComputeDevice,
    mut warn: impl FnMut(&str) + 'a,
) -> Result<Box<dyn Network + 'a>, ComputeError> {
    let (model, precision) = (settings.model, settings.precision);
    let first = (!device.is_cpu()).then(|| ffn::network_on(&weights, &model, device, precision));
    let on_cpu = move || -> Result<Box<dyn Network + 'a>, ComputeError> {
        ffn::network_on(&weights, &model, &ComputeDevice::cpu()?, precision)
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
            checkpoint.save_if_due(&mut segmenter, observer);
        }
        for warning in steps.take_warnings() {
            observer.notify(&Event::Warning(&warning));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "flood", seconds });
    Ok(segmenter.finish())
}
