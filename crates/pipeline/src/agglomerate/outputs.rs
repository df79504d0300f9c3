//! What an agglomeration leaves: labels, and beside them the pairs, the equivalences and a report.

use std::path::PathBuf;

use exavox_compute::ffn::agglomerate::MergeRule;
use exavox_io::volume::WriteMode;
use exavox_io::{VolumeWriter, WriteOptions};

use super::files::Files;
use super::work::{Work, placing_mode};
use crate::error::Result;
use crate::side_files::beside;
use crate::table::{Column, TableFormat, table_bytes};

/// The labels to be written, and the files beside them.
pub(super) struct Outputs {
    pub(super) target: String,
    pub(super) options: WriteOptions,
    pub(super) files: SideFiles,
}

/// `STEM.pairs.csv` or `STEM.pairs.parquet`, `STEM.equivalences.csv` and `STEM.report.html`.
pub(super) struct SideFiles {
    /// That of the pairs.
    format: TableFormat,
    files: Files<3>,
}

impl Outputs {
    /// Refuses what is there already or cannot be, so that a long run does not fail at its end.
    pub(super) fn create(
        target: &str,
        options: WriteOptions,
        rule: &MergeRule,
        format: TableFormat,
    ) -> Result<Self> {
        let mode = placing_mode(target, rule, options.mode)?;
        let options = options.with_mode(mode);
        let files = SideFiles::create(target, options.mode, format)?;
        // The volume itself is begun at the end: a kill in the meantime leaves no part of it.
        drop(VolumeWriter::create(target, &options)?);
        Ok(Self { target: target.to_owned(), options, files })
    }

    /// Refuses what has appeared in the places of the results since.
    pub(super) fn check(&self) -> Result<()> {
        drop(VolumeWriter::create(&self.target, &self.options)?);
        self.files.files.check()
    }
}

impl SideFiles {
    fn create(target: &str, mode: WriteMode, format: TableFormat) -> Result<Self> {
        let pairs = format!("pairs.{}", format.suffix());
        let paths =
            [pairs.as_str(), "equivalences.csv", "report.html"].map(|name| beside(target, name));
        Ok(Self { format, files: Files::create(paths, mode)? })
    }

    /// Where pairs, equivalences and report will be.
    pub(super) fn paths(&self) -> &[PathBuf; 3] {
        &self.files.paths
    }

    /// Writes the files, not yet into their places.
    pub(super) fn write(
        &self,
        work: &Work,
        pairs: &[Column],
        equivalences: &[Column],
        report: &str,
    ) -> Result<()> {
        let [pairs_path, equivalences_path, _] = &self.files.paths;
        let pairs = table_bytes(pairs_path, self.format, pairs)?;
        let equivalences = table_bytes(equivalences_path, TableFormat::Csv, equivalences)?;
        self.files.write(work, [&pairs, &equivalences, report.as_bytes()])
    }

    /// Puts them into place.
    pub(super) fn commit(&self, work: &Work) -> Result<()> {
        self.files.commit(work)
    }
}
