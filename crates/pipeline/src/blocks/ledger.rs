//! Which blocks of a stage are done, in files that survive any kill and need no lock.
//!
//! Blocks are numbered; each page of 4096 has its own files, 512 pages share a folder. Whoever works on a
//! page appends to a journal of its own there, so that no two processes ever write one file. When the
//! journals of a page hold all its blocks, its seal replaces them; when all pages of a folder are sealed,
//! a seal beside the folder says so. To know what is left, only folders and pages that are not sealed are
//! looked at. A journal or seal of other parameters does not count.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Digest;
use super::page::{JournalWriter, PAGE, io_error, read_journal, read_seal, write_seal};
use crate::error::Result;

/// Pages that share a folder: two million blocks.
const FOLDER: u64 = 512;

/// The ledger of one stage.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    parameters: Digest,
    blocks: u64,
    attempt: String,
    synced: bool,
    journals: Mutex<HashMap<u64, JournalWriter>>,
}

/// How much of a stage is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LedgerCount {
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks that are done.
    pub done: u64,
    /// Blocks that were computed more than once, with different outputs: none, unless a device or an
    /// input is not to be trusted.
    pub unstable: u64,
}

/// A block that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFailure {
    /// Number of the block.
    pub block: u64,
    /// Where it lies.
    pub place: String,
    /// Why.
    pub error: String,
    /// Whether another try may succeed without anybody doing anything.
    pub temporary: bool,
}

/// Blocks of a page, and how many of them were done differently.
struct Page {
    digests: Vec<Option<Digest>>,
    unstable: u64,
}

impl Ledger {
    /// The ledger in a folder, for a stage of so many blocks whose parameters have this digest. With
    /// `synced`, a block that is recorded is recorded after a loss of power too.
    pub fn new(folder: &Path, parameters: Digest, blocks: u64, synced: bool) -> Self {
        let (folder, attempt, journals) = (folder.to_owned(), attempt(), Mutex::default());
        Self { folder, parameters, blocks, attempt, synced, journals }
    }

