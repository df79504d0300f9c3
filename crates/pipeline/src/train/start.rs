//! The weights that a training begins with.

use std::path::Path;

use exavox_compute::ffn::train::initial_weights;
use exavox_compute::ffn::{Layer, Weights};

use super::checkpoint::{Checkpoint, Fit};
use super::config::ModelTable;
use super::folder::Folder;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// Random weights, or those of a checkpoint of the same architecture.
///
/// # Errors
/// [`Error::Settings`] with the first tensor that differs, expected and found.
pub(super) fn weights(model: &ModelTable, seed: u64) -> Result<Weights> {
    let fresh = initial_weights(model.depth, model.features, seed);
    let Some(path) = &model.checkpoint else { return Ok(fresh) };
    let found = Weights::open(Path::new(path), None)?;
    check_same(path, &fresh, &found)?;
    Ok(found)
}

/// The latest checkpoint that is whole; those that are not are named and passed over.
///
/// # Errors
/// [`Error::PlanChanged`] if it is of another configuration; [`Error::Settings`] if there are
/// checkpoints and none is whole.
pub(super) fn latest(
    folder: &Folder,
    config: &toml::Table,
    fit: &Fit,
    observer: &dyn Observer,
) -> Result<Option<Checkpoint>> {
    let mut error = None;
    for step in folder.steps()?.into_iter().rev() {
        match Checkpoint::open(folder, step, config, fit) {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(changed @ Error::PlanChanged { .. }) => return Err(changed),
            Err(damaged) => {
                let text = format!("{damaged}; the checkpoint before it is taken");
                observer.notify(&Event::Warning(&text));
                error = Some(damaged);
            }
        }
    }
    error.map_or(Ok(None), Err)
}

/// Refuses weights of another network.
pub(super) fn check_same(file: &str, expected: &Weights, found: &Weights) -> Result<()> {
    let (expected, found) = (tensors(expected), tensors(found));
    for (n, (name, shape)) in expected.iter().enumerate() {
        let there = found.get(n);
        let same = there.is_some_and(|(found, there)| found == name && there == shape);
        if !same {
            let there =
                there.map_or("none".to_owned(), |(name, shape)| format!("{name} {shape:?}"));
            let message = format!("expected the tensor {name} {shape:?}, found {there}");
            return Err(Error::settings(format!("checkpoint {file}"), message));
        }
    }
    match found.get(expected.len()) {
        None => Ok(()),
        Some((name, shape)) => {
            let message = format!("expected no more tensors, found {name} {shape:?}");
            Err(Error::settings(format!("checkpoint {file}"), message))
        }
    }
}

/// Names and shapes of all kernels.
fn tensors(weights: &Weights) -> Vec<(String, [usize; 5])> {
    let pairs = std::iter::once(&weights.first).chain(&weights.modules).enumerate();
    let named = |name: String, layer: &Layer| (format!("seed_update/{name}/weights"), layer.shape);
    let mut all: Vec<_> = pairs
        .flat_map(|(i, (a, b))| [named(format!("conv{i}_a"), a), named(format!("conv{i}_b"), b)])
        .collect();
    all.push(named("conv_lom".to_owned(), &weights.update));
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tensor_that_differs_is_named() {
        let network = |depth, features| initial_weights(depth, features, 1);
        let error = |found| check_same("f", &network(3, 4), &found).unwrap_err().to_string();
        check_same("f", &network(3, 4), &network(3, 4)).unwrap();
        let wide = error(network(3, 5));
        assert!(
            wide.contains("seed_update/conv0_a/weights [3, 3, 3, 2, 4], found")
                && wide.contains("conv0_a/weights [3, 3, 3, 2, 5]"),
            "{wide}"
        );
        assert!(
            error(network(2, 4))
                .contains("conv2_a/weights [3, 3, 3, 4, 4], found seed_update/conv_lom")
        );
        assert!(error(network(4, 4)).contains("expected the tensor seed_update/conv_lom"));
    }
}
