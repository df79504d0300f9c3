//! Which labels are one: sets of ids from edges between them, in bounded memory.
//!
//! Edges are pairs of ids, `0 < id < 2^63`; ids that edges connect, over however many others, form a set.
//! The result is a file of `(id, root)` in ascending order of `id`, where `root` is the smallest id of the
//! set, for every id of an edge that is not the root itself. It depends on the edges alone: not on their
//! order or repetition, on files, threads or memory.
//!
//! **In memory.** Ids become dense ranks in their own order: they are dealt out to buckets by value, so
//! that the ids of a bucket fit into a core's cache, where a table finds the distinct ones: by place if they
//! lie close together, by hash if not. Ranks are
//! joined without locks (larger root under smaller, path halving), so the smallest member is the root
//! whatever the order. Cost: a few passes over the edges and two random reads of a table of 4 bytes per id
//! for each edge. Memory: 20 bytes for each edge and 12 for each id; 64
//! for each edge at worst, while the tables are made.
//!
//! **Beyond memory.** The edges are read in runs that fit. A run is reduced to the chains of its sets, from
//! each member to the next smaller one, never more edges than before, and these are dealt out by their
//! larger end to parts of the range of ids. Parts are then taken from the highest to the lowest. One that
//! does not fit is reduced and dealt out again. One that fits is solved: its members are linked to the
//! smallest of their set, or to the next member below the part, to which the rest of the chain is handed
//! down. At last, from the lowest part to the highest, links to lower parts are resolved. Each edge is
//! written at most once for each part that its chain goes down through, twice or so where neighbouring
//! blocks have neighbouring ids; each id is written three times, and sorted once.

mod chunk;
mod dense;
mod disjoint_sets;
mod distinct;
mod forest;
mod label_map;
mod largest_sets;
mod parts;
mod piece;
mod ranks;
mod resolve;
mod splitters;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

pub use label_map::{LabelMap, LabelSlice};
pub use largest_sets::{LabelSet, SetStatistics, largest_sets};

use self::forest::{Forest, Receiver};
use self::parts::Parts;
use self::piece::{Piece, whole};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};
use crate::records::{Record, RecordFile, RecordWriter, Scratch};

/// Ids are below this.
pub const MAX_ID: u64 = 1 << 63;
/// The least memory that [`union`] works with.
pub const MIN_MEMORY_BYTES: u64 = 16 << 20;
/// Memory for an edge of a run: 20 for its ends and their buckets; if both are new ids, 8 for their places
/// in the table of sets, and 32 while the ids of all buckets are put together; and some room.
const BYTES_PER_EDGE: u64 = 64;
/// Memory for a file that is being written, among others.
const BYTES_PER_PART: u64 = 40 << 10;

/// Two labels that are one.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Edge {
    /// One of them.
    pub a: u64,
    /// The other.
    pub b: u64,
}

impl Record for Edge {
    const KIND: &'static str = "edge";
}

/// A label and the one it becomes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Renaming {
    /// The label.
    pub id: u64,
    /// The smallest label of its set.
    pub root: u64,
}

impl Record for Renaming {
    const KIND: &'static str = "renaming";
}

/// What was done. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnionReport {
    /// Edges that were read.
    pub edges: u64,
    /// Labels that become another: records of the output.
    pub renamed: u64,
    /// Pieces in which the edges were solved; 1 if they fitted into memory.
    pub parts: u64,
    /// Memory that was allowed.
    pub memory_bytes: u64,
    /// Digest of the output, as [`crate::records::Written::digest`].
    pub digest: u32,
    /// Wall-clock time.
    pub seconds: f64,
    /// Edges over `seconds`.
    pub edges_per_second: f64,
}

/// How much is held in memory at a time.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Edges of a run.
    run_edges: u64,
    /// Parts that a part is cut into.
    fan_out: usize,
    /// Parts that there may be.
    max_parts: u64,
    /// What sorting may take.
    sort_bytes: u64,
}

impl Plan {
    /// Three quarters for a run, one for files.
    fn of(memory_bytes: u64) -> Result<Self> {
        if memory_bytes < MIN_MEMORY_BYTES {
            let message = format!("union needs {MIN_MEMORY_BYTES} bytes, found {memory_bytes}");
            return Err(Error::settings("memory", message));
        }
        let files = memory_bytes / 4;
        let max_parts = files / BYTES_PER_PART;
        Ok(Self {
            // Ranks have 32 bits, and an edge has two ends.
            run_edges: ((memory_bytes - files) / BYTES_PER_EDGE).min(1 << 30),
            fan_out: (max_parts / 4).clamp(2, 64) as usize,
            max_parts,
            sort_bytes: memory_bytes / 2,
        })
    }
}

/// Writes the sets that the edges of `edge_files` make to `output`, a file for [`LabelMap`]. Files of
/// [`Edge`] records; files of work go to `work_dir` and are removed. `memory_bytes` bounds what is held at
/// a time, however many edges and ids there are; that and speed are all that it changes.
///
/// # Errors
/// If a file is damaged or cannot be read or written, or an edge has an end that is no id: nothing is left
/// then. If `memory_bytes` is below [`MIN_MEMORY_BYTES`], or too little for the number of edges (some
/// 10^11 with 1 GiB).
pub fn union(
    edge_files: &[PathBuf],
    work_dir: &Path,
    output: &Path,
    memory_bytes: u64,
    observer: &dyn Observer,
) -> Result<UnionReport> {
    let started = Instant::now();
    let plan = Plan::of(memory_bytes)?;
    let files = edge_files.iter().map(|path| RecordFile::open(path)).collect::<Result<Vec<_>>>()?;
    let edges: u64 = files.iter().map(RecordFile::len).sum();
    let total = edges * size_of::<Edge>() as u64;
    observer.notify(&Event::Started { stage: "union", total, unit: Unit::Bytes });
    let mut writer = RecordWriter::create(output)?;
    let parts = solve(&files, work_dir, &plan, &mut writer, observer)?;
    let written = writer.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    observer.notify(&Event::Finished { stage: "union", seconds });
    Ok(UnionReport {
        edges,
        renamed: written.count,
        parts,
        memory_bytes,
        digest: written.digest,
        seconds,
        edges_per_second: edges as f64 / seconds.max(1e-9),
    })
}

/// Gives the number of parts.
fn solve(
    files: &[RecordFile<Edge>],
    work_dir: &Path,
    plan: &Plan,
    to: &mut RecordWriter<Renaming>,
    observer: &dyn Observer,
) -> Result<u64> {
    let pieces: Vec<Piece<'_>> = files.iter().map(whole).collect();
    if pieces.iter().map(Piece::len).sum::<u64>() > plan.run_edges {
        let scratch = Scratch::new(work_dir, "union")?;
        return Parts::new(&scratch, *plan)?.solve(&pieces, to, observer);
    }
    let advanced = |edges: u64| {
        let by = edges * size_of::<Edge>() as u64;
        observer.notify(&Event::Advanced { by, note: "" });
    };
    Forest::of(&pieces, &advanced)?.sweep(0, &mut Direct(to))?;
    Ok(1)
}

/// All ids are in the one part there is.
struct Direct<'a>(&'a mut RecordWriter<Renaming>);

impl Receiver for Direct<'_> {
    fn link(&mut self, link: Renaming) -> Result<()> {
        self.0.push(link)
    }
}
