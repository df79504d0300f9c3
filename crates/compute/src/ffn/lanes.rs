//! A step on each core: many FOVs on a CPU.
//!
//! All cores on one FOV wait for each other after each of its layers; a core with an FOV of its own
//! waits for nobody.

use std::sync::{Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Threads that work alone: what they call finds one thread in its pool.
pub(super) struct Lanes(Vec<ThreadPool>);

impl Lanes {
    /// As many as the current pool has threads.
    pub(super) fn new() -> Result<Self> {
        let lane = |_| {
            let built = ThreadPoolBuilder::new().num_threads(1).build();
            built.map_err(|e| Error::DeviceFailed { device: "cpu".into(), reason: e.to_string() })
        };
        Ok(Self((0..rayon::current_num_threads()).map(lane).collect::<Result<_>>()?))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Does each piece of work on one of the threads; the first error comes out.
    pub(super) fn run<T: Send>(
        &self,
        work: impl Iterator<Item = T> + Send,
        step: impl Fn(T) -> Result<()> + Sync,
    ) -> Result<()> {
        let shared = Shared { work: Mutex::new(work), error: Mutex::new(None) };
        on_each(&self.0, &|| shared.take_all(&step));
        match shared.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

struct Shared<I> {
    work: Mutex<I>,
    error: Mutex<Option<Error>>,
}

impl<I: Iterator> Shared<I> {
    fn take_all(&self, step: &impl Fn(I::Item) -> Result<()>) {
        let next = || self.work.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(piece) = next() {
            if let Err(error) = step(piece) {
                let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
                return;
            }
        }
    }
}

/// Runs the same on every lane at once, and waits for all.
fn on_each(lanes: &[ThreadPool], work: &(impl Fn() + Sync)) {
    if let Some((lane, others)) = lanes.split_first() {
        lane.in_place_scope(|scope| {
            scope.spawn(|_| work());
            on_each(others, work);
        });
    }
}
