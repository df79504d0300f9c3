//! Checkpoints: three files that are written one after the other, each whole or not at all.
//!
//! | file | what |
//! |---|---|
//! | `checkpoint-STEP.safetensors` | weights, as `segment --model` takes them |
//! | `checkpoint-STEP.raw.safetensors` | weights that training goes on with, if those above are a moving average |
//! | `checkpoint-STEP.state.safetensors` | what the optimiser remembers; canvases of the examples under way |
//! | `checkpoint-STEP.toml` | description, with the digests of the others: written last, so that without it nothing counts |

use std::fs;

use exavox_compute::ffn::TrainedModel;
use exavox_compute::ffn::train::OptimizerState;
use exavox_io::Error as IoError;
use exavox_io::staging::write_whole;
use serde::{Deserialize, Serialize};

use super::folder::{Folder, checkpoint_name};
use super::generator::GeneratorState;
use crate::error::{Error, Result};

mod changes;
mod files;
mod fit;
mod tensors;

use changes::changes;
use files::{digest, open_model, read, read_checked, save_model};
pub(super) use fit::Fit;

/// Version of the description.
const VERSION: u32 = 1;
/// Bytes of a description at most.
const MAX_BYTES: u64 = 64 << 20;

/// Counters of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Steps tried.
    pub(super) step: u64,
    /// Fields of view trained on.
    pub(super) fovs: u64,
    /// Steps that were not applied, in all, and the last ones in a row.
    pub(super) bad_steps: u64,
    pub(super) bad_in_a_row: u64,
    /// Number of the example that comes next.
    pub(super) next_example: u64,
    /// Wall-clock time of training.
    pub(super) seconds: f64,
}

/// All that an exact resume needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    /// The network to use.
    pub(super) model: TrainedModel,
    /// The one to go on with, where its weights are others.
    pub(super) raw: Option<TrainedModel>,
    pub(super) optimizer: OptimizerState,
    pub(super) generators: Vec<GeneratorState>,
    pub(super) progress: Progress,
}

/// The description.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    exavox_checkpoint: u32,
    progress: Progress,
    /// Updates that the optimiser has made.
    updates: u64,
    architecture: Network,
    digests: Digests,
    generators: Vec<GeneratorState>,
    /// What the result depends on.
    config: toml::Table,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    depth: usize,
    /// Channels before the output.
    features: usize,
    parameters: usize,
    /// All of it in words.
    #[serde(default)]
    text: String,
}

/// BLAKE3 of the other files.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digests {
    weights: String,
    state: String,
    #[serde(default)]
    raw: Option<String>,
}

impl Checkpoint {
    /// The network to go on with.
    pub(super) fn training_model(&self) -> &TrainedModel {
        self.raw.as_ref().unwrap_or(&self.model)
    }

