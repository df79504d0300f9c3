//! Some of the edges of a file.

use std::ops::Range;

use super::{Edge, MAX_ID};
use crate::error::{Error, Result};
use crate::records::RecordFile;

/// Records of a file that belong to one run.
#[derive(Debug, Clone)]
pub(super) struct Piece<'a> {
    pub(super) file: &'a RecordFile<Edge>,
    pub(super) records: Range<u64>,
}

/// All records of a file.
pub(super) fn whole(file: &RecordFile<Edge>) -> Piece<'_> {
    Piece { file, records: 0..file.len() }
}

impl Piece<'_> {
    /// Number of edges.
    pub(super) fn len(&self) -> u64 {
        self.records.end - self.records.start
    }

    /// Reads the edges in place of those that `edges` holds, and checks their ends.
    pub(super) fn read_into(&self, edges: &mut Vec<Edge>) -> Result<()> {
        edges.clear();
        self.file.append_to(self.records.clone(), edges)?;
        let wrong = |id: u64| id.wrapping_sub(1) >= MAX_ID - 1;
        // One test for all: the place is looked for only when there is something to tell.
        if edges.iter().fold(false, |any, edge| any | wrong(edge.a) | wrong(edge.b)) {
            let found = edges.iter().enumerate().find(|(_, edge)| wrong(edge.a) || wrong(edge.b));
            let (at, Edge { a, b }) =
                found.map_or((0, Edge { a: 0, b: 0 }), |(i, e)| (i as u64, *e));
            let message = format!(
                "edge {}: expected ids from 1 to 2^63 - 1, found {a} and {b}",
                self.records.start + at
            );
            return Err(Error::settings(self.file.path().display().to_string(), message));
        }
        Ok(())
    }
}

/// Cuts pieces so that none has more than `edges`.
pub(super) fn cut<'a>(pieces: &[Piece<'a>], edges: u64) -> Vec<Piece<'a>> {
    runs(pieces, edges).into_iter().flatten().collect()
}

/// Groups of pieces of `edges` together, the last one of fewer.
pub(super) fn runs<'a>(pieces: &[Piece<'a>], edges: u64) -> Vec<Vec<Piece<'a>>> {
    let mut runs = Vec::new();
    let (mut run, mut left) = (Vec::new(), edges);
    for piece in pieces {
        let mut from = piece.records.start;
        while from < piece.records.end {
            let end = piece.records.end.min(from.saturating_add(left));
            run.push(Piece { file: piece.file, records: from..end });
            left -= end - from;
            from = end;
            if left == 0 {
                runs.push(std::mem::take(&mut run));
                left = edges;
            }
        }
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// Edges at some 512 evenly spaced places, 64 in a row: enough to tell how ids are spread.
pub(super) fn sample(pieces: &[Piece<'_>]) -> Result<Vec<Edge>> {
    const PLACES: u64 = 512;
    const IN_A_ROW: u64 = 64;
    let total: u64 = pieces.iter().map(Piece::len).sum();
    let step = (total / PLACES).max(IN_A_ROW);
    let (mut edges, mut row) = (Vec::new(), Vec::new());
    let (mut next, mut before) = (0, 0);
    for piece in pieces {
        while next < before + piece.len() {
            let from = piece.records.start + next - before;
            let records = from..(from + IN_A_ROW).min(piece.records.end);
            Piece { file: piece.file, records }.read_into(&mut row)?;
            edges.append(&mut row);
            next += step;
        }
        before += piece.len();
    }
    Ok(edges)
}
