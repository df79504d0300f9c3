//! Checkpoints of flax: what `flax.serialization.to_bytes` writes, of parameters alone or of a whole
//! training state, as clu's checkpoints (`ckpt-N.flax`) hold it.

use std::path::{Path, PathBuf};

use super::floats;
use super::weights::TensorSource;
use crate::error::{Error, Result};

mod msgpack;
mod parameters;

use msgpack::Array;

/// No training state of a network of this kind is larger; keeps a wrong file from being read whole.
const MAX_BYTES: u64 = 4 << 30;

/// A file in memory, and the network's parameters in it.
pub(super) struct FlaxFile {
    name: String,
    bytes: Vec<u8>,
    /// Where the parameters are in the tree, and where else there would be some.
    pub(super) found: String,
    tensors: Vec<(String, Array)>,
}

/// The file of flax that a path means, if any: itself, by its name or its first byte, or `PATH.flax`
/// beside the other files of a checkpoint of clu.
pub(super) fn flax_path(path: &Path) -> Option<PathBuf> {
    let mut with_suffix = path.as_os_str().to_owned();
    with_suffix.push(".flax");
    let with_suffix = PathBuf::from(with_suffix);
    if with_suffix.is_file() {
        return Some(with_suffix);
    }
    let named = path.extension().is_some_and(|e| e == "msgpack" || e == "flax");
    (path.is_file() && (named || starts_with_map(path))).then(|| path.to_owned())
}

fn starts_with_map(path: &Path) -> bool {
    use std::io::Read;
    let mut first = [0];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && matches!(first[0], 0x80..=0x8f | 0xde | 0xdf)
}

impl FlaxFile {
    /// Opens a file; `wanted` names a part of the tree, otherwise the best of those that hold a network
    /// is taken.
    pub(super) fn open(path: &Path, wanted: Option<&str>) -> Result<Self> {
        let at = |e: std::io::Error| Error::Io(exavox_io::Error::at(path)(e));
        let name = path.display().to_string();
        let length = path.metadata().map_err(at)?.len();
        if length > MAX_BYTES {
            return Err(Error::checkpoint(name, format!("{length} bytes is over {MAX_BYTES}")));
        }
        let bytes = std::fs::read(path).map_err(at)?;
        let damaged = |why| Error::checkpoint(&*name, why);
        let tree = msgpack::parse(&bytes).map_err(damaged)?;
        let found = parameters::find(&tree, wanted).map_err(damaged)?;
        Ok(Self { name, bytes, found: found.place(), tensors: found.tensors })
    }
}

impl TensorSource for FlaxFile {
    fn read(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let Some((_, array)) = self.tensors.iter().find(|(n, _)| n == name) else {
            return Ok(None);
        };
        let wrong = |why: String| Error::checkpoint(&*self.name, format!("tensor {name}: {why}"));
        let size = floats::size_of(&array.dtype).unwrap_or(1);
        let found: usize = array.parts.iter().map(|part| part.len()).sum();
        let expected = array.shape.iter().try_fold(size, |n, axis| n.checked_mul(*axis));
        let mut values = Vec::new();
        for part in &array.parts {
            floats::append(&array.dtype, &self.bytes[part.clone()], &mut values).map_err(wrong)?;
        }
        // A piece that ends inside of a number gives fewer values than bytes.
        if expected != Some(found) || values.len() * size != found {
            let (shape, dtype) = (&array.shape, &array.dtype);
            return Err(wrong(format!("shape {shape:?} of {dtype} does not take {found} bytes")));
        }
        Ok(Some((array.shape.clone(), values)))
    }

    fn tensor_names(&self) -> Vec<&str> {
        self.tensors.iter().map(|(name, _)| name.as_str()).collect()
    }
}
