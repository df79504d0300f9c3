//! A device that is lost in a step. What a device fails at in a validation is done by the CPU there.

use std::time::Instant;

use exavox_compute::Error as ComputeError;

use super::super::learner::Place;
use super::super::log::{self, Table};
use super::super::tally::Tally;
use super::super::validation;
use super::Session;
use super::opening::{make, restore};
use crate::error::{Error, Result};
use crate::progress::Event;

impl Session<'_> {
    /// A device that is lost is replaced by the CPU, from the last checkpoint on.
    pub(super) fn fall_back(&mut self, error: Error) -> Result<()> {
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
        self.device = self.maker.device_name(Place::Cpu);
        self.learner = make(self.maker, &self.saved, Place::Cpu)?;
        self.progress = self.saved.progress;
        self.seconds_before = self.saved.progress.seconds;
        self.started = Instant::now();
        self.tally = Tally::default();
        self.table = Table::training(&self.folder.join(log::TABLE), step)?;
        if let Some(validation) = &mut self.validation {
            validation.go_back(&self.folder.join(validation::TABLE), step)?;
        }
        let ahead = needs.ahead(memory);
        self.feeder = restore(&self.material, &self.saved, &mut self.generators, ahead)?;
        Ok(())
    }

    /// Validates the weights of the last checkpoint.
    pub(super) fn validate(&mut self) -> Result<()> {
        let Some(validation) = &mut self.validation else { return Ok(()) };
        let (step, model) = (self.progress.step, &self.saved.model);
        validation.run(step, model, (self.maker, self.place), self.observer)?;
        self.prune()?;
        self.draw()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Mutex;

    use exavox_compute::ComputeDevice;
    use exavox_compute::ffn::train::{OptimizerState, StepOutcome, TrainBatch};
    use exavox_compute::ffn::{Network, TrainedModel};
    use exavox_io::{DataType, VolumeWriter, Voxels, WriteOptions};

    use super::super::super::config::TrainConfig;
    use super::super::super::folder::StartMode;
    use super::super::super::learner::{Learner, MakeLearner, Trainers};
    use super::super::super::run::{Select, TrainRun, train_with};
    use super::*;
    use crate::blocks::StopFlag;
    use crate::progress::Observer;
    use crate::segment::SegmentSettings;

    /// Trainers on the CPU, of which the first is lost after some steps.
    struct Losing {
        trainers: Trainers,
        steps_left: Rc<Cell<u32>>,
    }

    fn lost() -> ComputeError {
        let (device, reason) = ("gpu".to_owned(), "it fell off the bus".to_owned());
        ComputeError::DeviceFailed { device, reason }
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

        fn model(&self) -> TrainedModel {
            self.0.model()
        }

        fn used_model(&self) -> TrainedModel {
            self.0.used_model()
        }

        fn state(&self) -> OptimizerState {
            self.0.state()
        }
    }

    impl MakeLearner for Losing {
        fn make(
            &self,
            model: &TrainedModel,
            state: Option<&OptimizerState>,
            place: Place,
        ) -> Result<Box<dyn Learner>, ComputeError> {
            let trainer = self.trainers.make(model, state, Place::Cpu)?;
            let left = (place == Place::Devices).then(|| Rc::clone(&self.steps_left));
            Ok(Box::new(Lost(trainer, left)))
        }

        fn network<'a>(
            &self,
            model: &'a TrainedModel,
            settings: &SegmentSettings,
            _place: Place,
            observer: &'a dyn Observer,
        ) -> Result<(Box<dyn Network + 'a>, usize)> {
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
        let maker = Losing { trainers, steps_left };
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
        let train = |output: &str, left| trained(directory.path(), output, left);
        let (device, whole, table, warnings) = train("whole", 100);
        assert_eq!((device.as_str(), warnings.len()), ("Devices", 0));
        assert_eq!(table.lines().count(), 3, "{table}");
        for (left, step) in [(8, 6), (2, 0)] {
            let output = format!("lost-{left}");
            let (device, weights, validated, warnings) = train(&output, left);
            assert_eq!((device.as_str(), warnings.len()), ("Cpu", 1));
            let expected =
                format!("it fell off the bus; training goes on on the CPU, from step {step}");
            assert!(warnings[0].ends_with(&expected), "{warnings:?}");
            assert!(weights == whole, "lost after {left} steps");
            assert_eq!(validated, table);
        }
    }
}
