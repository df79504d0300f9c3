//! Weights in a safetensors file, with TensorFlow's names and shapes.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{TensorSource, Weights};
use crate::error::{Error, Result};

/// No network of this kind is larger; keeps a wrong file from being read whole.
const MAX_BYTES: u64 = 4 << 30;

/// A safetensors file in memory.
pub(super) struct File {
    name: String,
    bytes: Vec<u8>,
    names: Vec<String>,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let at = |e: std::io::Error| Error::Io(exavox_io::Error::at(path)(e));
        let name = path.display().to_string();
        let length = path.metadata().map_err(at)?.len();
        if length > MAX_BYTES {
            return Err(Error::checkpoint(name, format!("{length} bytes is over {MAX_BYTES}")));
        }
        let bytes = std::fs::read(path).map_err(at)?;
        let parsed = SafeTensors::deserialize(&bytes)
            .map_err(|e| Error::checkpoint(&*name, format!("not a whole safetensors file: {e}")))?;
        let names = parsed.names().into_iter().map(str::to_owned).collect();
        Ok(Self { name, bytes, names })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
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
        if tensor.dtype() != Dtype::F32 {
            return Err(wrong(format!("expected type F32, found {:?}", tensor.dtype())));
        }
        let values = tensor.data().chunks_exact(4);
        let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok(Some((tensor.shape().to_vec(), values)))
    }
}

/// Writes all layers.
pub(super) fn save(weights: &Weights, path: &Path) -> Result<()> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, layer) in weights.named_layers() {
        let bytes = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        tensors.push((format!("{name}/biases"), vec![layer.biases.len()], bytes(&layer.biases)));
        tensors.push((format!("{name}/weights"), layer.shape.to_vec(), bytes(&layer.weights)));
    }
    let wrong = |e: safetensors::SafeTensorError| {
        Error::checkpoint(path.display().to_string(), e.to_string())
    };
    let views = tensors
        .iter()
        .map(|(name, shape, data)| {
            Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).map_err(wrong)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(views, None).map_err(wrong)?;
    std::fs::write(path, bytes).map_err(|e| Error::Io(exavox_io::Error::at(path)(e)))
}