    /// Blocks of the stage.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Numbers of the blocks of a range that are not done, in order; looks at one page at a time.
    pub fn missing(&self, range: Range<u64>) -> impl Iterator<Item = Result<u64>> + '_ {
        let end = range.end.min(self.blocks);
        let pages = range.start / PAGE..end.div_ceil(PAGE);
        pages.flat_map(move |page| {
            let first = page * PAGE;
            let inside = move |block: &u64| (range.start..end).contains(block);
            let found: Vec<Result<u64>> = match self.page(page) {
                Ok(found) => (first..)
                    .zip(found.digests)
                    .filter(|(block, digest)| digest.is_none() && inside(block))
                    .map(|(block, _)| Ok(block))
                    .collect(),
                Err(error) => vec![Err(error)],
            };
            found
        })
    }

    /// Digest of a block's output, if it is done.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn digest(&self, block: u64) -> Result<Option<Digest>> {
        Ok(self.page(block / PAGE)?.digests[(block % PAGE) as usize])
    }

    /// Notes that a block's output is committed.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn record(&self, block: u64, digest: Digest) -> Result<()> {
        let page = block / PAGE;
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = match journals.entry(page) {
            Entry::Occupied(journal) => journal.into_mut(),
            Entry::Vacant(none) => {
                let path = self.page_folder(page).join(format!("{page}.{}.log", self.attempt));
                none.insert(JournalWriter::create(&path, self.parameters)?)
            }
        };
        journal.record(block, digest, self.synced)
    }

    /// Seals the pages of a range that are whole and were not sealed, and folders of pages; closes
    /// journals. To be called when a run ends.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn seal(&self, range: Range<u64>) -> Result<()> {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let pages = range.start / PAGE..range.end.min(self.blocks).div_ceil(PAGE);
        for page in pages.clone() {
            self.seal_page(page)?;
        }
        for folder in pages.start / FOLDER..pages.end.div_ceil(FOLDER) {
            self.seal_folder(folder)?;
        }
        Ok(())
    }

    /// Counts what is done; reads only what is not sealed.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn count(&self) -> Result<LedgerCount> {
        let mut count = LedgerCount { blocks: self.blocks, ..LedgerCount::default() };
        for folder in 0..self.pages().div_ceil(FOLDER) {
            let pages = self.pages_of(folder);
            if self.is_folder_sealed(folder)? {
                count.done += pages.map(|page| self.blocks_of(page)).sum::<u64>();
                continue;
            }
            if !self.page_folder(pages.start).exists() {
                continue;
            }
            for page in pages {
                let page = self.page(page)?;
                count.done += page.digests.iter().flatten().count() as u64;
                count.unstable += page.unstable;
            }
        }
        Ok(count)
    }

    /// Notes that a block failed.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn fail(&self, failure: &BlockFailure) -> Result<()> {
        use std::io::Write;
        let folder = self.folder.join("failures");
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let path = folder.join(format!("{}.jsonl", self.attempt));
        let mut line = serde_json::to_vec(failure)
            .map_err(|e| crate::Error::settings(path.display().to_string(), e.to_string()))?;
        line.push(b'\n');
        let file = fs::File::options().append(true).create(true).open(&path);
        file.and_then(|mut file| file.write_all(&line)).map_err(io_error(&path))
    }

    /// The last failure of each block that is still not done, in the order of their numbers. A line that a
    /// kill has torn does not count.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn failures(&self) -> Result<Vec<BlockFailure>> {
        let folder = self.folder.join("failures");
        let mut found = BTreeMap::new();
        for path in entries(&folder)? {
            let text = fs::read_to_string(&path).map_err(io_error(&path))?;
            let failures =
                text.lines().filter_map(|l| serde_json::from_str::<BlockFailure>(l).ok());
            found.extend(failures.filter(|f| f.block < self.blocks).map(|f| (f.block, f)));
        }
        let mut left = Vec::new();
        for (block, failure) in found {
            if self.digest(block)?.is_none() {
                left.push(failure);
            }
        }
        Ok(left)
    }

    /// Forgets everything: the blocks will be computed again.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map_err(io_error(&self.folder)),
        }
    }

    fn pages(&self) -> u64 {
        self.blocks.div_ceil(PAGE)
    }

    fn pages_of(&self, folder: u64) -> Range<u64> {
        folder * FOLDER..((folder + 1) * FOLDER).min(self.pages())
    }

    fn blocks_of(&self, page: u64) -> u64 {
        (self.blocks - page * PAGE).min(PAGE)
    }

    fn page_folder(&self, page: u64) -> PathBuf {
        self.folder.join((page / FOLDER).to_string())
    }

    fn seal_path(&self, page: u64) -> PathBuf {
        self.page_folder(page).join(format!("{page}.done"))
    }

    fn folder_seal_path(&self, folder: u64) -> PathBuf {
        self.folder.join(format!("{folder}.done"))
    }

    fn is_folder_sealed(&self, folder: u64) -> Result<bool> {
        Ok(read_seal(&self.folder_seal_path(folder), self.parameters, 1)?.is_some())
    }

    fn page(&self, page: u64) -> Result<Page> {
        let blocks = self.blocks_of(page);
        if let Some(digests) = read_seal(&self.seal_path(page), self.parameters, blocks)? {
            let digests = digests.into_iter().map(Some).collect();
            return Ok(Page { digests, unstable: 0 });
        }
        let mut found = Page { digests: vec![None; blocks as usize], unstable: 0 };
        for path in self.journals_of(page)? {
            for (block, digest) in read_journal(&path, self.parameters)? {
                let Some(slot) = block
                    .checked_sub(page * PAGE)
                    .and_then(|at| found.digests.get_mut(at as usize))
                else {
                    continue;
                };
                found.unstable += u64::from(slot.is_some_and(|before| before != digest));
                *slot = Some(digest);
            }
        }
        Ok(found)
    }

    fn journals_of(&self, page: u64) -> Result<Vec<PathBuf>> {
        let prefix = format!("{page}.");
        let mut paths = entries(&self.page_folder(page))?;
        paths.retain(|path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            name.starts_with(&prefix) && name.ends_with(".log")
        });
        Ok(paths)
    }

    /// Journals go when their page is sealed. A page whose blocks differ between attempts keeps them, so
    /// that somebody sees it.
    fn seal_page(&self, page: u64) -> Result<()> {
        let blocks = self.blocks_of(page);
        if read_seal(&self.seal_path(page), self.parameters, blocks)?.is_none() {
            let found = self.page(page)?;
            let digests: Vec<Digest> = found.digests.into_iter().flatten().collect();
            if digests.len() as u64 != blocks || found.unstable > 0 {
                return Ok(());
            }
            write_seal(&self.seal_path(page), self.parameters, &digests)?;
        }
        self.journals_of(page)?.iter().try_for_each(|path| remove(path))
    }

    fn seal_folder(&self, folder: u64) -> Result<()> {
        if self.is_folder_sealed(folder)? {
            return Ok(());
        }
        let mut digests = Vec::new();
        for page in self.pages_of(folder) {
            match read_seal(&self.seal_path(page), self.parameters, self.blocks_of(page))? {
                Some(blocks) => digests.extend(blocks.iter().flat_map(|d| d.0.to_le_bytes())),
                None => return Ok(()),
            }
        }
        let path = self.folder_seal_path(folder);
        write_seal(&path, self.parameters, &[Digest::of(&digests)])
    }
}

/// Another process may have removed it.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(io_error(path)),
    }
}

/// Files of a folder, by name; none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(io_error(folder))?,
    };
    let paths: std::io::Result<Vec<PathBuf>> = listed.map(|e| Ok(e?.path())).collect();
    let mut paths = paths.map_err(io_error(folder))?;
    paths.sort();
    Ok(paths)
}

/// A name that no other process on any machine has: a restarted task has the same number on another node.
fn attempt() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0);
    format!("{}-{random:016x}", std::process::id())
}
