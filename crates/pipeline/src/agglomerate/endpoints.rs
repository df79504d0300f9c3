//! Segments followed beyond their ends: a table of places in, tables of what their runs are out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::Network;
use exavox_io::Volume;
use exavox_io::volume::WriteMode;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::endpoint_tables::Tables;
use super::inputs::{distance_unit, voxel_size_zyx};
use super::merge::check;
use super::plan::run_plan;
use super::record::Log;
use super::scene::Scene;
use super::work::{Work, placing_mode};
use super::{AgglomerateSettings, Endpoint, EndpointRecord};
use crate::convert::same_place;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};
use crate::segment::OpenMasks;
use crate::segment::inference::{network_on_device, open_model};
use crate::table::{Cell, TableReader};

/// Endpoints of a table at most: each of them takes hundreds of steps.
const MOST: usize = 10_000_000;

/// Where results of endpoints go, and what a run may use.
#[derive(Debug, Clone)]
pub struct EndpointRun {
    /// The table to write, a line for each endpoint: CSV, or Parquet if it ends in `.parquet`. Beside it
    /// `STEM.covered.…`, a line for each other segment that a run covers.
    pub target: PathBuf,
    /// What to do with tables that are there already.
    pub mode: WriteMode,
    /// The device of the network.
    pub device: ComputeDevice,
}

/// What endpoints gave. The names are those of `--json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EndpointReport {
    /// Table written.
    pub target: PathBuf,
    /// Table of covered segments written.
    pub covered_table: PathBuf,
    /// Endpoints.
    pub endpoints: u64,
    /// Endpoints that an earlier run has done.
    pub endpoints_done_before: u64,
    /// Those whose segment was recovered.
    pub recovered: u64,
    /// Those whose run covers at least half of another segment, within the box that is compared.
    pub reach_another: u64,
    /// Those without a run.
    pub without_run: u64,
    /// Steps of the network in all, those of earlier runs too.
    pub fov_steps: u64,
    /// Device that ran the last step.
    pub device: String,
    /// Wall-clock time of this run.
    pub seconds: f64,
    /// The endpoints.
    #[serde(skip)]
    pub records: Vec<EndpointRecord>,
}

/// Reads endpoints from a table, CSV or Parquet: columns `id_a` (or `id`), `z`, `y`, `x`, and `id_b`, which may
/// be left out, empty, or 0.
///
/// # Errors
/// [`Error::Settings`] with file and row, expected and found.
pub fn read_endpoints(path: &Path) -> Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    let columns = ["id_a", "id", "z", "y", "x", "id_b"];
    TableReader::new(path, &columns).with_needed(&["z", "y", "x"]).read(|cells| {
        let [id_a, id, z, y, x, id_b] = cells else { return Err("a torn row".to_owned()) };
        if !matches!(id_b, Cell::Empty | Cell::Whole(0)) {
            return Err(format!(
                "id_b: expected 0 or nothing, found {id_b}: a pair is no endpoint"
            ));
        }
        let id = if *id_a == Cell::Empty { id.number("id_a")? } else { id_a.number("id_a")? };
        if id == 0 || endpoints.len() == MOST {
            return Err(format!("expected a label above 0, at most {MOST} of them; found {id}"));
        }
        endpoints
            .push(Endpoint { id, point_zyx: [z.number("z")?, y.number("y")?, x.number("x")?] });
        Ok(())
    })?;
    Ok(endpoints)
}

/// Follows segments beyond their ends, as google/ffn does with points that have no `id_b`: in a block around
/// each point everything is removed, and the network floods from the segment alone.
///
/// What is done is kept in a folder `.NAME.agglomerate` beside the target; a run that was killed goes on when it is
/// started again. Cost: for each endpoint the steps of a flood in a block of `2 radius + 1` voxels along each axis.
/// Memory: some 60 bytes for each voxel of it, and some 400 bytes for each endpoint.
///
/// # Errors
/// [`Error::Settings`] if a point lies outside of the labels, labels and image differ in shape, labels are not
/// integers, or a setting is out of range; [`Error::PlanChanged`] if what is there was begun with others;
/// whatever image, checkpoint, device or disk say.
pub fn extend_endpoints(
    labels: &Volume,
    image: &Volume,
    endpoints: &[Endpoint],
    settings: &AgglomerateSettings,
    run: &EndpointRun,
    observer: &dyn Observer,
) -> Result<EndpointReport> {
    check(labels, image, settings)?;
    check_inside(labels, endpoints)?;
    let model = open_model(&settings.segment)?;
    let mut network = network_on_device(&model, &settings.segment, &run.device, observer)?;
    extend_endpoints_with(network.as_mut(), labels, image, endpoints, settings, run, observer)
}

