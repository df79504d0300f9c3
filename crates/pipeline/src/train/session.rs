//! The loop of a training, and everything that it keeps.

use std::time::Instant;

use exavox_compute::Error as ComputeError;
use exavox_compute::ffn::train::StepOutcome;

use super::checkpoint::{Checkpoint, Fit, Progress};
use super::config::TrainConfig;
use super::curves;
use super::ending::Ending;
use super::feeder::Feeder;
use super::folder::Folder;
use super::generator::Generators;
use super::geometry::Geometry;
use super::learner::{Learner, MakeLearner, Place};
use super::log::{self, Point, Table};
use super::material::Material;
use super::memory::Needs;
use super::moves::MovePolicy;
use super::run::{CURVES, TrainReport, TrainRun, write_settings};
use super::start;
use super::tally::Tally;
use super::validation::{self, Validation};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// A training under way.
pub(super) struct Session<'a> {
    maker: &'a dyn MakeLearner,
    config: &'a TrainConfig,
    run: &'a TrainRun,
    folder: &'a Folder,
    observer: &'a dyn Observer,
    identity: toml::Table,
    material: Material,
    geometry: Geometry,
    needs: Needs,
    ending: Ending,
    place: Place,
    learner: Box<dyn Learner>,
    generators: Generators,
    feeder: Feeder,
    progress: Progress,
    /// Time of training before this run, and when this run began.
    seconds_before: f64,
    started: Instant,
    tally: Tally,
    table: Table<Point>,
    validation: Option<Validation>,
    /// The last one that was written, to go back to where a device is lost.
    saved: Checkpoint,
    saved_at: Instant,
}

impl<'a> Session<'a> {
    /// Begins, or goes on with the latest checkpoint of the folder.
    pub(super) fn open(
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
        let material = Material::open(config, geometry, folder.path(), memory, observer)?;
        let needs = needs.with_labels(material.label_bytes());
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

    /// Steps until the end, or until somebody wants it to stop.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut shown = 0;
        self.show(&mut shown);
        // Killed after a checkpoint, the run before may not have come to this.
        if self.is_validation_due() {
            self.validate()?;
        }
        let ended = self.steps(&mut shown);
        // Steps since the last line; those before an error tell of it.
        self.log()?;
        ended?;
        if self.saved.progress.step != self.progress.step || self.progress.step == 0 {
            self.save()?;
        }
        Ok(())
    }

    fn steps(&mut self, shown: &mut u64) -> Result<()> {
        while !self.ending.is_reached(&self.progress) && !self.run.stop.is_set() {
            self.step()?;
            self.after_step()?;
            self.show(shown);
        }
        Ok(())
    }

    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What there is to tell.
    pub(super) fn report(&self) -> TrainReport {
        let last = self.table.rows().last();
        TrainReport {
            complete: self.ending.is_reached(&self.progress),
            steps: self.progress.step,
            fovs: self.progress.fovs,
            labelled_voxels: self.material.labelled_voxels(),
            bad_steps: self.progress.bad_steps,
            loss: last.map(|point| point.loss),
            f1: last.map(|point| point.f1).filter(|f1| f1.is_finite()),
            seconds: self.progress.seconds,
            device: self.maker.device_name(self.place),
            best: self.validation.as_ref().and_then(Validation::best),
            ..TrainReport::empty(self.folder)
        }
    }

    fn step(&mut self) -> Result<()> {
        let batch = self.generators.batch(&mut self.feeder, &mut self.tally)?;
        let count = batch.count as u64;
        match self.learner.step(&batch) {
            Ok(outcome) => self.applied(&outcome, count),
            Err(error) => self.fall_back(error.into()),
        }
    }

    fn applied(&mut self, outcome: &StepOutcome, count: u64) -> Result<()> {
        self.generators.update(&outcome.logits);
        self.progress.step += 1;
        self.progress.fovs += count;
        self.progress.next_example = self.feeder.next_number();
        self.progress.seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        if outcome.applied {
            self.tally.step(outcome.loss);
            self.progress.bad_in_a_row = 0;
            return Ok(());
        }
        self.progress.bad_steps += 1;
        self.progress.bad_in_a_row += 1;
        let (bad, most) = (self.progress.bad_in_a_row, self.config.run.max_bad_steps);
        if bad >= most {
            let message = format!(
                "step {}: loss or gradients were not finite for {bad} steps in a row (run.max_bad_steps); \
                 look at the image's values, or choose a lower optimizer.learning_rate",
                self.progress.step
            );
            return Err(Error::settings(self.config.run.output.as_str(), message));
        }
        Ok(())
    }

