//! From labels to agglomerated labels: decision points, pairs, sets of labels, labels.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::Network;
use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, Volume, WriteOptions};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::blockwise::{BlockSize, write_labels};
use super::inputs::{check_integers, check_shape, label_dtype, read_labels};
use super::outputs::{Outputs, equivalences_csv, pairs_csv};
use super::pair::Scene;
use super::record::PairLog;
use super::work::{Work, folder_of, plan, value};
use super::{AgglomerateSettings, AgglomerateTable, PairRecord, Points, find_points, report};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::ledger::Plan;
use crate::progress::{Event, Observer, Unit};
use crate::records::RecordWriter;
use crate::segment::inference::{network_on_device, open_model};
use crate::segment::{InferenceTable, ModelTable, OpenMasks, region_of};
use crate::union::{Edge, LabelMap, LabelSlice, union};

/// Memory for the sets of labels.
const UNION_BYTES: u64 = 256 << 20;

/// Where results go, and what a run may use.
#[derive(Debug, Clone)]
pub struct AgglomerateRun {
    /// Labels, any format that can be written.
    pub target: String,
    /// What to do with results that are there already.
    pub mode: WriteMode,
    /// The device of the network.
    pub device: ComputeDevice,
    /// Memory that may be used, bytes.
    pub memory_bytes: u64,
    /// Whether the folder of work stays when all is done: another run then need not segment pairs again,
    /// even if it has another rule.
    pub keep_work: bool,
}

impl AgglomerateRun {
    /// A run that creates its results, may use three quarters of the memory, and keeps nothing else.
    pub fn new(target: impl Into<String>, device: ComputeDevice) -> Self {
        let memory_bytes = exavox_io::Limits::default().max_region_bytes;
        let (target, mode) = (target.into(), WriteMode::CreateNew);
        Self { target, mode, device, memory_bytes, keep_work: false }
    }
}

/// What an agglomeration gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AgglomerateReport {
    /// Labels written.
    pub target: String,
    /// Table of pairs written: the merge graph.
    pub pairs_table: PathBuf,
    /// Table of labels that became others.
    pub equivalences: PathBuf,
    /// Report written.
    pub report: PathBuf,
    /// Labels before.
    pub labels: u64,
    /// Labels after.
    pub agglomerated_labels: u64,
    /// Pairs of segments that are close.
    pub pairs: u64,
    /// Pairs that were segmented again by an earlier run.
    pub pairs_done_before: u64,
    /// Pairs that are one.
    pub merged_pairs: u64,
    /// Pairs that are not, by reason.
    pub refused_pairs: BTreeMap<String, u64>,
    /// Distance up to which segments were paired.
    pub max_distance: f64,
    /// Steps of the network in all, those of earlier runs too.
    pub fov_steps: u64,
    /// Device that ran the last step.
    pub device: String,
    /// Wall-clock time of this run.
    pub seconds: f64,
}

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
/// [`Error::Settings`] if labels and image differ in shape, labels are not integers, or a setting is out
/// of range; [`Error::PlanChanged`] if what is there was begun with other settings; whatever image,
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
    let outputs = Outputs::create(&run.target, &write)?;
    let plan = run_plan(("labels", labels.name()), image, settings)?;
    let work = Work::open(&run.target, plan)?;
    let report = merge(network, labels, image, settings, run, (&work, outputs), observer)?;
    work.finish(run.keep_work)?;
    Ok(report)
}

/// Everything that the runs of a pair depend on.
pub(super) fn run_plan(
    labels: (&str, &str),
    image: &Volume,
    settings: &AgglomerateSettings,
) -> Result<Plan> {
    let segment = &settings.segment;
    let region = region_of(image.name(), image.shape(), segment)?;
    plan(vec![
        (labels.0, value(&labels.1)),
        ("image", value(&image.name())),
        ("scale", value(&image.scale())),
        ("region", value(&region.to_string())),
        ("model", value(&ModelTable::of(segment))),
        ("inference", value(&InferenceTable::of(segment))),
        ("masks", value(&segment.masks)),
        ("seed_masks", value(&segment.seed_masks)),
        ("shift_mask", value(&segment.shift_mask)),
        ("agglomerate", value(&AgglomerateTable::of_runs(settings))),
    ])
}

