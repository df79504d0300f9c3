//! What labels become, from a file.

use std::ops::{Bound, RangeBounds};
use std::path::Path;

use super::Renaming;
use crate::error::{Error, Result};
use crate::records::{PAGE_BYTES, RecordFile};

/// Records of a page.
const PAGE: u64 = (PAGE_BYTES / size_of::<Renaming>()) as u64;

/// The output of [`super::union`]. Nothing is held in memory; many threads may read it at once.
#[derive(Debug)]
pub struct LabelMap {
    file: RecordFile<Renaming>,
}

impl LabelMap {
    /// Opens a map.
    ///
    /// # Errors
    /// If the file is not there, or is no map, or is torn.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { file: RecordFile::open(path)? })
    }

    /// Number of labels that become another.
    pub fn len(&self) -> u64 {
        self.file.len()
    }

    /// Whether every label stays as it is.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Digest of the map: equal maps have the same.
    pub fn digest(&self) -> u32 {
        self.file.digest()
    }

    /// What a label becomes; itself if no edge says otherwise. Reads some 20 pages of a large map: for the
    /// labels of a block take [`LabelMap::range`].
    ///
    /// # Errors
    /// If a page is damaged or cannot be read.
    pub fn root(&self, id: u64) -> Result<u64> {
        Ok(self.range(id..=id)?.root(id))
    }

    /// The renamings of ids in a range, such as those of a block, or `..` for all. Memory and time: those of the renamings,
    /// and some 20 pages to find the first.
    ///
    /// # Errors
    /// If a page is damaged or cannot be read, or the file is not sorted.
    pub fn range(&self, ids: impl RangeBounds<u64>) -> Result<LabelSlice> {
        let first = match ids.start_bound() {
            Bound::Included(id) => self.lower_bound(*id)?,
            Bound::Excluded(id) => self.end_of(*id)?,
            Bound::Unbounded => 0,
        };
        let end = match ids.end_bound() {
            Bound::Included(id) => self.end_of(*id)?,
            Bound::Excluded(id) => self.lower_bound(*id)?,
            Bound::Unbounded => self.len(),
        };
        let renamings = self.file.read(first..end.max(first))?;
        let ascending = renamings.windows(2).all(|pair| pair[0].id < pair[1].id);
        let inside = renamings.iter().all(|renaming| ids.contains(&renaming.id));
        if ascending && inside {
            return Ok(LabelSlice { renamings });
        }
        let message = format!("damaged: records {first}:{end} are not in ascending order");
        Err(Error::settings(self.path().display().to_string(), message))
    }

    /// Index of the first record whose id is above `id`.
    fn end_of(&self, id: u64) -> Result<u64> {
        id.checked_add(1).map_or(Ok(self.len()), |next| self.lower_bound(next))
    }

    /// Index of the first record whose id is not below `id`.
    fn lower_bound(&self, id: u64) -> Result<u64> {
        let (mut low, mut high) = (0, self.len().div_ceil(PAGE));
        // The pages before `low` begin below `id`; those from `high` on do not.
        while low < high {
            let middle = low.midpoint(high);
            let first = self.file.read(middle * PAGE..middle * PAGE + 1)?;
            if first.first().is_some_and(|first| first.id < id) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(page) = low.checked_sub(1) else { return Ok(0) };
        let records = self.file.read(page * PAGE..(page + 1) * PAGE)?;
        Ok(page * PAGE + records.partition_point(|record| record.id < id) as u64)
    }
}

/// What the labels of a range become, in memory: 16 bytes for each label that becomes another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSlice {
    renamings: Vec<Renaming>,
}

impl LabelSlice {
    /// What a label of the range becomes; itself if no edge says otherwise.
    pub fn root(&self, id: u64) -> u64 {
        let found = self.renamings.binary_search_by_key(&id, |renaming| renaming.id);
        found.map_or(id, |at| self.renamings[at].root)
    }

    /// The renamings in ascending order.
    pub fn renamings(&self) -> &[Renaming] {
        &self.renamings
    }
}
