//! The segmentation of one subvolume in memory: voxels, settings and a network in, labels out.

use std::time::Instant;

use exavox_compute::ffn::seed::{NormalisedImage, Scene, SeedPolicy};
use exavox_compute::ffn::{
    self, Canvas, FallbackNetwork, FloodEvent, Network, Restrictor, Weights,
};
use exavox_compute::{ComputeDevice, Error as ComputeError};
use exavox_io::{BoundingBox, VoxelSize, Voxels};

use super::{Seeds, SegmentSettings, initial::InitialLabels};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};

/// What is segmented.
pub(crate) struct Subvolume<'a> {
    /// Its voxels.
    pub(crate) image: &'a Voxels,
    /// Where they lie in the volume.
    pub(crate) region: BoundingBox,
    /// Edge lengths of a voxel, for the seed policy.
    pub(crate) voxel_size: Option<VoxelSize>,
    /// What is masked.
    pub(crate) restrictor: Restrictor,
    /// Whether probabilities are kept.
    pub(crate) keeps_probabilities: bool,
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

/// Segments a subvolume. The labels depend on the arguments alone. Labels of `initial` stay.
///
/// # Errors
/// [`Error::Settings`] if a given seed lies outside; what network and settings say.
pub(crate) fn infer(
    subvolume: Subvolume<'_>,
    initial: Option<InitialLabels>,
    settings: &SegmentSettings,
    network: &mut dyn Network,
    observer: &dyn Observer,
) -> Result<Inferred> {
    let image = subvolume.image;
    // Before there is a canvas: the policy and the canvas never take memory together.
    let labels = initial.as_ref().map(|initial| initial.labels.as_slice());
    let (seeds, seed_seconds) = find_seeds(&subvolume, labels, settings, observer)?;
    let canvas = Canvas::new(image.to_f32(), image.shape(), settings.model, settings.inference)?;
    let mut canvas = canvas.with_restrictor(subvolume.restrictor)?;
    if let Some(InitialLabels { labels, ids }) = initial {
        canvas = canvas.with_segmentation(labels, ids.count())?;
    }
    if subvolume.keeps_probabilities {
        canvas = canvas.with_probabilities();
    }
    let flooding = Instant::now();
    let segmentation = flood(canvas, &seeds, network, observer)?;
    let flood_seconds = flooding.elapsed().as_secs_f64();
    Ok(Inferred { segmentation, seed_seconds, flood_seconds })
}

fn find_seeds(
    subvolume: &Subvolume<'_>,
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
                image: NormalisedImage::new(subvolume.image, &settings.inference),
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

/// The network on a device, with the CPU to take over.
pub(crate) fn network_on_device<'a>(
    weights: &'a Weights,
    settings: &'a SegmentSettings,
    device: &ComputeDevice,
    observer: &'a dyn Observer,
) -> Result<Box<dyn Network + 'a>> {
    let on_cpu = move || -> Result<Box<dyn Network + 'a>, ComputeError> {
        let cpu = ComputeDevice::cpu()?;
        ffn::network_on(weights, &settings.model, &cpu, settings.precision)
    };
    if device.is_cpu() {
        return Ok(on_cpu()?);
    }
    let warn = move |message: &str| observer.notify(&Event::Warning(message));
    match ffn::network_on(weights, &settings.model, device, settings.precision) {
        Ok(first) => Ok(Box::new(FallbackNetwork::new(first, Some(Box::new(on_cpu)), warn))),
        Err(error) => {
            warn(&format!("{error}; the run goes on on the CPU"));
            Ok(on_cpu()?)
        }
    }
}

fn flood(
    canvas: Canvas,
    seeds: &[[usize; 3]],
    network: &mut dyn Network,
    observer: &dyn Observer,
) -> Result<ffn::Segmentation> {
    let started = Instant::now();
    let total = seeds.len() as u64;
    observer.notify(&Event::Started { stage: "flood", total, unit: Unit::Seeds });
    let (mut steps, mut segments, mut settled) = (0, 0, 0);
    let result = ffn::segment_all(canvas, seeds, network, |event| {
        let by = match event {
            FloodEvent::Step { steps: done } => {
                steps = done;
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
        let note = format!("{segments} segments, {steps} steps");
        observer.notify(&Event::Advanced { by, note: &note });
    })?;
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "flood", seconds });
    Ok(result)
}