    /// Writes the files. Killed in the middle, it leaves no description, or the whole.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn save(&self, folder: &Folder, config: &toml::Table) -> Result<()> {
        let path = |suffix: &str| folder.join(&format!("{}.{suffix}", self.name()));
        let description = path("toml");
        if description.exists() {
            // One of an earlier try at the same step must not vouch for the new files.
            fs::remove_file(&description).map_err(IoError::at(&description))?;
        }
        let digests = Digests {
            weights: save_model(&self.model, &path("safetensors"))?,
            raw: self
                .raw
                .as_ref()
                .map(|raw| save_model(raw, &path("raw.safetensors")))
                .transpose()?,
            state: {
                let bytes = tensors::to_bytes(self, &path("state.safetensors"))?;
                write_whole(&path("state.safetensors"), &bytes)?;
                digest(&bytes)
            },
        };
        let record = Record {
            exavox_checkpoint: VERSION,
            progress: self.progress,
            updates: self.optimizer.steps,
            architecture: network(&self.model),
            digests,
            generators: self.generators.clone(),
            config: config.clone(),
        };
        let wrong = |e: toml::ser::Error| Error::settings(self.name(), e.to_string());
        let text = toml::to_string(&record).map_err(wrong)?;
        Ok(write_whole(&description, text.as_bytes())?)
    }

    /// Reads a checkpoint; nothing is taken that is not as it was written, or does not fit.
    ///
    /// # Errors
    /// [`Error::Settings`] with the file that is damaged; [`Error::PlanChanged`] if it is of another
    /// configuration.
    pub(super) fn open(
        folder: &Folder,
        step: u64,
        config: &toml::Table,
        fit: &Fit<'_>,
    ) -> Result<Self> {
        let path = |suffix: &str| folder.join(&format!("{}.{suffix}", checkpoint_name(step)));
        let description = path("toml");
        let place = description.display().to_string();
        let text = String::from_utf8(read(&description, MAX_BYTES)?)
            .map_err(|e| Error::settings(&*place, e.to_string()))?;
        let record: Record = toml::from_str(&text).map_err(|e| {
            let message = e.message().lines().collect::<Vec<_>>().join(" ");
            Error::settings(&*place, message)
        })?;
        if record.exavox_checkpoint != VERSION {
            let message = format!("expected version {VERSION}, found {}", record.exavox_checkpoint);
            return Err(Error::settings(place, message));
        }
        if let Some(changes) = changes(&record.config, config) {
            return Err(Error::PlanChanged { place, changes });
        }
        let mut generators = record.generators;
        fit.check(&record.progress, &generators).map_err(|e| Error::settings(&*place, e))?;
        let model = open_model(&path("safetensors"), &record.digests.weights, fit)?;
        let raw = record.digests.raw.as_ref();
        let raw = raw.map(|digest| open_model(&path("raw.safetensors"), digest, fit));
        let raw = raw.transpose()?;
        let path = path("state.safetensors");
        let state = read_checked(&path, &record.digests.state, fit.state_bytes())?;
        let slots = tensors::from_bytes(&state, &mut generators, fit, &path)?;
        let optimizer = OptimizerState { steps: record.updates, slots };
        Ok(Self { model, raw, optimizer, generators, progress: record.progress })
    }

    /// Name of the files, without their suffixes.
    pub(super) fn name(&self) -> String {
        checkpoint_name(self.progress.step)
    }
}

