//! From labels to agglomerated labels: decision points, pairs, sets of labels, labels.

use std::time::Instant;

use exavox_compute::ffn::Network;
use exavox_io::{BoundingBox, Volume, VolumeWriter, WriteOptions};

use super::blockwise::{BlockSize, write_labels};
use super::inputs::label_dtype;
use super::outputs::Outputs;
use super::pair_table::{equivalence_columns, pair_columns};
use super::plan::run_plan;
use super::scene::Scene;
use super::stages::{pairs, points, sets};
use super::work::{Work, folder_of};
use super::{AgglomerateReport, AgglomerateRun, AgglomerateSettings, Points, report};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::label_volume::{check_integers, check_shape, read_labels};
use crate::progress::{Event, Observer};
use crate::segment::inference::{network_on_device, open_model};
use crate::segment::{OpenMasks, region_of};
use crate::union::{LabelSlice, MAX_ID};

/// Agglomerates labels: pairs of segments that are close are segmented again around the point between
/// them, and become one if both runs agree. Labels keep the smallest number of their set.
///
/// What is done is kept in a folder `.NAME.agglomerate` beside the target, so that a run that was killed
/// goes on when it is started again; the folder goes at the end. A set of pairs is one if its pairs are
/// linked, however many lie between two segments.
///
/// Cost: for each pair the steps of two floods in a block of `2 radius + 1` voxels along each axis. Memory:
/// that of decision points, some 60 bytes for each voxel of such a block, and some 400 bytes for each pair.
///
/// # Errors
/// [`crate::Error::Settings`] if labels and image differ in shape, labels are not integers, or a setting is out
/// of range; [`crate::Error::PlanChanged`] if what is there was begun with other settings; whatever image,
/// checkpoint, device or disk say.
pub fn agglomerate(
    labels: &Volume,
    image: &Volume,
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
    observer: &dyn Observer,
) -> Result<AgglomerateReport> {
    // Everything that can be refused is refused before the weights are read.
    check(labels, image, settings)?;
    let model = open_model(&settings.segment)?;
    let mut network = network_on_device(&model, &settings.segment, &run.device, observer)?;
    agglomerate_with(network.as_mut(), labels, image, settings, run, observer)
}

/// As [`agglomerate`], with a network of the caller's.
///
/// # Errors
/// As [`agglomerate`].
pub fn agglomerate_with(
    network: &mut dyn Network,
    labels: &Volume,
    image: &Volume,
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
    observer: &dyn Observer,
) -> Result<AgglomerateReport> {
    check(labels, image, settings)?;
    folder_of(&run.target)?;
    same_place::refuse(labels.name(), &run.target)?;
    same_place::refuse(image.name(), &run.target)?;
    let voxel_size = labels.metadata().voxel_size.or(image.metadata().voxel_size);
    let write = WriteOptions::new(label_dtype(labels), labels.shape())
        .with_voxel_size(voxel_size)
        .with_mode(run.mode);
    let outputs = Outputs::create(&run.target, write, &settings.rule, run.pairs_format)?;
    let plan = run_plan(Some(labels), image, settings)?;
    let work = Work::open(&run.target, plan)?;
    let report = merge(network, labels, image, settings, run, (&work, outputs), observer)?;
    work.finish(run.keep_work)?;
    Ok(report)
}

pub(super) fn check(
    labels: &Volume,
    image: &Volume,
    settings: &AgglomerateSettings,
) -> Result<BoundingBox> {
    settings.check()?;
    settings.segment.check()?;
    check_integers(labels)?;
    let region = region_of(image.name(), image.shape(), &settings.segment)?;
    let part = match settings.segment.roi {
        Some(_) => format!("{} at {region}", image.name()),
        None => image.name().to_owned(),
    };
    check_shape((labels.name(), labels.shape()), (&part, region.shape()))?;
    Ok(region)
}

/// The stages after the labels.
pub(super) fn merge(
    network: &mut dyn Network,
    labels: &Volume,
    image: &Volume,
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
    (work, outputs): (&Work, Outputs),
    observer: &dyn Observer,
) -> Result<AgglomerateReport> {
    let started = Instant::now();
    let region = check(labels, image, settings)?;
    warn_of_rule(settings, observer);
    let points = points(labels, image, settings, run, work, observer)?;
    check_labels(labels, &points)?;
    let voxel_size_zyx = points.voxel_size_zyx;
    let masks = &OpenMasks::open(&settings.segment, image)?;
    let scene = Scene { labels, image, masks, region, voxel_size_zyx, settings };
    let (records, before) = pairs(&scene, &points, network, work, observer)?;
    let roots = sets(&records, settings, work, observer)?;

    let mut report = AgglomerateReport::of_pairs(&points, &records, settings, &run.target);
    report.pairs_done_before = before;
    report.agglomerated_labels = points.labels - roots.renamings().len() as u64;
    report.device = network.device_name();
    [report.pairs_table, report.equivalences, report.report] = outputs.files.paths().clone();
    report.seconds = started.elapsed().as_secs_f64();
    let html = report::html(&scene, &report, &records)?;
    let size = BlockSize::within(Some(run.memory_bytes));
    let writer = write_merged(labels, &roots, &outputs, size, observer)?;
    let columns = pair_columns(&records, &settings.rule, &points.distance_unit);
    outputs.files.write(work, &columns, &equivalence_columns(roots.renamings()), &html)?;
    outputs.check()?;
    // From here on until the folder goes, a run that goes on may replace what is there.
    work.begin_placing(&settings.rule)?;
    // The labels come last: where they are, the rest is too.
    outputs.files.commit(work)?;
    writer.finish()?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Refuses pairs of which no sets can be made before any of them is segmented again.
fn check_labels(labels: &Volume, points: &Points) -> Result<()> {
    // Of a pair that is the larger label.
    match points.points.iter().map(|point| point.id_b).find(|id| *id >= MAX_ID) {
        Some(id) => {
            let message = format!("labels of pairs: expected at most 2^63 - 1, found {id}");
            Err(Error::settings(labels.name(), message))
        }
        None => Ok(()),
    }
}

/// The labels as they have become, not yet in their place.
fn write_merged(
    labels: &Volume,
    roots: &LabelSlice,
    outputs: &Outputs,
    size: BlockSize,
    observer: &dyn Observer,
) -> Result<VolumeWriter> {
    let options = &outputs.options;
    let writer = VolumeWriter::create(&outputs.target, options)?;
    write_labels(&writer, (options.shape, options.dtype), size, observer, |block| {
        let mut values = read_labels(labels, block)?;
        for run in values.chunk_by_mut(|a, b| a == b) {
            run.fill(roots.root(run[0]));
        }
        Ok(values)
    })?;
    Ok(writer)
}

/// A rule that asks for less than the second run does says nothing about pairs without one.
fn warn_of_rule(settings: &AgglomerateSettings, observer: &dyn Observer) {
    let (wanted, needed) = (settings.rule.min_consistency, settings.segment_recovery_fraction);
    if settings.terminate_early && wanted < needed {
        let message = format!(
            "min_consistency {wanted} is below segment_recovery_fraction {needed}: pairs whose first run has less \
             than that of a segment get no second run and stay apart; expected terminate_early = false \
             (--both-runs), or a smaller segment_recovery_fraction"
        );
        observer.notify(&Event::Warning(&message));
    }
}