    /// A device that is lost is replaced by the CPU, from the last checkpoint on.
    fn fall_back(&mut self, error: Error) -> Result<()> {
        let lost = matches!(error, Error::Compute(ComputeError::DeviceFailed { .. }));
        if !lost || self.place == Place::Cpu || !self.maker.can_fall_back() {
            return Err(error);
        }
        let (memory, needs) = (self.run.memory_bytes, self.needs);
        let needs = needs.on_the_cpu(self.config, &self.geometry);
        if let Err(why) = needs.check(memory) {
            let text = format!("the CPU cannot take over: {why}");
            self.observer.notify(&Event::Warning(&text));
            return Err(error);
        }
        self.needs = needs;
        let step = self.saved.progress.step;
        let text = format!("{error}; training goes on on the CPU, from step {step}");
        self.observer.notify(&Event::Warning(&text));
        self.place = Place::Cpu;
        self.learner = make(self.maker, &self.saved, Place::Cpu)?;
        self.progress = self.saved.progress;
        self.seconds_before = self.saved.progress.seconds;
        self.started = Instant::now();
        self.tally = Tally::default();
        self.table = Table::training(&self.folder.join(log::TABLE), step)?;
        let left = memory.saturating_sub(needs.total());
        self.validation = open_validation(self.config, self.folder, step, left)?;
        let ahead = needs.ahead(memory);
        self.feeder = restore(&self.material, &self.saved, &mut self.generators, ahead)?;
        Ok(())
    }

    /// Writes what is due after a step.
    fn after_step(&mut self) -> Result<()> {
        let (step, run) = (self.progress.step, &self.config.run);
        if step.is_multiple_of(run.log_steps) {
            self.log()?;
        }
        let validate = self.is_validation_due();
        let by_steps = run.checkpoint_steps.is_some_and(|steps| step.is_multiple_of(steps));
        let by_time = self.saved_at.elapsed().as_secs_f64() >= 60.0 * run.checkpoint_minutes;
        if validate || by_steps || by_time {
            self.save()?;
        }
        if validate {
            self.validate()?;
        }
        Ok(())
    }

    /// Whether the weights of this step are to be validated, and have not been.
    fn is_validation_due(&self) -> bool {
        let (step, table) = (self.progress.step, &self.config.validation);
        let due = table.as_ref().is_some_and(|table| step > 0 && step.is_multiple_of(table.steps));
        let done = |v: &Validation| v.all().last().is_some_and(|last| last.step == step);
        due && !self.validation.as_ref().is_some_and(done)
    }

    fn log(&mut self) -> Result<()> {
        if self.tally.steps > 0 {
            self.table.add(&log::line(&self.progress, &self.tally))?;
        }
        self.tally = Tally::default();
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let (weights, raw) = (self.learner.used_weights(), self.learner.weights());
        self.saved = Checkpoint {
            raw: (raw != weights).then_some(raw),
            weights,
            optimizer: self.learner.state(),
            generators: self.generators.states(),
            progress: self.progress,
        };
        self.saved.save(self.folder, &self.identity)?;
        self.saved_at = Instant::now();
        write_settings(self.config, self.folder, self.progress.step)?;
        self.prune()?;
        self.draw()
    }

    /// Removes checkpoints that are too many; the best of the validation stays.
    fn prune(&self) -> Result<()> {
        let best = self.validation.as_ref().and_then(Validation::best).map(|best| best.step);
        let steps = self.folder.steps()?;
        let others: Vec<u64> = steps.into_iter().filter(|step| Some(*step) != best).collect();
        let too_many = others.len().saturating_sub(self.config.run.keep);
        others[..too_many].iter().try_for_each(|step| self.folder.remove(*step))
    }

    fn validate(&mut self) -> Result<()> {
        if let Err(error) = self.validate_once() {
            // The weights are those of the last checkpoint: nothing is gone back over.
            self.fall_back(error)?;
            self.validate_once()?;
        }
        self.prune()?;
        self.draw()
    }

    fn validate_once(&mut self) -> Result<()> {
        let Some(validation) = &mut self.validation else { return Ok(()) };
        let (step, weights) = (self.progress.step, &self.saved.weights);
        validation.run(step, weights, (self.maker, self.place), self.observer)?;
        Ok(())
    }

    fn draw(&self) -> Result<()> {
        let validated = self.validation.as_ref().map(Validation::all).unwrap_or_default();
        let title = format!("Training: {}", self.folder.path().display());
        let page = curves::page(&title, &self.note(), self.table.rows(), validated);
        let path = self.folder.join(CURVES);
        Ok(exavox_io::staging::write_whole(&path, page.as_bytes())?)
    }

