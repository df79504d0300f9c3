//! The stages of an agglomeration: decision points, pairs, sets of labels. Each goes on from what the folder
//! of work has of it.

use exavox_compute::ffn::Network;
use exavox_io::Volume;
use rustc_hash::FxHashMap;

use super::record::Log;
use super::scene::Scene;
use super::work::Work;
use super::{AgglomerateRun, AgglomerateSettings, PairRecord, Points, find_points};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};
use crate::records::RecordWriter;
use crate::union::{Edge, LabelMap, LabelSlice, union};

/// Memory for the sets of labels.
const UNION_BYTES: u64 = 256 << 20;

/// The decision points, from an earlier run if it has got so far.
pub(super) fn points(
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
pub(super) fn pairs(
    scene: &Scene<'_>,
    points: &Points,
    network: &mut dyn Network,
    work: &Work,
    observer: &dyn Observer,
) -> Result<(Vec<PairRecord>, u64)> {
    let (mut log, records) = Log::<PairRecord>::open(&work.path("pairs.jsonl"))?;
    let mut done: FxHashMap<[u64; 2], PairRecord> = records
        .into_iter()
        .map(|record| ([record.point.id_a, record.point.id_b], record))
        .collect();
    let total = points.points.len() as u64;
    crate::labelling::stage(observer, "pairs", total, Unit::Pairs, || {
        let (mut records, mut before, mut merged, mut steps) = (Vec::new(), 0, 0_u64, 0_u64);
        for point in &points.points {
            let known = done.remove(&[point.id_a, point.id_b]);
            before += u64::from(known.is_some());
            let record = match known {
                Some(record) => record,
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
        Ok((records, before))
    })
}

/// What labels become: the sets that the pairs that are one make.
pub(super) fn sets(
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
    LabelMap::open(&sets)?.range(..)
}
