//! The ledger of a run that may be killed at any moment and gone on with later: a file beside the
//! unfinished output that says what is being made and which blocks of it are whole.
//!
//! The first line is a JSON object: the plan, how it is cut into blocks, and the boot of the machine.
//! Each further line is the number of a block, written after the block's data. A last line that has no
//! end was torn by a kill, and does not count. The file is locked while a run works on it.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use exavox_io::Place;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What a run makes, and of what: everything that its output depends on, by name.
pub(crate) type Plan = Map<String, Value>;

/// Version of the file.
const VERSION: u32 = 1;
/// Bytes of a ledger that are read at most: a hundred million blocks.
const MAX_BYTES: u64 = 1 << 30;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    exavox_ledger: u32,
    plan: Plan,
    /// How the work is cut, as the run that began it chose.
    blocks: Value,
    /// Which boot of which machine the blocks were written in, where the system tells.
    boot: Option<String>,
}

/// A ledger that this process, and no other, works with.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
    header: Option<Header>,
    done: HashSet<u64>,
    /// Blocks that were whole before the machine went down, and may not be any more.
    distrusted: usize,
}

/// Whether blocks that are recorded survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// Only the death of the process.
    Kill,
    /// The death of the machine too: each block's data is synced before its line is written.
    PowerLoss,
}

impl Ledger {
    /// Opens the ledger of an unfinished output, or makes one.
    ///
    /// # Errors
    /// If another process works with it, if it is damaged, or if its plan is another than `plan`: the
    /// error says what has changed.
    pub(crate) fn open(path: &Path, plan: &Plan, survives: Survives) -> Result<Self> {
        let mut file = lock(path)?;
        let (text, torn_at) = read_whole_lines(path, &mut file)?;
        file.set_len(torn_at).map_err(io_error(path))?;
        file.seek(SeekFrom::End(0)).map_err(io_error(path))?;
        let mut ledger = Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            header: None,
            done: HashSet::new(),
            distrusted: 0,
        };
        let mut lines = text.lines();
        if let Some(first) = lines.next() {
            let header = parse_header(path, first)?;
            refuse_changes(path, &header.plan, plan)?;
            ledger.done = parse_blocks(path, lines)?;
            ledger.trust(header, survives)?;
        }
        Ok(ledger)
    }

    /// How the work was cut by the run that began it; `None` if this run begins it.
    pub(crate) fn blocks(&self) -> Option<&Value> {
        self.header.as_ref().map(|header| &header.blocks)
    }

    /// Writes the first line, unless it is there.
    pub(crate) fn begin(&mut self, plan: Plan, blocks: Value) -> Result<()> {
        if self.header.is_some() {
            return Ok(());
        }
        self.rewrite(Header { exavox_ledger: VERSION, plan, blocks, boot: boot() })
    }

    /// Whether an earlier run has written a block.
    pub(crate) fn has(&self, block: u64) -> bool {
        self.done.contains(&block)
    }

    /// Number of blocks that earlier runs have written.
    pub(crate) fn len(&self) -> u64 {
        self.done.len() as u64
    }

    /// Blocks that were recorded before the machine went down, and have to be written again.
    pub(crate) fn distrusted(&self) -> usize {
        self.distrusted
    }

    /// Notes that the data of a block is written.
    pub(crate) fn record(&self, block: u64) -> Result<()> {
        let line = format!("{block}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(io_error(&self.path))
    }

    /// Removes the file: the output is whole, or nothing of it was begun.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(io_error(&self.path))
    }

    /// Keeps the blocks only if what was written in an earlier boot is there for sure.
    fn trust(&mut self, header: Header, survives: Survives) -> Result<()> {
        if header.boot == boot() || survives == Survives::PowerLoss {
            self.header = Some(header);
            return Ok(());
        }
        self.distrusted = std::mem::take(&mut self.done).len();
        self.rewrite(Header { boot: boot(), ..header })
    }

    fn rewrite(&mut self, header: Header) -> Result<()> {
        let mut line = serde_json::to_string(&header)
            .map_err(|e| Error::settings(self.path.display().to_string(), e.to_string()))?;
        line.push('\n');
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(line.as_bytes()))
            .map_err(io_error(&self.path))?;
        self.header = Some(header);
        Ok(())
    }
}

/// Opens and locks the file at `path`.
pub(crate) fn lock(path: &Path) -> Result<File> {
    loop {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io_error(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another process is at work on this output";
                return Err(Error::settings(path.display().to_string(), message));
            }
            Err(TryLockError::Error(source)) => return Err(io_error(path)(source)),
        }
        // A process that has just finished may have removed the file between opening and locking.
        let locked = file.metadata().map_err(io_error(path))?;
        match fs::metadata(path) {
            Ok(found) if (found.dev(), found.ino()) == (locked.dev(), locked.ino()) => {
                return Ok(file);
            }
            _ => {}
        }
    }
}

/// The text up to the last line end, and its length in bytes.
fn read_whole_lines(path: &Path, file: &mut File) -> Result<(String, u64)> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(damaged(path, "it is larger than 1 GiB"));
    }
    bytes.truncate(bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1));
    let length = bytes.len() as u64;
    let text = String::from_utf8(bytes).map_err(|_| damaged(path, "it is not text"))?;
    Ok((text, length))
}