    /// `step 300, 1200 FOVs, loss 0.41, 12.1 FOVs/s`.
    fn note(&self) -> String {
        let Progress { step, fovs, bad_steps, .. } = self.progress;
        let rate = (fovs as f64) / self.progress.seconds.max(1e-9);
        let mut note = format!("step {step}, {fovs} FOVs, {rate:.1} FOVs/s");
        if let Some(voxels) = self.material.labelled_voxels() {
            note.push_str(&format!(", {voxels} labelled voxels"));
        }
        let last = self.table.rows().last();
        if let Some(point) = last {
            note.push_str(&format!(", loss {:.4}", point.loss));
            if point.f1.is_finite() {
                note.push_str(&format!(", F1 {:.3}", point.f1));
            }
        }
        if let Some(best) = self.validation.as_ref().and_then(Validation::best) {
            note.push_str(&format!(", best VOI {:.3} at step {}", best.voi, best.step));
        }
        if bad_steps > 0 {
            note.push_str(&format!(", {bad_steps} bad steps"));
        }
        note
    }

    fn show(&self, shown: &mut u64) {
        let done = self.ending.done(&self.progress);
        let by = done.saturating_sub(*shown);
        *shown = done.max(*shown);
        self.observer.notify(&Event::Advanced { by, note: &self.note() });
    }
}

