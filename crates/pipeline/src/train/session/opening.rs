//! How a training begins, or goes on with what an earlier run has saved.

use std::time::Instant;

use exavox_compute::ComputeDevice;

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
        let geometry = geometry_of(config);
        let beginning = Beginning::open(config, run, folder, &identity, observer)?;
        let Beginning { material, needs, saved, validation, generators, feeder } = beginning;
        let (batch, progress) = (config.optimizer.batch, saved.progress);
        Ok(Self {
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
            progress,
            seconds_before: progress.seconds,
            started: Instant::now(),
            tally: Tally::default(),
            table: Table::training(&folder.join(log::TABLE), progress.step)?,
            validation,
            saved,
            saved_at: Instant::now(),
            material,
        })
    }
}

/// What a training begins with.
struct Beginning {
    material: Material,
    needs: Needs,
    saved: Checkpoint,
    validation: Option<Validation>,
    generators: Generators,
    feeder: Feeder,
}

impl Beginning {
    /// Everything that is read, each within the memory that what came before leaves.
    fn open(
        config: &TrainConfig,
        run: &TrainRun,
        folder: &Folder,
        identity: &toml::Table,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let memory = run.memory_bytes;
        let (geometry, architecture) = (geometry_of(config), config.model.architecture());
        let needs = Needs::new(config, &geometry, &run.devices);
        needs.check(memory)?;
        let batch = config.optimizer.batch;
        let fit = Fit { geometry, batch, architecture: &architecture };
        let latest = start::latest(folder, identity, &fit, observer)?;
        let (material, needs) = open_material(config, folder, memory, needs, observer)?;
        let saved = latest.map_or_else(|| before_the_first_step(config), Ok)?;
        let step = saved.progress.step;
        forget_after(folder, step)?;
        let left = memory.saturating_sub(needs.total());
        let validation = open_validation(config, &run.devices, folder, step, left)?;
        let needs = needs.with_validation(validation.as_ref().map_or(0, Validation::bytes));
        let policy = MovePolicy::new(&config.moves, geometry, config.sampling.seed);
        let mut generators = Generators::new(geometry, policy, batch);
        let feeder = restore(&material, &saved, &mut generators, needs.ahead(memory))?;
        Ok(Self { material, needs, saved, validation, generators, feeder })
    }
}

/// The sizes of all that belongs to an example.
fn geometry_of(config: &TrainConfig) -> Geometry {
    let lost = config.model.architecture().lost_zyx();
    Geometry::new(&config.model.config(), &config.moves)
        .without_border(lost)
        .with_channels(config.model.num_channels())
}

/// The volumes, and what is needed with them.
fn open_material(
    config: &TrainConfig,
    folder: &Folder,
    memory: u64,
    needs: Needs,
    observer: &dyn Observer,
) -> Result<(Material, Needs)> {
    let geometry = geometry_of(config);
    let room = [memory, needs.chunk_bytes(memory, config.volumes.len())];
    let material = Material::open(config, geometry, folder.path(), room, observer)?;
    let needs = needs.with_labels(material.label_bytes()).with_chunks(material.chunk_bytes());
    needs.check(memory)?;
    Ok((material, needs))
}

/// What would be saved before the first step.
fn before_the_first_step(config: &TrainConfig) -> Result<Checkpoint> {
    Ok(Checkpoint {
        model: start::model(&config.model, config.sampling.seed)?,
        raw: None,
        optimizer: Default::default(),
        generators: Vec::new(),
        progress: Progress::default(),
    })
}

/// Removes checkpoints after a step: damaged ones would push out those that are written from now on.
fn forget_after(folder: &Folder, step: u64) -> Result<()> {
    folder.steps()?.into_iter().filter(|later| *later > step).try_for_each(|s| folder.remove(s))
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
    devices: &[ComputeDevice],
    folder: &Folder,
    step: u64,
    memory: u64,
) -> Result<Option<Validation>> {
    let Some(table) = &config.validation else { return Ok(None) };
    let path = folder.join(validation::TABLE);
    Ok(Some(Validation::open(table, config, devices, &path, (step, memory))?))
}

/// A learner that goes on where a checkpoint was written.
pub(super) fn make(
    maker: &dyn MakeLearner,
    saved: &Checkpoint,
    place: Place,
) -> Result<Box<dyn Learner>> {
    let begun = saved.progress.step > 0;
    let state = begun.then_some(&saved.optimizer);
    Ok(maker.make(saved.training_model(), state, place)?)
}