fn check(labels: &Volume, image: &Volume, settings: &AgglomerateSettings) -> Result<BoundingBox> {
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
    let points = points(labels, image, settings, run, work, observer)?;
    let voxel_size_zyx = points.voxel_size_zyx;
    let masks = &OpenMasks::open(&settings.segment, image)?;
    let scene = Scene { labels, image, masks, region, voxel_size_zyx, settings };
    let (records, before) = pairs(&scene, &points, network, work, observer)?;
    let roots = sets(&records, settings, work, observer)?;

    let mut report = summary(&points, &records, settings, run);
    report.pairs_done_before = before;
    report.agglomerated_labels = points.labels - roots.renamings().len() as u64;
    report.device = network.device_name();
    let Outputs { writer, dtype, shape, files } = outputs;
    report.pairs_table.clone_from(&files.pairs);
    report.equivalences.clone_from(&files.equivalences);
    report.report.clone_from(&files.report);
    report.seconds = started.elapsed().as_secs_f64();
    let html = report::html(&scene, &report, &records)?;
    let pairs = pairs_csv(&files.pairs, &records, &settings.rule)?;
    let equivalences = equivalences_csv(&files.equivalences, roots.renamings())?;
    let size = BlockSize::within(Some(run.memory_bytes));
    write_labels(&writer, (shape, dtype), size, observer, |block| {
        let mut values = read_labels(labels, block)?;
        for run in values.chunk_by_mut(|a, b| a == b) {
            run.fill(roots.root(run[0]));
        }
        Ok(values)
    })?;
    // The labels come last: where they are, the rest is too.
    files.write(&pairs, &equivalences, &html)?;
    writer.finish()?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// The decision points, from an earlier run if it has got so far.
fn points(
    labels: &Volume,
    image: &Volume,
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
    work: &Work,
    observer: &dyn Observer,
) -> Result<Points> {
    let path = work.path("points.json");
    let place = || path.display().to_string();
    if path.exists() {
        let bytes = std::fs::read(&path).map_err(exavox_io::Error::at(&path))?;
        return serde_json::from_slice(&bytes).map_err(|e| {
            Error::settings(place(), format!("damaged: {e}; remove it to find the points again"))
        });
    }
    let mut options = settings.points;
    options.memory_bytes = options.memory_bytes.or(Some(run.memory_bytes / 2));
    let points = find_points(labels, Some(image), &options, observer)?;
    let bytes = serde_json::to_vec(&points).map_err(|e| Error::settings(place(), e.to_string()))?;
    exavox_io::staging::write_whole(&path, &bytes)?;
    Ok(points)
}

/// All pairs in order of the points, and how many of them were done before.
fn pairs(
    scene: &Scene<'_>,
    points: &Points,
    network: &mut dyn Network,
    work: &Work,
    observer: &dyn Observer,
) -> Result<(Vec<PairRecord>, u64)> {
    let (mut log, records) = PairLog::open(&work.path("pairs.jsonl"))?;
    let mut done: FxHashMap<[u64; 2], PairRecord> = records
        .into_iter()
        .map(|record| ([record.point.id_a, record.point.id_b], record))
        .collect();
    let started = Instant::now();
    let total = points.points.len() as u64;
    observer.notify(&Event::Started { stage: "pairs", total, unit: Unit::Pairs });
    let (mut records, mut before, mut merged, mut steps) = (Vec::new(), 0, 0_u64, 0_u64);
    for point in &points.points {
        let record = match done.remove(&[point.id_a, point.id_b]) {
            Some(record) => {
                before += 1;
                record
            }
            None => {
                let record = scene.evaluate(point, network)?;
                log.append(&record)?;
                steps += record.steps;
                record
            }
        };
        merged += u64::from(record.refusal(&scene.settings.rule).is_none());
        let note = format!("{merged} merged, {steps} steps");
        observer.notify(&Event::Advanced { by: 1, note: &note });
        records.push(record);
    }
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "pairs", seconds });
    Ok((records, before))
}

/// What labels become: the sets that the pairs that are one make.
fn sets(
    records: &[PairRecord],
    settings: &AgglomerateSettings,
    work: &Work,
    observer: &dyn Observer,
) -> Result<LabelSlice> {
    let (edges, sets) = (work.path("edges"), work.path("sets"));
    let mut writer = RecordWriter::create(&edges)?;
    for record in records.iter().filter(|r| r.refusal(&settings.rule).is_none()) {
        writer.push(Edge { a: record.point.id_a, b: record.point.id_b })?;
    }
    writer.finish()?;
    union(&[edges], work.folder(), &sets, UNION_BYTES, observer)?;
    LabelMap::open(&sets)?.range(0..u64::MAX)
}

fn summary(
    points: &Points,
    records: &[PairRecord],
    settings: &AgglomerateSettings,
    run: &AgglomerateRun,
) -> AgglomerateReport {
    let mut refused_pairs = BTreeMap::new();
    for reason in records.iter().filter_map(|record| record.refusal(&settings.rule)) {
        *refused_pairs.entry(reason).or_insert(0) += 1;
    }
    AgglomerateReport {
        target: run.target.clone(),
        pairs_table: PathBuf::new(),
        equivalences: PathBuf::new(),
        report: PathBuf::new(),
        labels: points.labels,
        agglomerated_labels: points.labels,
        pairs: records.len() as u64,
        pairs_done_before: 0,
        merged_pairs: records.len() as u64 - refused_pairs.values().sum::<u64>(),
        refused_pairs,
        max_distance: points.max_distance,
        fov_steps: records.iter().map(|record| record.steps).sum(),
        device: String::new(),
        seconds: 0.0,
    }
}
