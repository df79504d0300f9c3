//! How a training begins, or goes on with what an earlier run has saved.

use std::time::Instant;

use super::super::checkpoint::{Checkpoint, Fit, Progress};
use super::super::config::TrainConfig;
use super::super::ending::Ending;
use super::super::feeder::Feeder;
use super::super::folder::Folder;
use super::super::generator::Generators;
use super::super::geometry::Geometry;
use super::super::learner::{Learner, MakeLearner, Place};
use super::super::log::{self, Table};
use super::super::material::Material;
use super::super::memory::Needs;
use super::super::moves::MovePolicy;
use super::super::run::TrainRun;
use super::super::start;
use super::super::tally::Tally;
use super::super::validation::{self, Validation};
use super::Session;
use crate::error::Result;
use crate::progress::Observer;

impl<'a> Session<'a> {
    /// Begins, or goes on with the latest checkpoint of the folder.
    pub(in super::super) fn open(
        maker: &'a dyn MakeLearner,
        config: &'a TrainConfig,
        run: &'a TrainRun,
        folder: &'a Folder,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let identity = config.identity()?;
        let geometry = Geometry::new(&config.model.config(), &config.moves);
        let seed = config.sampling.seed;
        let (batch, memory) = (config.optimizer.batch, run.memory_bytes);
        let needs = Needs::new(config, &geometry, &run.devices);
        needs.check(memory)?;
        let fit = Fit { geometry, batch, parameters: config.model.parameters() };
        let latest = start::latest(folder, &identity, &fit, observer)?;
        let room = [memory, needs.chunk_bytes(memory, config.volumes.len())];
        let material = Material::open(config, geometry, folder.path(), room, observer)?;
        let needs = needs.with_labels(material.label_bytes()).with_chunks(material.chunk_bytes());
        needs.check(memory)?;
        let saved = match latest {
            Some(checkpoint) => checkpoint,
            None => Checkpoint {
                weights: start::weights(&config.model, seed)?,
                raw: None,
                optimizer: Default::default(),
                generators: Vec::new(),
                progress: Progress::default(),
            },
        };
        let step = saved.progress.step;
        // Damaged ones after it would push out those that are written from now on.
        folder.steps()?.into_iter().filter(|s| *s > step).try_for_each(|s| folder.remove(s))?;
        let policy = MovePolicy::new(&config.moves, geometry, seed);
        let validation =
            open_validation(config, folder, step, memory.saturating_sub(needs.total()))?;
        let needs = needs.with_validation(validation.as_ref().map_or(0, Validation::bytes));
        let mut generators = Generators::new(geometry, policy, batch);
        let feeder = restore(&material, &saved, &mut generators, needs.ahead(memory))?;
        let session = Self {
            maker,
            config,
            run,
            folder,
            observer,
            identity,
            geometry,
            needs,
            ending: Ending::new(&config.run, batch, material.labelled_voxels()),
            place: Place::Devices,
            device: maker.device_name(Place::Devices),
            learner: make(maker, &saved, Place::Devices)?,
            generators,
            feeder,
            progress: saved.progress,
            seconds_before: saved.progress.seconds,
            started: Instant::now(),
            tally: Tally::default(),
            table: Table::training(&folder.join(log::TABLE), step)?,
            validation,
            saved,
            saved_at: Instant::now(),
            material,
        };
        Ok(session)
    }
}

/// Puts generators where a checkpoint says they were, and makes the examples that come next. The examples
/// under way are made again.
pub(super) fn restore(
    material: &Material,
    saved: &Checkpoint,
    generators: &mut Generators,
    ahead: usize,
) -> Result<Feeder> {
    let states = saved.generators.clone();
    let mut examples = material.examples()?;
    let under_way = states.iter().map(|state| examples.example(state.example));
    let under_way = under_way.collect::<Result<Vec<_>>>()?;
    generators.restore(states, under_way);
    Feeder::start(examples, saved.progress.next_example, ahead)
}

/// The validation of a configuration, in so many bytes of memory.
pub(super) fn open_validation(
    config: &TrainConfig,
    folder: &Folder,
    step: u64,
    memory: u64,
) -> Result<Option<Validation>> {
    let Some(table) = &config.validation else { return Ok(None) };
    let path = folder.join(validation::TABLE);
    Ok(Some(Validation::open(table, config, &path, step, memory)?))
}

/// A learner that goes on where a checkpoint was written.
pub(super) fn make(
    maker: &dyn MakeLearner,
    saved: &Checkpoint,
    place: Place,
) -> Result<Box<dyn Learner>> {
    let begun = saved.progress.step > 0;
    let state = begun.then_some(&saved.optimizer);
    Ok(maker.make(saved.training_weights(), state, place)?)
}
