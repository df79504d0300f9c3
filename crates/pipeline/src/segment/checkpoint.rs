//! A segmentation that was saved in the middle: a file beside the labels, `.LABELS.checkpoint`, with which
//! a run that was killed is gone on with.
//!
//! The first line is a JSON object, what the segmentation depends on. Records follow, each with its length
//! and digest: what has changed since the one before ([`Segmenter::take_changes`]). A record that is torn
//! does not count. The file is locked while a run works with it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exavox_compute::ffn::{FloodEvent, Segmenter, Steps, TrainedModel};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::inference::Subvolume;
use super::{InferenceTable, ModelTable, SegmentSettings};
use crate::blocks::Digest;
use crate::error::{Error, Result};
use crate::job::stamp;
use crate::ledger::{lock, refuse_changes};
use crate::progress::{Event, Observer};
use crate::side_files::hidden_beside;

/// Version of the file.
const VERSION: u32 = 1;
/// Bytes of a first line that are read at most.
const MAX_LINE: u64 = 1 << 20;
/// Length and digest before a record.
const PREFIX: usize = 16;

#[derive(Serialize, Deserialize)]
struct Header {
    exavox_checkpoint: u32,
    plan: Map<String, Value>,
}

/// The file, there or not yet.
pub(super) struct Checkpoint {
    path: PathBuf,
    interval: Duration,
    /// Locked.
    file: Option<File>,
    plan: Map<String, Value>,
    last: Instant,
    /// Nothing more can be saved: a record is missing.
    broken: bool,
}

/// What a segmentation depends on, by names that people know.
pub(super) fn plan(
    subvolume: &Subvolume,
    initial: Option<&[i32]>,
    settings: &SegmentSettings,
    seeds: &[[usize; 3]],
) -> Result<Map<String, Value>> {
    let places = seeds.iter().flatten().flat_map(|p| (*p as u64).to_le_bytes());
    let places: Vec<u8> = places.collect();
    let more: Vec<_> = subvolume.more.iter().map(|c| Digest::of(c.voxels.bytes())).collect();
    let plan = json!({
        "region": subvolume.region.to_string(),
        "image": Digest::of(subvolume.image.bytes()),
        "more_channels": more,
        "type": subvolume.image.dtype().name(),
        "seeds": Digest::of(&places),
        "masks": Digest::of(&subvolume.restrictor.to_bytes()),
        "initial_labels": initial.map(labels_digest),
        "probabilities": subvolume.keeps_probabilities,
        "model": ModelTable::of(settings),
        "inference": InferenceTable::of(settings),
        "checkpoint": weights(settings),
    });
    match plan {
        Value::Object(plan) => Ok(plan),
        other => Err(Error::settings("checkpoint", format!("not an object: {other}"))),
    }
}

/// Piece by piece: bytes of all labels at once would take as much memory as the labels.
fn labels_digest(labels: &[i32]) -> Digest {
    let of = |piece: &[i32]| {
        let bytes: Vec<u8> = piece.iter().flat_map(|label| label.to_le_bytes()).collect();
        Digest::of(&bytes).0.to_le_bytes()
    };
    let digests: Vec<[u8; 8]> = labels.chunks(1 << 20).map(of).collect();
    Digest::of(digests.as_flattened())
}

/// The files of the network, as they are now.
pub(crate) fn weights(settings: &SegmentSettings) -> Vec<String> {
    let names = TrainedModel::files(&settings.checkpoint);
    let stamped = |p: &PathBuf| Some(format!("{}: {}", p.display(), stamp(p)?));
    names.iter().filter_map(stamped).collect()
}

impl Checkpoint {
    /// Of the labels `target`. Nothing is written before the first `interval` has passed.
    ///
    /// # Errors
    /// If another process works with it.
    pub(super) fn open(target: &str, interval: Duration) -> Result<Self> {
        let path = hidden_beside(target, "checkpoint");
        let file = if path.exists() { Some(lock(&path)?) } else { None };
        let (plan, last) = (Map::new(), Instant::now());
        Ok(Self { path, interval, file, plan, last, broken: false })
    }

