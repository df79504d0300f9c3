//! TensorFlow's checkpoint files ("tensor bundle"): a sorted table `NAME.index` that says where each
//! tensor lies in `NAME.data-SSSSS-of-NNNNN`. Formats: `tensorflow/core/util/tensor_bundle` and, for
//! the table, `leveldb/doc/table_format.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

mod proto;
mod table;

use proto::{Entry, Header};

/// An index file is a few KiB; anything of this size is not one.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// TensorFlow's number for f32.
const DT_FLOAT: u64 = 1;

/// An open checkpoint: the table is in memory, tensors are read when asked for.
pub(super) struct TensorBundle {
    prefix: PathBuf,
    header: Header,
    entries: BTreeMap<String, Entry>,
}

impl TensorBundle {
    /// Opens a checkpoint by its prefix, or by its `.index` file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let prefix = strip_index(path);
        let index = with_suffix(&prefix, ".index");
        let bytes = read_limited(&index)?;
        let damaged = |why: String| Error::checkpoint(index.display().to_string(), why);
        let mut entries = BTreeMap::new();
        let mut header = None;
        for (key, value) in table::entries(&bytes).map_err(damaged)? {
            if key.is_empty() {
                header = Some(Header::parse(&value).map_err(damaged)?);
                continue;
            }
            let name = String::from_utf8_lossy(&key).into_owned();
            let entry = Entry::parse(&value).map_err(|why| damaged(format!("{name}: {why}")))?;
            entries.insert(name, entry);
        }
        let header = header.ok_or_else(|| damaged("the table has no header entry".into()))?;
        Ok(Self { prefix, header, entries })
    }

    /// Names of all tensors.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Reads a tensor of f32 with its shape; `None` if the checkpoint has no tensor of that name.
    pub(super) fn read_f32(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let wrong = |why: String| {
            Error::checkpoint(self.prefix.display().to_string(), format!("tensor {name}: {why}"))
        };
        if entry.dtype != DT_FLOAT {
            return Err(wrong(format!("expected type 1 (f32), found {}", entry.dtype)));
        }
        let values = entry.shape.iter().try_fold(1u64, |n, s| n.checked_mul(*s));
        let expected = values.and_then(|n| n.checked_mul(4));
        if expected != Some(entry.size) {
            let (shape, size) = (&entry.shape, entry.size);
            return Err(wrong(format!("shape {shape:?} of f32 does not take {size} bytes")));
        }
        let bytes = self.read_bytes(entry, &wrong)?;
        if masked_crc32c(&bytes) != entry.crc32c {
            return Err(wrong("the checksum does not match: the data file is damaged".into()));
        }
        let floats = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok(Some((entry.shape.iter().map(|s| *s as usize).collect(), floats.collect())))
    }

    fn read_bytes(&self, entry: &Entry, wrong: &dyn Fn(String) -> Error) -> Result<Vec<u8>> {
        let suffix = format!(".data-{:05}-of-{:05}", entry.shard, self.header.num_shards);
        let path = with_suffix(&self.prefix, &suffix);
        let at = |e: std::io::Error| Error::Io(exavox_io::Error::at(&path)(e));
        let file = File::open(&path).map_err(at)?;
        let length = file.metadata().map_err(at)?.len();
        let end = entry.offset.saturating_add(entry.size);
        if end > length {
            let name = path.display();
            return Err(wrong(format!(
                "{name} is truncated: expected {end} bytes, found {length}"
            )));
        }
        let mut bytes = vec![0; entry.size as usize];
        file.read_exact_at(&mut bytes, entry.offset).map_err(at)?;
        Ok(bytes)
    }
}

/// Whether a path names a tensor bundle: the `.index` file itself, or the prefix of one.
pub(super) fn is_tensor_bundle(path: &Path) -> bool {
    with_suffix(&strip_index(path), ".index").is_file()
}

pub(super) fn strip_index(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|e| e == "index") {
        path.with_extension("")
    } else {
        path.into()
    }
}

pub(super) fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let at = |e: std::io::Error| Error::Io(exavox_io::Error::at(path)(e));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(at)?;
    file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes).map_err(at)?;
    Ok(bytes)
}

/// TensorFlow stores checksums rotated and shifted, so that a checksum of checksums stays useful.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
