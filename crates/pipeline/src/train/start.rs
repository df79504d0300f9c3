//! The network that a training begins with.

use std::path::Path;

use exavox_compute::ffn::TrainedModel;
use exavox_compute::ffn::train::initial_model;

use super::checkpoint::{Checkpoint, Fit};
use super::config::ModelTable;
use super::folder::Folder;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// A network with random weights, or that of a checkpoint of the same architecture.
///
/// # Errors
/// [`Error::Settings`] with the first tensor that differs, expected and found.
pub(super) fn model(table: &ModelTable, seed: u64) -> Result<TrainedModel> {
    let fresh = initial_model(&table.architecture(), seed)?;
    let Some(path) = &table.checkpoint else { return Ok(fresh) };
    let found = TrainedModel::open(Path::new(path), &table.options())?;
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
    fit: &Fit<'_>,
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
fn check_same(file: &str, expected: &TrainedModel, found: &TrainedModel) -> Result<()> {
    let wrong = |message: String| Err(Error::settings(format!("checkpoint {file}"), message));
    let (expected, found) = (expected.tensors(), found.tensors());
    for (n, (name, shape, _)) in expected.iter().enumerate() {
        let there = found.get(n);
        let same = there.is_some_and(|(found, there, _)| found == name && there == shape);
        if !same {
            let there =
                there.map_or("none".to_owned(), |(name, shape, _)| format!("{name} {shape:?}"));
            return wrong(format!("expected the tensor {name} {shape:?}, found {there}"));
        }
    }
    match found.get(expected.len()) {
        None => Ok(()),
        Some((name, shape, _)) => {
            wrong(format!("expected no more tensors, found {name} {shape:?}"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_compute::ffn::Architecture;

    use super::*;

    fn error(expected: &Architecture, found: &Architecture) -> String {
        let network = |architecture| initial_model(architecture, 1).unwrap();
        check_same("f", &network(expected), &network(expected)).unwrap();
        check_same("f", &network(expected), &network(found)).unwrap_err().to_string()
    }

    #[test]
    fn the_first_tensor_that_differs_is_named() {
        let error = |depth, features| {
            error(&Architecture::conv_stack(3, 4), &Architecture::conv_stack(depth, features))
        };
        let wide = error(3, 5);
        assert!(
            wide.contains("seed_update/conv0_a/weights [3, 3, 3, 2, 4], found")
                && wide.contains("conv0_a/weights [3, 3, 3, 2, 5]"),
            "{wide}"
        );
        assert!(
            error(2, 4).contains("conv2_a/weights [3, 3, 3, 4, 4], found seed_update/conv_lom")
        );
        assert!(error(4, 4).contains("expected the tensor seed_update/conv_lom"));
    }

    #[test]
    fn the_first_tensor_of_a_res_conv_stack_that_differs_is_named() {
        let plain = Architecture::res_conv_stack(2, 4);
        let bare = Architecture { layer_norm: false, ..plain.clone() };
        let normed = error(&bare, &plain);
        assert!(
            normed.ends_with("expected no more tensors, found LayerNorm_0/scale [4]"),
            "{normed}"
        );
        assert!(error(&plain, &bare).ends_with("the tensor LayerNorm_0/scale [4], found none"));
        let deeper = error(&plain, &Architecture::res_conv_stack(3, 4));
        assert!(
            deeper
                .contains("expected the tensor output/kernel [1, 1, 1, 4, 1], found res2a/kernel")
        );
        let widths = Architecture { features: vec![4, 4, 4, 4, 5, 4], ..plain.clone() };
        assert!(
            error(&plain, &widths).contains("res1a/kernel [3, 3, 3, 4, 4], found res1a/kernel")
        );
    }
}
