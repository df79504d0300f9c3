//! The table of all segments, without holding it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use exavox_io::staging::{Staged, WriteMode};

use super::Segment;
use super::places::Places;
use super::record::{CounterRecord, SubvolumeRecord};
use crate::error::{Error, Result};
use crate::records::{ExternalSort, Record, RecordReader, RecordWriter, Scratch};
use crate::segment::outputs::ROWS_IN_REPORT;
use crate::union::LabelMap;

/// What is counted of a segment of the volume.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct SegmentCount {
    pub(super) id: u64,
    /// In the output.
    pub(super) voxels: u64,
    /// Of the network, for all of its parts.
    pub(super) steps: u64,
    /// Segments of subvolumes that it was put together of.
    pub(super) parts: u64,
}

impl Record for SegmentCount {
    const KIND: &'static str = "segment";
}

/// Sums over all subvolumes.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) counters: CounterRecord,
    pub(super) devices: BTreeSet<String>,
    pub(super) local_segments: u64,
    pub(super) stage_seconds: [f64; 3],
    /// Time of accepted objects.
    pub(super) valid_seconds: f64,
    /// Shortest and longest time of a subvolume.
    pub(super) seconds: [f64; 2],
}

/// What the table holds.
#[derive(Debug, Default)]
pub(super) struct TableSummary {
    pub(super) segments: u64,
    pub(super) voxels: u64,
    /// Rows of the largest segments, these first.
    pub(super) largest: Vec<Vec<String>>,
}

/// Names of the columns.
pub(super) const HEADER: [&str; 7] =
    ["id", "seed_z", "seed_y", "seed_x", "steps", "voxels", "parts"];

/// Adds up what is known of the subvolumes; `members` gets a count for each of their segments.
pub(super) fn totals(
    step: &Segment,
    places: &Places,
    map: &LabelMap,
    members: &Path,
) -> Result<Totals> {
    let mut totals = Totals { seconds: [f64::INFINITY, 0.0], ..Totals::default() };
    let mut writer = RecordWriter::create(members)?;
    for subvolume in 0..step.subvolumes.len() {
        let record = SubvolumeRecord::read(&places.record(subvolume))?;
        let roots = map.range(step.ids.range_of_block(subvolume))?;
        for origin in &record.origins {
            let id = roots.root(step.ids.id(subvolume, origin.label.into())?);
            writer.push(SegmentCount { id, voxels: 0, steps: origin.steps, parts: 1 })?;
        }
        totals.add(record);
    }
    writer.finish_unsynced()?;
    Ok(totals)
}

impl Totals {
    fn add(&mut self, record: SubvolumeRecord) {
        let seconds = record.seconds();
        self.counters.add(&record.counters);
        self.local_segments += record.origins.len() as u64;
        self.valid_seconds += record.origins.iter().map(|origin| origin.seconds).sum::<f64>();
        self.seconds = [self.seconds[0].min(seconds), self.seconds[1].max(seconds)];
        for (sum, seconds) in self.stage_seconds.iter_mut().zip(record.stage_seconds) {
            *sum += seconds;
        }
        self.devices.insert(record.device);
    }
}

/// Counts of all segments, in ascending order of their ids: of `members`, and of the blocks of the output.
pub(super) fn sorted_counts(
    step: &Segment,
    places: &Places,
    members: PathBuf,
    scratch: &Scratch,
    memory_bytes: u64,
) -> Result<PathBuf> {
    let mut inputs = vec![members];
    inputs.extend((0..step.grid.len()).map(|block| places.counts(block)));
    let sorted = scratch.path("segments");
    let add = |sum: &mut SegmentCount, more: &SegmentCount| {
        sum.voxels += more.voxels;
        sum.steps += more.steps;
        sum.parts += more.parts;
    };
    ExternalSort::new(scratch.folder(), memory_bytes, |count: &SegmentCount| count.id)
        .with_combine(&add)
        .run_unsynced(&inputs, &sorted)?;
    Ok(sorted)
}

/// Writes a line for each segment that has a voxel in the output; the seed is that of the part that gave
/// the segment its id.
pub(super) fn write_table(
    step: &Segment,
    places: &Places,
    counts: &Path,
    path: &Path,
) -> Result<TableSummary> {
    let staged = Staged::new(path, WriteMode::Overwrite)?;
    let io = |e: std::io::Error| Error::from(exavox_io::Error::io(exavox_io::Place::path(path), e));
    let file = std::fs::File::create(staged.path()).map_err(io)?;
    let mut out = BufWriter::new(file);
    writeln!(out, "{}", HEADER.join(",")).map_err(io)?;
    let mut seeds = Seeds { step, places, current: None };
    let mut summary = TableSummary::default();
    let mut largest = BinaryHeap::new();
    for count in RecordReader::<SegmentCount>::open(counts)? {
        let count = count?;
        // Its voxels lie outside of the core, and it was linked to none.
        if count.voxels == 0 {
            continue;
        }
        let row = row(&count, seeds.of(count.id)?);
        writeln!(out, "{}", row.join(",")).map_err(io)?;
        summary.segments += 1;
        summary.voxels += count.voxels;
        largest.push((Reverse(count.voxels), count.id, row));
        if largest.len() > ROWS_IN_REPORT {
            largest.pop();
        }
    }
    out.flush().map_err(io)?;
    drop(out);
    staged.commit_synced()?;
    summary.largest = largest.into_sorted_vec().into_iter().map(|(_, _, row)| row).collect();
    Ok(summary)
}

fn row(count: &SegmentCount, [z, y, x]: [u64; 3]) -> Vec<String> {
    let columns = [count.id, z, y, x, count.steps, count.voxels, count.parts];
    columns.map(|value| value.to_string()).to_vec()
}

/// Seeds of segments by ascending ids: one subvolume is held at a time.
struct Seeds<'a> {
    step: &'a Segment,
    places: &'a Places,
    current: Option<(u64, SubvolumeRecord)>,
}

impl Seeds<'_> {
    fn of(&mut self, id: u64) -> Result<[u64; 3]> {
        let (subvolume, label) = self.step.ids.split(id);
        let record = match self.current.take() {
            Some((number, record)) if number == subvolume => record,
            _ => SubvolumeRecord::read(&self.places.record(subvolume))?,
        };
        let found = label.checked_sub(1).and_then(|at| record.origins.get(at as usize));
        let seed = found.map(|origin| origin.seed_zyx);
        self.current = Some((subvolume, record));
        seed.ok_or_else(|| {
            let message = format!("damaged: expected segment {label} in it, found none");
            Error::settings(self.places.record(subvolume).display().to_string(), message)
        })
    }
}
