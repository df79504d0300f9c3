//! Stage `number`: components get numbers in the order of their first voxels.
//!
//! Everything is sorted on disk: parts by component give sizes and first voxels; components by first voxel
//! give numbers; numbers by component, beside the parts, give the number of each part.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::files;
use super::Components;
use super::edges::roots_path;
use super::label::{Part, parts_path};
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::{Error, Result};
use crate::job::StageContext;
use crate::records::{ExternalSort, Record, RecordFile, RecordReader, RecordWriter, Scratch};
use crate::union::Renaming;

/// What was found. The names are those of `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ComponentTotals {
    /// Components that are written: the largest label.
    pub components: u64,
    /// Components that are too small.
    pub dropped: u64,
    /// Voxels of the components that are written.
    pub foreground_voxels: u64,
    /// Voxels of the largest component.
    pub largest_voxels: u64,
}

/// A part, and the component that it belongs to.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
struct Placed {
    /// The smallest id of the component.
    root: u64,
    id: u64,
    first: u64,
    voxels: u64,
}

impl Record for Placed {
    const KIND: &'static str = "placed part";
}

/// A component.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
struct Whole {
    root: u64,
    first: u64,
    voxels: u64,
}

impl Record for Whole {
    const KIND: &'static str = "component";
}

/// The file of numbers: ids of parts, ascending, and the number of each as its new name. Parts that are not
/// there become background.
pub(super) fn numbers_path(data: &Path) -> PathBuf {
    data.join("numbers")
}

/// The stage, of one block.
pub(super) struct Number<'a> {
    step: &'a Components,
    data: PathBuf,
    memory_bytes: u64,
}

impl<'a> Number<'a> {
    pub(super) fn new(step: &'a Components, context: &StageContext<'_>) -> Self {
        Self { step, data: context.data.clone(), memory_bytes: context.memory_bytes / 2 }
    }

    fn run(&self) -> Result<Digest> {
        let scratch = Scratch::new(&self.data.join("work"), "number")?;
        let at = |name| scratch.path(name);
        self.place(&at("parts"))?;
        self.sort(&at("parts"), &at("by-root"), |part: &Placed| (part.root, part.id))?;
        let totals = self.gather(&at("by-root"), &at("components"))?;
        self.sort(&at("components"), &at("by-voxel"), |whole: &Whole| whole.first)?;
        number(&at("by-voxel"), &at("numbers"))?;
        self.sort(&at("numbers"), &at("names"), |name: &Renaming| name.id)?;
        name_parts(&at("by-root"), &at("names"), &at("named"))?;
        self.sort(&at("named"), &numbers_path(&self.data), |name: &Renaming| name.id)?;
        totals.write(&self.data)?;
        self.digest(0)
    }

    /// Every part of every block, with its component.
    fn place(&self, to: &Path) -> Result<()> {
        let mut roots = RecordReader::<Renaming>::open(&roots_path(&self.data))?;
        let mut writer = RecordWriter::create(to)?;
        for block in 0..self.step.grid.len() {
            let parts = RecordReader::<Part>::open(&parts_path(&self.data, block))?;
            for (local, part) in (1..).zip(parts) {
                let (id, Part { first, voxels }) = (self.step.ids.id(block, local)?, part?);
                while roots.peek()?.is_some_and(|next| next.id < id) {
                    roots.pop()?;
                }
                let next = roots.peek()?.filter(|next| next.id == id);
                let root = next.map_or(id, |next| next.root);
                writer.push(Placed { root, id, first, voxels })?;
            }
        }
        writer.finish_unsynced().map(drop)
    }

    /// Makes components of parts in the order of components.
    fn gather(&self, from: &Path, to: &Path) -> Result<ComponentTotals> {
        let mut parts = RecordReader::<Placed>::open(from)?;
        let mut writer = RecordWriter::create(to)?;
        let mut totals = ComponentTotals::default();
        while let Some(Placed { root, first, voxels, .. }) = parts.pop()? {
            let mut whole = Whole { root, first, voxels };
            while let Some(part) = parts.peek()?.filter(|part| part.root == root) {
                parts.pop()?;
                whole.first = whole.first.min(part.first);
                whole.voxels += part.voxels;
            }
            if totals.take(whole.voxels, self.step.min_voxels) {
                writer.push(whole)?;
            }
        }
        writer.finish_unsynced()?;
        Ok(totals)
    }

    fn sort<T: Record, K: Ord + Copy>(
        &self,
        from: &PathBuf,
        to: &Path,
        key: impl Fn(&T) -> K + Sync,
    ) -> Result<()> {
        let work = self.data.join("work");
        let sort = ExternalSort::new(&work, self.memory_bytes, key);
        sort.run(std::slice::from_ref(from), to)?;
        files::remove(from);
        Ok(())
    }
}

/// Numbers components in the order in which they come.
fn number(from: &Path, to: &Path) -> Result<()> {
    let mut writer = RecordWriter::create(to)?;
    for (number, whole) in (1..).zip(RecordReader::<Whole>::open(from)?) {
        writer.push(Renaming { id: whole?.root, root: number })?;
    }
    writer.finish_unsynced().map(drop)
}

/// Gives each part the number of its component; parts of components without one are left out.
fn name_parts(parts: &Path, names: &Path, to: &Path) -> Result<()> {
    let mut names = RecordReader::<Renaming>::open(names)?;
    let mut writer = RecordWriter::create(to)?;
    for part in RecordReader::<Placed>::open(parts)? {
        let part = part?;
        while names.peek()?.is_some_and(|name| name.id < part.root) {
            names.pop()?;
        }
        if let Some(name) = names.peek()?.filter(|name| name.id == part.root) {
            writer.push(Renaming { id: part.id, root: name.root })?;
        }
    }
    writer.finish_unsynced().map(drop)
}

impl Stage for Number<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|_| self.run()))
    }

    fn describe(&self, _block: u64) -> String {
        "all components".to_owned()
    }

    fn digest(&self, _block: u64) -> Result<Digest> {
        ComponentTotals::read(&self.data)?;
        files::records_digest::<Renaming>(&numbers_path(&self.data))
    }
}

impl ComponentTotals {
    /// Counts a component; true if it is large enough.
    fn take(&mut self, voxels: u64, min_voxels: u64) -> bool {
        if voxels < min_voxels {
            self.dropped += 1;
            return false;
        }
        self.components += 1;
        self.foreground_voxels += voxels;
        self.largest_voxels = self.largest_voxels.max(voxels);
        true
    }

    fn path(data: &Path) -> PathBuf {
        data.join("totals.json")
    }

    fn write(&self, data: &Path) -> Result<()> {
        let path = Self::path(data);
        let bytes = serde_json::to_vec(self)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))?;
        Ok(exavox_io::staging::write_whole(&path, &bytes)?)
    }

    /// What stage `number` has found, from the data folder of its step.
    ///
    /// # Errors
    /// If the stage is not done.
    pub fn read(data: &Path) -> Result<Self> {
        let path = Self::path(data);
        let bytes = files::read(&path, 1 << 16)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))
    }
}

/// How many parts a block has.
pub(super) fn count_parts(data: &Path, block: u64) -> Result<u64> {
    Ok(RecordFile::<Part>::open(&parts_path(data, block))?.len())
}