/// Depth, features and size.
fn network(model: &TrainedModel) -> Network {
    let architecture = model.architecture();
    Network {
        depth: architecture.depth,
        features: architecture.features.last().copied().unwrap_or(0),
        parameters: model.num_parameters(),
        text: architecture.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::LazyLock;

    use exavox_compute::ffn::train::initial_model;
    use exavox_compute::ffn::{Architecture, ModelConfig};

    use super::super::config::{MovesTable, PolicyName};
    use super::super::folder::StartMode;
    use super::super::geometry::Geometry;
    use super::*;

    static ARCHITECTURE: LazyLock<Architecture> = LazyLock::new(|| Architecture::conv_stack(2, 3));

    fn some_model(features: usize, seed: u64) -> TrainedModel {
        initial_model(&Architecture::conv_stack(2, features), seed).unwrap()
    }

    /// Three generators on examples of three voxels.
    fn fit() -> Fit<'static> {
        let model = ModelConfig { fov_zyx: [1, 1, 3], deltas_zyx: [0; 3] };
        let moves = MovesTable { policy: PolicyName::NoStep, ..MovesTable::default() };
        let geometry = Geometry::new(&model, &moves);
        Fit { geometry, batch: 3, architecture: &ARCHITECTURE }
    }

    fn checkpoint(step: u64) -> Checkpoint {
        let generators = [(0, 7), (2, 9)].map(|(slot, example)| GeneratorState {
            slot,
            example,
            moves: Default::default(),
            canvas: vec![example as f32, f32::MIN_POSITIVE, -0.0],
        });
        let slots = vec![("a/velocity".to_owned(), vec![1.5, -2.5]), ("b".to_owned(), vec![0.1])];
        Checkpoint {
            model: some_model(3, 1),
            raw: Some(some_model(3, 2)),
            optimizer: OptimizerState { steps: step - 1, slots },
            generators: generators.to_vec(),
            progress: Progress {
                step,
                fovs: 4 * step,
                next_example: 10,
                seconds: 0.25,
                ..Progress::default()
            },
        }
    }

    fn config(depth: i64) -> toml::Table {
        format!("[model]\ndepth = {depth}\n[[volumes]]\nmean = 1.0\n").parse().unwrap()
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path().to_str().unwrap(), StartMode::Resume).unwrap();
        (directory, folder)
    }

    #[test]
    fn a_checkpoint_comes_back_to_the_bit() {
        let (_directory, folder) = folder();
        let saved = checkpoint(12);
        saved.save(&folder, &config(2)).unwrap();
        assert_eq!(Checkpoint::open(&folder, 12, &config(2), &fit()).unwrap(), saved);
        assert_eq!(folder.steps().unwrap(), [12]);
        folder.remove(12).unwrap();
        assert_eq!(folder.steps().unwrap(), [0; 0]);
    }

    #[test]
    fn damage_and_another_configuration_are_named() {
        let (_directory, folder) = folder();
        let error = |config| Checkpoint::open(&folder, 3, &config, &fit()).unwrap_err().to_string();
        checkpoint(3).save(&folder, &config(2)).unwrap();
        assert!(error(config(4)).contains("model.depth was 2 and is 4"));
        for name in ["safetensors", "raw.safetensors", "state.safetensors", "toml"] {
            checkpoint(3).save(&folder, &config(2)).unwrap();
            let path = folder.join(&format!("checkpoint-00000003.{name}"));
            let whole = fs::read(&path).unwrap();
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let found = error(config(2));
            assert!(found.contains(&format!("checkpoint-00000003.{name}")), "{found}");
            fs::remove_file(&path).unwrap();
            assert!(error(config(2)).contains(&format!("checkpoint-00000003.{name}")));
        }
    }

    /// Each is whole and vouched for, but of another training.
    #[test]
    fn what_does_not_fit_the_training_is_named() {
        let (_directory, folder) = folder();
        let error = |change: &dyn Fn(&mut Checkpoint)| {
            let mut checkpoint = checkpoint(3);
            change(&mut checkpoint);
            checkpoint.save(&folder, &config(2)).unwrap();
            let error = Checkpoint::open(&folder, 3, &config(2), &fit()).unwrap_err().to_string();
            assert!(error.contains("checkpoint-00000003."), "{error}");
            error
        };
        let short = error(&|c| c.generators[1].canvas.truncate(2));
        assert!(short.ends_with("tensor canvas/2: expected 3 values, found 2"), "{short}");
        let infinite = error(&|c| c.generators[0].canvas[1] = f32::INFINITY);
        assert!(infinite.ends_with("tensor canvas/0: value 1 is inf: not finite"), "{infinite}");
        for slot in [3, usize::MAX >> 1] {
            let slots = error(&|c| c.generators[1].slot = slot);
            assert!(slots.contains("expected rising numbers below 3"), "{slots}");
        }
        let later = error(&|c| c.generators[0].example = 10);
        assert!(later.contains("slot 0: expected an example before 10, found 10"), "{later}");
        let timeless = error(&|c| c.progress.seconds = f64::NAN);
        assert!(timeless.contains("progress.seconds: expected a time, found NaN"), "{timeless}");
        let wide = error(&|c| c.raw = Some(some_model(4, 1)));
        assert!(wide.contains("raw.safetensors: expected ConvStack depth=2"), "{wide}");
        let slots = vec![("a".to_owned(), vec![0.0; 17 << 20])];
        let large = error(&|c| c.optimizer.slots = slots.clone());
        assert!(large.contains("state.safetensors: expected at most "), "{large}");
    }

    /// The description is what vouches for the other files: nothing vouches for it.
    #[test]
    fn a_description_that_was_changed_is_checked() {
        let (_directory, folder) = folder();
        checkpoint(3).save(&folder, &config(2)).unwrap();
        let path = folder.join("checkpoint-00000003.toml");
        let text = fs::read_to_string(&path).unwrap();
        let error = |from: &str, to: &str| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            fs::write(&path, changed).unwrap();
            Checkpoint::open(&folder, 3, &config(2), &fit()).unwrap_err().to_string()
        };
        for field in ["queue", "done"] {
            let far = format!("{field} = [[0, 0, {}]]", i64::MIN);
            let error = error(&format!("{field} = []"), &far);
            assert!(error.contains("slot 0: expected offsets inside [1, 1, 3]"), "{error}");
        }
        let twice = error("slot = 2", "slot = 0");
        assert!(twice.contains("slot 0: expected rising numbers below 3"), "{twice}");
    }
}
