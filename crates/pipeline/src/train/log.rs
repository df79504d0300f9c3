//! The table of a training, `training.csv`: a line for every so many steps.

use std::fs;
use std::path::Path;

use exavox_io::Error as IoError;
use exavox_io::staging::write_whole;

use super::checkpoint::Progress;
use super::tally::{Figures, Tally};
use crate::error::Result;

/// Name of the table.
pub(super) const TABLE: &str = "training.csv";
/// Bytes of a table that are read at most: ten million lines.
const MAX_BYTES: u64 = 2 << 30;

const HEADER: &str = "step,fovs,seconds,loss,example_loss,accuracy,precision,recall,specificity,f1,\
                      moves_correct,moves_missed,moves_spurious,bad_steps";

/// What curves are drawn from: a line of the table `training.csv`. Not a number where nothing was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// The last step of the line.
    pub step: u64,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Of the voxels of examples that were done: those rightly found, of those found.
    pub precision: f64,
    /// Of those that were to be found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// A line.
pub(super) fn line(progress: &Progress, tally: &Tally) -> String {
    let Figures { loss, example_loss, accuracy, precision, recall, specificity, f1 } =
        tally.figures();
    let figures = [loss, example_loss, accuracy, precision, recall, specificity, f1];
    // What was not counted is left empty.
    let figures = figures.map(|v| if v.is_finite() { format!("{v:.6}") } else { String::new() });
    let moves = tally.moves;
    format!(
        "{},{},{:.1},{},{},{},{},{}",
        progress.step,
        progress.fovs,
        progress.seconds,
        figures.join(","),
        moves.correct,
        moves.missed,
        moves.spurious,
        progress.bad_steps
    )
}

/// The curves' part of a line.
fn point(line: &str) -> Option<CurvePoint> {
    let cells: Vec<&str> = line.split(',').collect();
    let number = |at: usize| cells.get(at).and_then(|cell| cell.parse::<f64>().ok());
    Some(CurvePoint {
        step: cells.first()?.parse().ok()?,
        loss: number(3)?,
        precision: number(6).unwrap_or(f64::NAN),
        recall: number(7).unwrap_or(f64::NAN),
        f1: number(9).unwrap_or(f64::NAN),
    })
}

/// A table whose first cell is a step: its rows in memory, and a file that they are appended to.
#[derive(Debug)]
pub(super) struct Table<T> {
    path: std::path::PathBuf,
    parse: fn(&str) -> Option<T>,
    rows: Vec<T>,
}

impl Table<CurvePoint> {
    /// The training's own table.
    pub(super) fn training(path: &Path, up_to: u64) -> Result<Self> {
        Self::open(path, HEADER, point, up_to)
    }
}

impl<T> Table<T> {
    /// Opens a table, or begins it. Lines after a step, of a run that was killed, are taken off, as is a
    /// last line without an end. Rows are those that `parse` understands.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn open(
        path: &Path,
        header: &str,
        parse: fn(&str) -> Option<T>,
        up_to: u64,
    ) -> Result<Self> {
        let mut text = String::new();
        if path.metadata().is_ok_and(|m| m.len() <= MAX_BYTES) {
            text =
                String::from_utf8_lossy(&fs::read(path).map_err(IoError::at(path))?).into_owned();
        }
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let step = |line: &str| line.split(',').next().and_then(|s| s.parse::<u64>().ok());
        let lines = whole.lines().filter(|line| step(line).is_some_and(|step| step <= up_to));
        let mut kept = format!("{header}\n");
        lines.clone().for_each(|line| kept.extend([line, "\n"]));
        write_whole(path, kept.as_bytes())?;
        Ok(Self { path: path.to_owned(), parse, rows: lines.filter_map(parse).collect() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn add(&mut self, line: &str) -> Result<()> {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(IoError::at(&self.path))?;
        std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes())
            .map_err(IoError::at(&self.path))?;
        self.rows.extend((self.parse)(line));
        Ok(())
    }

    /// All rows.
    pub(super) fn rows(&self) -> &[T] {
        &self.rows
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_a_torn_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.csv");
        let mut table = Table::training(&path, 0).unwrap();
        for step in [100, 200, 300] {
            let mut tally = Tally::default();
            tally.step(0.5);
            let progress = Progress { step, ..Progress::default() };
            table.add(&line(&progress, &tally)).unwrap();
        }
        let columns = |line: &str| line.split(',').count();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(columns(HEADER), columns(text.lines().nth(1).unwrap()));
        let read = table.rows()[1];
        assert!(read.step == 200 && read.loss == 0.5 && read.f1.is_nan());
        let torn = format!("{}250,12,0.", fs::read_to_string(&path).unwrap());
        fs::write(&path, torn).unwrap();
        assert_eq!(Table::training(&path, 250).unwrap().rows().len(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
    }
}
