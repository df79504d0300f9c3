//! Safetensors files: tensors with the names and shapes of their framework, and the architecture as
//! text in the metadata, where a file has it.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::super::architecture::Architecture;
use super::super::floats;
use super::TensorSource;
use crate::error::{Error, Result};

/// No network of this kind is larger; keeps a wrong file from being read whole.
const MAX_BYTES: u64 = 4 << 30;

/// Name of the architecture in the metadata. It is the only one: the order of several would be random.
const ARCHITECTURE: &str = "architecture";

/// A safetensors file in memory.
pub(in crate::ffn) struct File {
    name: String,
    bytes: Vec<u8>,
    names: Vec<String>,
    /// Text of the architecture, if the file has one.
    pub(in crate::ffn) architecture: Option<String>,
}

impl File {
    pub(in crate::ffn) fn open(path: &Path) -> Result<Self> {
        let at = |e: std::io::Error| Error::Io(exavox_io::Error::at(path)(e));
        let name = path.display().to_string();
        let length = path.metadata().map_err(at)?.len();
        if length > MAX_BYTES {
            return Err(Error::checkpoint(name, format!("{length} bytes is over {MAX_BYTES}")));
        }
        Self::from_bytes(std::fs::read(path).map_err(at)?, name)
    }

    /// A file that is in memory already.
    pub(in crate::ffn) fn from_bytes(bytes: Vec<u8>, name: String) -> Result<Self> {
        let parsed = SafeTensors::deserialize(&bytes)
            .map_err(|e| Error::checkpoint(&*name, format!("not a whole safetensors file: {e}")))?;
        let names = parsed.names().into_iter().map(str::to_owned).collect();
        let header = SafeTensors::read_metadata(&bytes).ok();
        let metadata = header.and_then(|(_, header)| header.metadata().clone());
        let architecture = metadata.and_then(|mut metadata| metadata.remove(ARCHITECTURE));
        Ok(Self { name, bytes, names, architecture })
    }
}

impl TensorSource for File {
    fn read(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        if !self.names.iter().any(|n| n == name) {
            return Ok(None);
        }
        let wrong = |why: String| Error::checkpoint(&*self.name, format!("tensor {name}: {why}"));
        let file = SafeTensors::deserialize(&self.bytes).map_err(|e| wrong(e.to_string()))?;
        let tensor = file.tensor(name).map_err(|e| wrong(e.to_string()))?;
        let dtype = match tensor.dtype() {
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
            Dtype::F64 => "float64",
            other => {
                return Err(wrong(format!("expected type F32, F16, BF16 or F64, found {other:?}")));
            }
        };
        let mut values = Vec::new();
        floats::append(dtype, tensor.data(), &mut values).map_err(wrong)?;
        Ok(Some((tensor.shape().to_vec(), values)))
    }

    fn tensor_names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

/// Writes tensors, named, with shapes and numbers in C order.
pub(in crate::ffn) fn save(
    tensors: &[(String, Vec<usize>, &[f32])],
    architecture: &Architecture,
    path: &Path,
) -> Result<()> {
    let wrong = |e: safetensors::SafeTensorError| {
        Error::checkpoint(path.display().to_string(), e.to_string())
    };
    let little_endian = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<Vec<u8>> = tensors.iter().map(|(.., values)| little_endian(values)).collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape, _), data)| {
            Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).map_err(wrong)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(ARCHITECTURE.to_owned(), architecture.to_string())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(wrong)?;
    exavox_io::staging::write_whole(path, &bytes)?;
    Ok(())
}
