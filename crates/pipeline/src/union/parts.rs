//! Parts of the range of ids, for edges that do not fit into memory.

use std::path::PathBuf;

use super::forest::{Forest, Receiver};
use super::piece::{Piece, runs, sample, whole};
use super::resolve::{Solved, resolve};
use super::{BYTES_PER_PART, Edge, MAX_ID, Plan, Renaming};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};
use crate::records::{Record, RecordFile, RecordWriter, Scratch};

/// Edges whose larger end is at least `low` and below the next part.
#[derive(Debug)]
struct Part {
    low: u64,
    high: u64,
    path: PathBuf,
    edges: RecordWriter<Edge>,
}

/// A part that has to know what a member of a lower part becomes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Question {
    /// The member.
    pub(super) id: u64,
    /// Which of the solved parts asks.
    pub(super) asker: u64,
}

impl Record for Question {
    const KIND: &'static str = "question";
}

/// The work that is left, and what is done.
pub(super) struct Parts<'a> {
    scratch: &'a Scratch,
    plan: Plan,
    /// Parts in ascending order; together all ids below those that are solved.
    waiting: Vec<Part>,
    /// Parts in descending order.
    solved: Vec<Solved>,
    questions: RecordWriter<Question>,
    files: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(scratch: &'a Scratch, plan: Plan) -> Result<Self> {
        let questions = RecordWriter::create(&scratch.path("questions"))?;
        Ok(Self { scratch, plan, waiting: Vec::new(), solved: Vec::new(), questions, files: 0 })
    }

    /// Writes all renamings; gives the number of parts.
    pub(super) fn solve(
        mut self,
        pieces: &[Piece<'_>],
        to: &mut RecordWriter<Renaming>,
        observer: &dyn Observer,
    ) -> Result<u64> {
        self.deal_out(pieces, 1, MAX_ID, &|edges| {
            let by = edges * size_of::<Edge>() as u64;
            observer.notify(&Event::Advanced { by, note: "" });
        })?;
        while let Some(part) = self.waiting.pop() {
            part.edges.finish_unsynced()?;
            let file = RecordFile::open(&part.path)?;
            if file.len() > self.plan.run_edges {
                self.deal_out(&[whole(&file)], part.low, part.high, &|_| {})?;
            } else if !file.is_empty() {
                self.solve_part(&file, part.low)?;
                let note = format!("{} parts", self.solved.len());
                observer.notify(&Event::Advanced { by: 0, note: &note });
            }
            remove(&part.path);
        }
        let parts = self.solved.len() as u64;
        self.questions.finish_unsynced()?;
        resolve(&self.solved, self.scratch, self.plan.sort_bytes, to)?;
        Ok(parts)
    }

    /// Cuts `low..high` into parts and gives them the edges, reduced run by run.
    fn deal_out(
        &mut self,
        pieces: &[Piece<'_>],
        low: u64,
        high: u64,
        advanced: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let mut begin = low;
        for end in bounds(pieces, low, high, self.plan.fan_out)?.into_iter().chain([high]) {
            self.add(begin, end)?;
            begin = end;
        }
        for run in runs(pieces, self.plan.run_edges) {
            // No id is so large: all edges are handed down.
            Forest::of(&run, advanced)?.sweep(MAX_ID, self)?;
        }
        Ok(())
    }

    /// Links the members of a part that fits.
    fn solve_part(&mut self, file: &RecordFile<Edge>, low: u64) -> Result<()> {
        let path = self.scratch.path(format!("links{}", self.solved.len()));
        let forest = Forest::of(&[whole(file)], &|_| {})?;
        let mut links = RecordWriter::create(&path)?;
        forest.sweep(low, &mut SolvedPart { parts: self, links: &mut links })?;
        links.finish_unsynced()?;
        self.check_number(self.solved.len() + 1)?;
        self.solved.push(Solved { low, links: path });
        Ok(())
    }

    fn add(&mut self, low: u64, high: u64) -> Result<()> {
        self.check_number(self.waiting.len() + 1)?;
        self.files += 1;
        let path = self.scratch.path(format!("part{}", self.files));
        let edges = RecordWriter::create_among_many(&path)?;
        self.waiting.push(Part { low, high, path, edges });
        Ok(())
    }

    /// Each part has a file that is being written, when it waits and when it is told of roots.
    fn check_number(&self, parts: usize) -> Result<()> {
        if parts as u64 <= self.plan.max_parts {
            return Ok(());
        }
        let message = format!(
            "too little for this number of edges: expected at most {} parts of {} edges, each of \
             which takes {BYTES_PER_PART} bytes; allow more memory",
            self.plan.max_parts, self.plan.run_edges
        );
        Err(Error::settings("memory", message))
    }
}

impl Receiver for Parts<'_> {
    fn link(&mut self, _link: Renaming) -> Result<()> {
        Ok(())
    }

    fn hand_down(&mut self, edge: Edge) -> Result<()> {
        let after = self.waiting.partition_point(|part| part.low <= edge.a);
        self.waiting[after - 1].edges.push(edge)
    }
}