/// As [`extend_endpoints`], with a network of the caller's.
///
/// # Errors
/// As [`extend_endpoints`].
pub fn extend_endpoints_with(
    network: &mut dyn Network,
    labels: &Volume,
    image: &Volume,
    endpoints: &[Endpoint],
    settings: &AgglomerateSettings,
    run: &EndpointRun,
    observer: &dyn Observer,
) -> Result<EndpointReport> {
    let started = Instant::now();
    let region = check(labels, image, settings)?;
    check_inside(labels, endpoints)?;
    let target = run.target.display().to_string();
    same_place::refuse(labels.name(), &target)?;
    same_place::refuse(image.name(), &target)?;
    let rule = &settings.rule;
    let tables = Tables::create(&run.target, placing_mode(&target, rule, run.mode)?)?;
    let work = Work::open(&target, run_plan(Some(labels), image, settings)?)?;
    let masks = &OpenMasks::open(&settings.segment, image)?;
    let voxel_size_zyx = voxel_size_zyx(&[labels, image], observer);
    let scene = Scene { labels, image, masks, region, voxel_size_zyx, settings };
    let (records, before) = follow(&scene, endpoints, network, &work, observer)?;
    tables.write(&work, &records, distance_unit(&[labels, image]))?;
    tables.check()?;
    work.begin_placing(rule)?;
    tables.commit(&work)?;
    work.finish(false)?;
    let mut report = summary(&run.target, tables.covered(), records);
    report.endpoints_done_before = before;
    report.device = network.device_name();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

fn check_inside(labels: &Volume, endpoints: &[Endpoint]) -> Result<()> {
    let shape = labels.shape();
    for Endpoint { id, point_zyx } in endpoints {
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            if point_zyx[a] >= shape[a] {
                let message = format!(
                    "endpoint of {id}: expected {axis} below {}, found {}",
                    shape[a], point_zyx[a]
                );
                return Err(Error::settings(labels.name(), message));
            }
        }
    }
    Ok(())
}

/// All endpoints in their order, and how many of them were done before.
fn follow(
    scene: &Scene<'_>,
    endpoints: &[Endpoint],
    network: &mut dyn Network,
    work: &Work,
    observer: &dyn Observer,
) -> Result<(Vec<EndpointRecord>, u64)> {
    let (mut log, records) = Log::<EndpointRecord>::open(&work.path("endpoints.jsonl"))?;
    let mut done: FxHashMap<Endpoint, EndpointRecord> =
        records.into_iter().map(|record| (record.endpoint, record)).collect();
    let total = endpoints.len() as u64;
    crate::labelling::stage(observer, "endpoints", total, Unit::Endpoints, || {
        let (mut records, mut before) = (Vec::new(), 0);
        for endpoint in endpoints {
            let known = done.remove(endpoint);
            before += u64::from(known.is_some());
            records.push(match known {
                Some(record) => record,
                None => {
                    let record = scene.extend(*endpoint, network)?;
                    log.append(&record)?;
                    record
                }
            });
            observer.notify(&Event::Advanced { by: 1, note: "" });
        }
        Ok((records, before))
    })
}

fn summary(target: &Path, covered: &Path, records: Vec<EndpointRecord>) -> EndpointReport {
    let count = |holds: &dyn Fn(&EndpointRecord) -> bool| {
        records.iter().filter(|record| holds(record)).count() as u64
    };
    let reaches = |record: &EndpointRecord| {
        record.run.iter().flat_map(|run| &run.covered).any(|other| other.share >= 0.5)
    };
    EndpointReport {
        target: target.to_owned(),
        covered_table: covered.to_owned(),
        endpoints: records.len() as u64,
        endpoints_done_before: 0,
        recovered: count(&|record| record.run.as_ref().is_some_and(|run| run.recovered)),
        reach_another: count(&reaches),
        without_run: count(&|record| record.run.is_none()),
        fov_steps: records.iter().map(|record| record.steps).sum(),
        device: String::new(),
        seconds: 0.0,
        records,
    }
}
