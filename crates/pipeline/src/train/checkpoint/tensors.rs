//! The state of a checkpoint as a safetensors file.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{Checkpoint, Fit, GeneratorState};
use crate::error::{Error, Result};

/// Before the names of what an optimiser remembers, and of canvases.
const OPTIMIZER: &str = "optimizer/";
const CANVAS: &str = "canvas/";

/// The file's bytes.
pub(super) fn to_bytes(checkpoint: &Checkpoint, path: &Path) -> Result<Vec<u8>> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let slots = checkpoint.optimizer.slots.iter();
    let slots = slots.map(|(name, values)| (format!("{OPTIMIZER}{name}"), bytes(values)));
    let canvases = checkpoint.generators.iter();
    let canvases = canvases.map(|g| (format!("{CANVAS}{}", g.slot), bytes(&g.canvas)));
    let tensors: Vec<(String, Vec<u8>)> = slots.chain(canvases).collect();
    let views = tensors
        .iter()
        .map(|(name, data)| {
            let view = TensorView::new(Dtype::F32, vec![data.len() / 4], data);
            Ok((name.as_str(), view.map_err(|e| wrong(path, &e))?))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, None).map_err(|e| wrong(path, &e))
}

/// Gives generators their canvases; the rest is what the optimiser remembers.
///
/// # Errors
/// [`Error::Settings`] with the tensor that is missing or does not fit.
pub(super) fn from_bytes(
    bytes: &[u8],
    generators: &mut [GeneratorState],
    fit: &Fit<'_>,
    path: &Path,
) -> Result<Vec<(String, Vec<f32>)>> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(path, &e))?;
    for generator in generators {
        let name = format!("{CANVAS}{}", generator.slot);
        generator.canvas = values(&file.tensor(&name).map_err(|e| wrong(path, &e))?);
        fit.check_canvas(&generator.canvas).map_err(|why| {
            Error::settings(path.display().to_string(), format!("tensor {name}: {why}"))
        })?;
    }
    let slots = file.iter().filter_map(|(name, tensor)| {
        Some((name.strip_prefix(OPTIMIZER)?.to_owned(), values(&tensor)))
    });
    let mut slots: Vec<_> = slots.collect();
    slots.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(slots)
}

fn values(tensor: &TensorView<'_>) -> Vec<f32> {
    let chunks = tensor.data().chunks_exact(4);
    chunks.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn wrong(path: &Path, error: &safetensors::SafeTensorError) -> Error {
    Error::settings(path.display().to_string(), error.to_string())
}