/// Takes what comes of a part.
struct SolvedPart<'a, 'b> {
    parts: &'a mut Parts<'b>,
    links: &'a mut RecordWriter<Renaming>,
}

impl Receiver for SolvedPart<'_, '_> {
    fn link(&mut self, link: Renaming) -> Result<()> {
        self.links.push(link)
    }

    fn hand_down(&mut self, edge: Edge) -> Result<()> {
        self.parts.hand_down(edge)
    }

    fn ask(&mut self, id: u64) -> Result<()> {
        let asker = self.parts.solved.len() as u64;
        self.parts.questions.push(Question { id, asker })
    }
}

/// Where to cut `low..high` so that the parts get about as many edges, by their larger ends. Cuts at least
/// once if there is more than one id: the part that gets all edges has fewer ids then, and a part of a
/// single id is dissolved by reducing it, because a chain has one edge at most that ends in it.
fn bounds(pieces: &[Piece<'_>], low: u64, high: u64, parts: usize) -> Result<Vec<u64>> {
    let mut ends: Vec<u64> = sample(pieces)?.iter().map(|edge| edge.a.max(edge.b)).collect();
    ends.sort_unstable();
    let inside = |bound: &u64| low < *bound && *bound < high;
    let mut bounds: Vec<u64> = (1..parts).map(|p| ends[p * ends.len() / parts]).collect();
    bounds.dedup();
    bounds.retain(inside);
    if bounds.is_empty() {
        bounds.extend(ends.last().map(|end| end + 1).filter(inside));
    }
    Ok(bounds)
}

/// A file that was read to its end; the folder goes at the end in any case.
fn remove(path: &std::path::Path) {
    let _ = std::fs::remove_file(path);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::progress::Silent;

    /// The textbook's: parents in a map, each path followed to its end.
    fn naive(edges: &[Edge]) -> Vec<Renaming> {
        let mut parents: HashMap<u64, u64> = HashMap::new();
        let root = |parents: &HashMap<u64, u64>, mut id: u64| {
            while let Some(parent) = parents.get(&id).filter(|parent| **parent != id) {
                id = *parent;
            }
            id
        };
        for edge in edges {
            let (a, b) = (root(&parents, edge.a), root(&parents, edge.b));
            for id in [edge.a, edge.b] {
                parents.entry(id).or_insert(id);
            }
            parents.insert(a.max(b), a.min(b));
        }
        let mut all: Vec<Renaming> =
            parents.keys().map(|id| Renaming { id: *id, root: root(&parents, *id) }).collect();
        all.retain(|renaming| renaming.id != renaming.root);
        all.sort();
        all
    }

    fn solved(edges: &[Edge], files: usize, plan: Plan) -> Vec<Renaming> {
        let folder = tempfile::tempdir().unwrap();
        let share = edges.len().div_ceil(files).max(1);
        let written = edges.chunks(share).enumerate().map(|(n, edges)| {
            let path = folder.path().join(n.to_string());
            let mut writer = RecordWriter::create(&path).unwrap();
            writer.extend(edges).unwrap();
            writer.finish_unsynced().unwrap();
            RecordFile::<Edge>::open(&path).unwrap()
        });
        let files: Vec<_> = written.collect();
        let output = folder.path().join("map");
        let mut writer = RecordWriter::create(&output).unwrap();
        super::super::solve(&files, folder.path(), &plan, &mut writer, &Silent).unwrap();
        writer.finish_unsynced().unwrap();
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, files.len() + 1, "files of work are left");
        let file = RecordFile::<Renaming>::open(&output).unwrap();
        file.read(0..file.len()).unwrap()
    }

    fn plan(run_edges: u64, fan_out: usize) -> Plan {
        Plan { run_edges, fan_out, max_parts: 100_000, sort_bytes: 1 << 20 }
    }

    /// Ids of a few blocks, of anywhere, and at the upper end.
    fn id() -> impl Strategy<Value = u64> + Clone {
        prop_oneof![
            1_u64..40,
            (0_u64..6, 1_u64..12).prop_map(|(block, local)| block << 32 | local),
            1..MAX_ID,
            MAX_ID - 9..MAX_ID,
        ]
    }

    fn random() -> impl Strategy<Value = Vec<Edge>> + Clone {
        prop::collection::vec((id(), id()).prop_map(|(a, b)| Edge { a, b }), 0..300)
    }

    /// A path through ids in ascending, descending or mixed order.
    fn chain() -> impl Strategy<Value = Vec<Edge>> + Clone {
        let ids = prop::collection::btree_set(id(), 2..200);
        let ids = ids.prop_map(|ids| ids.into_iter().collect::<Vec<_>>());
        let ascending = ids.clone();
        let descending = ids.clone().prop_map(|ids| ids.into_iter().rev().collect());
        let mixed = ids.prop_shuffle();
        let edges = |ids: Vec<u64>| ids.windows(2).map(|p| Edge { a: p[0], b: p[1] }).collect();
        prop_oneof![ascending, descending, mixed].prop_map(edges)
    }

    /// One id with all others.
    fn star() -> impl Strategy<Value = Vec<Edge>> + Clone {
        let centre = prop_oneof![Just(1), Just(MAX_ID - 1), id()];
        let edge =
            |(a, others): (u64, Vec<u64>)| others.into_iter().map(|b| Edge { a, b }).collect();
        (centre, prop::collection::vec(id(), 1..300)).prop_map(edge)
    }

    /// Graphs one after the other, in whatever order.
    fn graph() -> impl Strategy<Value = Vec<Edge>> + Clone {
        let parts = prop::collection::vec(prop_oneof![random(), chain(), star()], 1..4);
        let edges = parts.prop_map(|parts| parts.concat());
        prop_oneof![edges.clone(), edges.prop_shuffle()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn sets_are_those_of_the_naive_way_whatever_fits(
            edges in graph(),
            files in 1_usize..5,
            run_edges in 12_u64..80,
            fan_out in 2_usize..7,
        ) {
            let expected = naive(&edges);
            prop_assert_eq!(&solved(&edges, files, plan(1 << 20, 2)), &expected);
            prop_assert_eq!(&solved(&edges, files, plan(run_edges, fan_out)), &expected);
        }
    }

    #[test]
    fn too_many_parts_are_refused() {
        let edges: Vec<Edge> = (1..500).map(|a| Edge { a, b: a + 1 }).collect();
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path(), "union").unwrap();
        let path = folder.path().join("edges");
        let mut writer = RecordWriter::create(&path).unwrap();
        writer.extend(&edges).unwrap();
        writer.finish_unsynced().unwrap();
        let file = RecordFile::open(&path).unwrap();
        let plan = Plan { max_parts: 5, ..plan(10, 4) };
        let mut to = RecordWriter::create(&folder.path().join("map")).unwrap();
        let parts = Parts::new(&scratch, plan).unwrap();
        let error = parts.solve(&[whole(&file)], &mut to, &Silent).unwrap_err().to_string();
        assert!(error.contains("allow more memory"), "{error}");
    }
}
