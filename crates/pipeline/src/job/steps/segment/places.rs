//! Files of a segmentation: those its stages hand to each other, and those beside the labels.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::side_files::beside;

/// Files of a folder; more are laid into folders of this many.
const FOLDER: u64 = 1000;

/// Files in the step's folder of data.
#[derive(Debug, Clone)]
pub(super) struct Places {
    data: PathBuf,
}

impl Places {
    pub(super) fn new(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// What is known of a subvolume beside its labels.
    pub(super) fn record(&self, subvolume: u64) -> PathBuf {
        self.numbered("infer", subvolume, "json")
    }

    /// Stem of the links of a run of subvolumes.
    pub(super) fn faces(&self, part: u64) -> PathBuf {
        self.data.join("faces").join(part.to_string())
    }

    /// What labels become.
    pub(super) fn map(&self) -> PathBuf {
        self.data.join("labels.map")
    }

    /// Voxels of the labels of a block of the output.
    pub(super) fn counts(&self, block: u64) -> PathBuf {
        self.numbered("relabel", block, "counts")
    }

    fn numbered(&self, folder: &str, number: u64, extension: &str) -> PathBuf {
        let folder = self.data.join(folder).join((number / FOLDER).to_string());
        folder.join(format!("{number}.{extension}"))
    }
}

/// `STEM.segments.csv`, `STEM.report.html`, `STEM.report.json` and `STEM.counters.txt`.
#[derive(Debug, Clone)]
pub(super) struct SideFiles {
    pub(super) table: PathBuf,
    pub(super) page: PathBuf,
    pub(super) report: PathBuf,
    pub(super) counters: PathBuf,
}

impl SideFiles {
    pub(super) fn beside(target: &str) -> Self {
        let names = ["segments.csv", "report.html", "report.json", "counters.txt"];
        let [table, page, report, counters] = names.map(|suffix| beside(target, suffix));
        Self { table, page, report, counters }
    }

    pub(super) fn refuse_existing(&self) -> Result<()> {
        for path in [&self.table, &self.page, &self.report, &self.counters] {
            if path.symlink_metadata().is_ok() {
                return Err(exavox_io::Error::Exists { place: exavox_io::Place::path(path) }.into());
            }
        }
        Ok(())
    }
}