    /// Puts a segmenter that is at its beginning where the earlier run was, if there was one.
    pub(super) fn begin(
        &mut self,
        plan: Map<String, Value>,
        segmenter: &mut Segmenter<'_>,
        observer: &dyn Observer,
    ) -> Result<()> {
        self.plan = plan;
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut reader = BufReader::new(file);
        let whole = read_header(&self.path, &mut reader, &self.plan)?;
        let mut end = whole;
        while let Some(record) = next_record(&mut reader) {
            segmenter.apply_changes(&record).map_err(|e| damaged(&self.path, &e.to_string()))?;
            end += (PREFIX + record.len()) as u64;
        }
        let file = reader.into_inner();
        file.set_len(end)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(exavox_io::Error::at(&self.path))?;
        if whole == 0 {
            // Torn before it held anything.
            fs::remove_file(&self.path).map_err(exavox_io::Error::at(&self.path))?;
            self.file = None;
        }
        if end > whole {
            let (settled, seeds) = (segmenter.num_settled(), segmenter.num_seeds());
            let path = self.path.display();
            let text = format!("goes on after {settled} of {seeds} seeds, saved in {path}");
            observer.notify(&Event::Warning(&text));
        }
        Ok(())
    }

    /// Appends what has changed, if it is time; `watch` is told of what is settled by the way. A disk that is
    /// full does not end the run.
    ///
    /// # Errors
    /// What `steps`, those of the segmenter, return.
    pub(super) fn save_if_due(
        &mut self,
        segmenter: &mut Segmenter<'_>,
        steps: &mut dyn Steps,
        watch: &mut dyn FnMut(FloodEvent<'_>),
        observer: &dyn Observer,
    ) -> Result<()> {
        if self.broken || self.last.elapsed() < self.interval {
            return Ok(());
        }
        let changes = segmenter.take_changes(steps, watch)?;
        if let Err(error) = self.append(&changes) {
            self.broken = true;
            let text = format!("{error}; nothing more is saved before the end");
            observer.notify(&Event::Warning(&text));
        }
        self.last = Instant::now();
        Ok(())
    }

    fn append(&mut self, changes: &[u8]) -> Result<()> {
        let header = Header { exavox_checkpoint: VERSION, plan: self.plan.clone() };
        let mut before = Vec::new();
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                before = serde_json::to_vec(&header)
                    .map_err(|e| Error::settings(self.path.display().to_string(), e.to_string()))?;
                before.push(b'\n');
                self.file.insert(lock(&self.path)?)
            }
        };
        before.extend((changes.len() as u64).to_le_bytes());
        before.extend(Digest::of(changes).0.to_le_bytes());
        let written = file.write_all(&before).and_then(|()| file.write_all(changes));
        let written = written.and_then(|()| file.sync_data());
        Ok(written.map_err(exavox_io::Error::at(&self.path))?)
    }

    /// The labels are there: nothing is left to go on with.
    pub(super) fn remove(self) -> Result<()> {
        match self.file {
            Some(_) => Ok(fs::remove_file(&self.path).map_err(exavox_io::Error::at(&self.path))?),
            None => Ok(()),
        }
    }
}

/// Length of the first line; 0 if there is none that is whole.
fn read_header(path: &Path, from: &mut impl BufRead, now: &Map<String, Value>) -> Result<u64> {
    let mut line = Vec::new();
    let read = from.take(MAX_LINE).read_until(b'\n', &mut line);
    read.map_err(exavox_io::Error::at(path))?;
    if line.pop() != Some(b'\n') {
        return Ok(0);
    }
    let header: Header = serde_json::from_slice(&line)
        .map_err(|e| damaged(path, &format!("its first line is no header: {e}")))?;
    if header.exavox_checkpoint != VERSION {
        let found = header.exavox_checkpoint;
        return Err(damaged(path, &format!("expected version {VERSION}, found {found}")));
    }
    refuse_changes(path, &header.plan, now)?;
    Ok(line.len() as u64 + 1)
}

/// The next record that is whole.
fn next_record(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut prefix = [[0; 8]; 2];
    from.read_exact(prefix.as_flattened_mut()).ok()?;
    let [length, digest] = prefix.map(u64::from_le_bytes);
    let mut record = Vec::new();
    // Memory is taken as bytes come, not as a torn length says.
    from.take(length).read_to_end(&mut record).ok()?;
    (record.len() as u64 == length && Digest::of(&record).0 == digest).then_some(record)
}

fn damaged(path: &Path, what: &str) -> Error {
    let message = format!("the checkpoint is damaged: {what}; remove it to begin again");
    Error::settings(path.display().to_string(), message)
}