/// Puts generators where a checkpoint says they were, and makes the examples that come next. The examples
/// under way are made again.
fn restore(
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

fn open_validation(
    config: &TrainConfig,
    folder: &Folder,
    step: u64,
    memory: u64,
) -> Result<Option<Validation>> {
    let Some(table) = &config.validation else { return Ok(None) };
    let path = folder.join(validation::TABLE);
    Ok(Some(Validation::open(table, config, &path, step, memory)?))
}

fn make(maker: &dyn MakeLearner, saved: &Checkpoint, place: Place) -> Result<Box<dyn Learner>> {
    let begun = saved.progress.step > 0;
    let state = begun.then_some(&saved.optimizer);
    Ok(maker.make(saved.training_weights(), state, place)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Mutex;

    use exavox_compute::ComputeDevice;
    use exavox_compute::ffn::train::{OptimizerState, TrainBatch};
    use exavox_compute::ffn::{Network, TrainedModel, Weights};
    use exavox_io::{DataType, VolumeWriter, Voxels, WriteOptions};

    use super::super::folder::StartMode;
    use super::super::learner::Trainers;
    use super::super::run::{Select, train_with};
    use super::*;
    use crate::blocks::StopFlag;
    use crate::segment::SegmentSettings;

    /// Trainers on the CPU, of which the first is lost after some steps, or in its validation.
    struct Losing {
        trainers: Trainers,
        steps_left: Rc<Cell<u32>>,
        lost_in_validation: bool,
    }

    fn lost() -> ComputeError {
        let (device, reason) = ("gpu".to_owned(), "it fell off the bus".to_owned());
        ComputeError::DeviceFailed { device, reason }
    }

    impl Network for Losing {
        fn step(&mut self, _: &[f32], _: &[f32], _: &mut [f32]) -> Result<(), ComputeError> {
            Err(lost())
        }

        fn device_name(&self) -> String {
            "gpu".to_owned()
        }
    }

    struct Lost(Box<dyn Learner>, Option<Rc<Cell<u32>>>);

    impl Learner for Lost {
        fn step(&mut self, batch: &TrainBatch<'_>) -> Result<StepOutcome, ComputeError> {
            if let Some(left) = &self.1 {
                if left.get() == 0 {
                    return Err(lost());
                }
                left.set(left.get() - 1);
            }
            self.0.step(batch)
        }

        fn weights(&self) -> Weights {
            self.0.weights()
        }

        fn used_weights(&self) -> Weights {
            self.0.used_weights()
        }

        fn state(&self) -> OptimizerState {
            self.0.state()
        }
    }

    impl MakeLearner for Losing {
        fn make(
            &self,
            weights: &Weights,
            state: Option<&OptimizerState>,
            place: Place,
        ) -> Result<Box<dyn Learner>, ComputeError> {
            let trainer = self.trainers.make(weights, state, Place::Cpu)?;
            let left = (place == Place::Devices).then(|| Rc::clone(&self.steps_left));
            Ok(Box::new(Lost(trainer, left)))
        }

        fn network<'a>(
            &self,
            model: &'a TrainedModel,
            settings: &SegmentSettings,
            place: Place,
            observer: &'a dyn Observer,
        ) -> Result<(Box<dyn Network + 'a>, usize)> {
            if self.lost_in_validation && place == Place::Devices {
                let trainers = Trainers { devices: Vec::new(), ..self.trainers };
                let steps_left = Rc::clone(&self.steps_left);
                return Ok((Box::new(Self { trainers, steps_left, lost_in_validation: true }), 1));
            }
            self.trainers.network(model, settings, Place::Cpu, observer)
        }

        fn can_fall_back(&self) -> bool {
            true
        }

        fn device_name(&self, place: Place) -> String {
            format!("{place:?}")
        }
    }

    #[derive(Default)]
    struct Warnings(Mutex<Vec<String>>);

    impl Observer for Warnings {
        fn notify(&self, event: &Event<'_>) {
            if let Event::Warning(text) = event {
                self.0.lock().unwrap().push((*text).to_owned());
            }
        }
    }

    fn write(path: &std::path::Path, label: impl Fn(usize) -> u8) {
        let shape = [9, 9, 12];
        let options = WriteOptions::new(DataType::U8, shape.map(|s| s as u64));
        let writer = VolumeWriter::create(&path.display().to_string(), &options).unwrap();
        let values: Vec<u8> = (0..9 * 9 * 12).map(label).collect();
        writer.write(0, [0; 3], &Voxels::from_vec(shape, values).unwrap()).unwrap();
        writer.finish().unwrap();
    }

    /// Trains twelve steps on a device that is lost; the device at the end, the weights, the table of the
    /// validation, warnings.
    fn trained(
        directory: &std::path::Path,
        output: &str,
        steps_left: u32,
        lost_in_validation: bool,
    ) -> (String, Vec<u8>, String, Vec<String>) {
        let path = |name: &str| directory.join(name).display().to_string();
        let text = format!(
            "[[volumes]]\nimage = '{0}'\nlabels = '{1}'\nmean = 90\nstddev = 40\n[model]\n\
             depth = 1\nfeatures = 2\nfov_zyx = [5, 5, 5]\ndeltas_zyx = [1, 1, 1]\n[sampling]\n\
             min_size = 9\n[optimizer]\nkind = 'momentum'\n[run]\noutput = '{2}'\nsteps = 12\n\
             checkpoint_steps = 5\n[validation]\nimage = '{0}'\nlabels = '{1}'\nsteps = 6\n",
            path("image.npy"),
            path("labels.npy"),
            path(output)
        );
        let config = TrainConfig::parse(&text, "c.toml").unwrap();
        let (options, model) = (config.optimizer.options(), config.model.config());
        let trainers = Trainers { model, options, devices: Vec::new() };
        let steps_left = Rc::new(Cell::new(steps_left));
        let maker = Losing { trainers, steps_left, lost_in_validation };
        let run = TrainRun {
            devices: vec![ComputeDevice::cpu().unwrap()],
            start: StartMode::CreateNew,
            memory_bytes: 1 << 30,
            select: Select::Last,
            stop: StopFlag::default(),
        };
        let warnings = Warnings::default();
        let report = train_with(&maker, &config, &run, &warnings).unwrap();
        let weights = std::fs::read(&report.checkpoint).unwrap();
        let table = std::fs::read_to_string(path(output) + "/validation.csv").unwrap();
        // But for the time it took.
        let table = table.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n");
        (report.device, weights, table.collect(), warnings.0.into_inner().unwrap())
    }

    #[test]
    fn a_lost_device_is_replaced_and_the_result_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        write(&path("labels.npy"), |n| 1 + u8::from(n % 12 > 5));
        write(&path("image.npy"), |n| 40 + 100 * u8::from(n % 12 > 5) + (n % 7) as u8);
        let train = |output: &str, left, lost| trained(directory.path(), output, left, lost);
        let (device, whole, table, warnings) = train("whole", 100, false);
        assert_eq!((device.as_str(), warnings.len()), ("Devices", 0));
        assert_eq!(table.lines().count(), 3, "{table}");
        for (left, in_validation, step) in [(8, false, 6), (2, false, 0), (100, true, 6)] {
            let output = format!("lost-{left}");
            let (device, weights, validated, warnings) = train(&output, left, in_validation);
            assert_eq!((device.as_str(), warnings.len()), ("Cpu", 1));
            let expected =
                format!("it fell off the bus; training goes on on the CPU, from step {step}");
            assert!(warnings[0].ends_with(&expected), "{warnings:?}");
            assert!(weights == whole, "lost after {left} steps");
            assert_eq!(validated, table);
        }
    }
}
