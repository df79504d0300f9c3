//! The list of objects: all of them as CSV, the worst ones for people.

use std::cmp::Reverse;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use exavox_compute::metrics::{Object, Side};
use exavox_io::staging::{Staged, WriteMode};
use serde::Serialize;

use crate::error::{Error, Result};

/// Columns of the CSV file.
const HEADER: [&str; 11] = [
    "side",
    "label",
    "voxels",
    "partners",
    "parts",
    "largest",
    "largest_share",
    "second",
    "second_share",
    "background_share",
    "voi",
];

/// An object of the truth and what splits it, or a label of the prediction and what it merges. The names
/// are those of `--json` and of the CSV file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectRow {
    /// Its label.
    pub label: u64,
    /// Its voxels that count.
    pub voxels: u64,
    /// Labels of the other volume in it, prediction 0 apart.
    pub partners: u64,
    /// Those that hold at least the stated share of its voxels.
    pub parts: u64,
    /// The one with most voxels.
    pub largest: Option<u64>,
    /// Its share of the object's voxels.
    pub largest_share: f64,
    /// The next one.
    pub second: Option<u64>,
    /// Its share.
    pub second_share: f64,
    /// Share of a true object that the prediction leaves out.
    pub background_share: f64,
    /// What it adds to VOI split or merge, bits.
    pub voi: f64,
}

impl From<&Object> for ObjectRow {
    fn from(object: &Object) -> Self {
        let share = |voxels: u64| voxels as f64 / object.voxels as f64;
        Self {
            label: object.label,
            voxels: object.voxels,
            partners: object.partners,
            parts: object.parts,
            largest: object.largest.map(|partner| partner.label),
            largest_share: object.largest_share(),
            second: object.second.map(|partner| partner.label),
            second_share: object.second.map_or(0.0, |partner| share(partner.voxels)),
            background_share: share(object.background),
            voi: object.voi,
        }
    }
}

impl ObjectRow {
    fn cells(&self, side: Side) -> [String; HEADER.len()] {
        let label = |label: Option<u64>| label.map_or_else(String::new, |label| label.to_string());
        let side = match side {
            Side::Truth => "truth",
            Side::Labels => "labels",
        };
        [
            side.to_owned(),
            self.label.to_string(),
            self.voxels.to_string(),
            self.partners.to_string(),
            self.parts.to_string(),
            label(self.largest),
            format!("{:.6}", self.largest_share),
            label(self.second),
            format!("{:.6}", self.second_share),
            format!("{:.6}", self.background_share),
            self.voi.to_string(),
        ]
    }
}

/// Takes objects one by one. Memory: the worst ones.
pub(crate) struct ObjectList {
    splits: Worst,
    merges: Worst,
    file: Option<TableFile>,
}

struct TableFile {
    path: PathBuf,
    staged: Staged,
    writer: csv::Writer<BufWriter<File>>,
}

impl ObjectList {
    /// Keeps the `worst` objects of each kind, and writes all of them to a file if one is named.
    ///
    /// # Errors
    /// If the file is there and may not be replaced, or cannot be made.
    pub(crate) fn new(worst: usize, path: Option<&Path>, mode: WriteMode) -> Result<Self> {
        let file = path.map(|path| TableFile::create(path, mode)).transpose()?;
        Ok(Self { splits: Worst::new(worst), merges: Worst::new(worst), file })
    }

    pub(crate) fn take(&mut self, object: &Object) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.write(&ObjectRow::from(object).cells(object.side))?;
        }
        match object.side {
            Side::Truth => self.splits.take(object),
            // What the prediction leaves out is no object that could be cut apart.
            Side::Labels if object.label == 0 => {}
            Side::Labels => self.merges.take(object),
        }
        Ok(())
    }

    /// The objects that are split worst, and the labels that merge most; the file is put into place.
    pub(crate) fn finish(self) -> Result<[Vec<ObjectRow>; 2]> {
        if let Some(file) = self.file {
            file.finish()?;
        }
        Ok([self.splits.rows(), self.merges.rows()])
    }
}

impl TableFile {
    fn create(path: &Path, mode: WriteMode) -> Result<Self> {
        let staged = Staged::new(path, mode)?;
        let file = File::create(staged.path()).map_err(exavox_io::Error::at(staged.path()))?;
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        let mut table = Self { path: path.to_owned(), staged, writer };
        table.write(&HEADER)?;
        Ok(table)
    }

    fn write<T: AsRef<[u8]>>(&mut self, cells: &[T]) -> Result<()> {
        let wrong = |e: csv::Error| Error::settings(self.path.display().to_string(), e.to_string());
        self.writer.write_record(cells).map_err(wrong)
    }

    fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(exavox_io::Error::at(&self.path))?;
        drop(self.writer);
        Ok(self.staged.commit()?)
    }
}

/// The objects that add most to a score.
struct Worst {
    count: usize,
    objects: Vec<Object>,
}

impl Worst {
    fn new(count: usize) -> Self {
        Self { count, objects: Vec::new() }
    }

    fn take(&mut self, object: &Object) {
        if object.voi <= 0.0 {
            return;
        }
        self.objects.push(*object);
        if self.objects.len() >= self.count.saturating_mul(2).saturating_add(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        // Of equal ones the smaller label comes first. They are positive: their bits are in their order.
        self.objects.sort_unstable_by_key(|object| (Reverse(object.voi.to_bits()), object.label));
        self.objects.truncate(self.count);
    }

    fn rows(mut self) -> Vec<ObjectRow> {
        self.cut();
        self.objects.iter().map(ObjectRow::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_many_are_kept_in_order() {
        let object = |label: u64, voi: f64| Object {
            side: Side::Truth,
            label,
            voxels: 1,
            partners: 0,
            parts: 0,
            largest: None,
            second: None,
            background: 0,
            voi,
        };
        let mut worst = Worst::new(3);
        for label in 0..1000 {
            worst.take(&object(label, (label * 7919 % 500) as f64));
        }
        let found: Vec<(u64, f64)> = worst.rows().iter().map(|row| (row.label, row.voi)).collect();
        let of = |voi: u64| (0..1000).find(|label| label * 7919 % 500 == voi).unwrap_or_default();
        assert_eq!(found, [(of(499), 499.0), (of(499) + 500, 499.0), (of(498), 498.0)]);
    }
}