fn parse_header(path: &Path, line: &str) -> Result<Header> {
    let header: Header = serde_json::from_str(line)
        .map_err(|e| damaged(path, &format!("its first line is no header: {e}")))?;
    if header.exavox_ledger != VERSION {
        let found = header.exavox_ledger;
        return Err(damaged(path, &format!("expected version {VERSION}, found {found}")));
    }
    Ok(header)
}

fn parse_blocks<'a>(path: &Path, lines: impl Iterator<Item = &'a str>) -> Result<HashSet<u64>> {
    let number = |(n, line): (usize, &str)| {
        line.parse().map_err(|_| {
            let shown: String = line.chars().take(20).collect();
            damaged(path, &format!("line {}: expected the number of a block: {shown:?}", n + 2))
        })
    };
    lines.enumerate().map(number).collect()
}

/// An error with every value of the plan that differs.
pub(crate) fn refuse_changes(path: &Path, before: &Plan, now: &Plan) -> Result<()> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let shown = |plan: &Plan, name: &str| plan.get(name).map_or("none".to_owned(), brief);
    let changes: Vec<String> = names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(|name| format!("{name} was {} and is {}", shown(before, name), shown(now, name)))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let place = path.display().to_string();
    Err(Error::PlanChanged { place, changes: changes.join("; ") })
}

/// A value on one line, without quotes around plain text.
fn brief(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn damaged(path: &Path, what: &str) -> Error {
    let message = format!("the ledger is damaged: {what}; remove it to begin again");
    Error::settings(path.display().to_string(), message)
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| exavox_io::Error::io(Place::path(path), source).into()
}

/// A name for the time since this machine was started, where Linux gives one.
fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(codec: &str) -> Plan {
        let Value::Object(plan) = json!({"source": "a.npy", "codec": codec}) else { panic!() };
        plan
    }

    fn open(path: &Path) -> Result<Ledger> {
        Ledger::open(path, &plan("raw"), Survives::Kill)
    }

    /// A ledger with blocks 0, 7 and 12.
    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("ledger");
        let mut ledger = open(&path).unwrap();
        assert!(ledger.blocks().is_none());
        ledger.begin(plan("raw"), json!([1, 2])).unwrap();
        for block in [0, 7, 12] {
            ledger.record(block).unwrap();
        }
        path
    }

    #[test]
    fn blocks_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let mut ledger = open(&path).unwrap();
        assert_eq!(ledger.blocks(), Some(&json!([1, 2])));
        assert_eq!((0..20).filter(|b| ledger.has(*b)).collect::<Vec<_>>(), [0, 7, 12]);
        ledger.begin(plan("raw"), json!([3])).unwrap();
        ledger.record(3).unwrap();
        drop(ledger);
        let ledger = open(&path).unwrap();
        assert_eq!(ledger.blocks(), Some(&json!([1, 2])));
        assert!(ledger.has(3) && ledger.has(12));
        ledger.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_torn_end_does_not_count_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut ledger = open(&path).unwrap();
            let lines = whole[..length].iter().filter(|b| **b == b'\n').count();
            assert_eq!(ledger.done.len(), lines.saturating_sub(1), "{length}");
            ledger.begin(plan("raw"), json!([1, 2])).unwrap();
            ledger.record(34).unwrap();
            drop(ledger);
            // What comes after the torn line is not glued to it.
            assert_eq!(open(&path).unwrap().done.len(), lines.saturating_sub(1) + 1, "{length}");
        }
    }

    #[test]
    fn a_changed_plan_is_refused_with_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let error = Ledger::open(&path, &plan("zstd"), Survives::Kill).unwrap_err().to_string();
        assert!(error.ends_with("asked for: codec was raw and is zstd"), "{error}");
        open(&path).unwrap();
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = fs::read_to_string(&path).unwrap();
        for (from, to, expected) in [
            ("\n7\n", "\n7x\n", "line 3"),
            ("\n7\n", "\n-7\n", "line 3"),
            ("\n7\n", "\n\0\0\n", "line 3"),
            ("{\"exavox", "\"exavox", "no header"),
            ("ledger\":1", "ledger\":9", "expected version 1, found 9"),
        ] {
            fs::write(&path, whole.replacen(from, to, 1)).unwrap();
            let error = open(&path).unwrap_err().to_string();
            assert!(error.contains("damaged") && error.contains(expected), "{error}");
        }
        fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("not text"));
    }

    #[test]
    fn two_cannot_work_with_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let first = open(&path).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("another process is at work"), "{error}");
        drop(first);
        open(&path).unwrap();
    }

    #[test]
    fn blocks_of_another_boot_count_only_if_synced() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        let Some(boot) = boot() else { return };
        let other = text.replace(&boot, "another boot");
        fs::write(&path, &other).unwrap();
        assert!(Ledger::open(&path, &plan("raw"), Survives::PowerLoss).unwrap().has(7));
        let ledger = open(&path).unwrap();
        assert!(!ledger.has(7) && ledger.distrusted() == 3);
        assert_eq!(ledger.blocks(), Some(&json!([1, 2])));
        drop(ledger);
        assert_eq!(open(&path).unwrap().distrusted(), 0);
    }
}
