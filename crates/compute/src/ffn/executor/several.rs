//! Executors of several devices.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Client, Executor};
use crate::error::{Error, Result};

/// Executors of several devices.
pub struct Executors(Vec<Executor>);

impl Executors {
    /// Of these; there must be one.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none.
    pub fn new(executors: Vec<Executor>) -> Result<Self> {
        if executors.is_empty() {
            return Err(Error::Usage("expected at least one device, found none".into()));
        }
        Ok(Self(executors))
    }

    /// A client of the executor that has the fewest, and of those the one with the least to do.
    pub fn client(&self) -> Client {
        let load = |executor: &&Executor| {
            let shared = &executor.shared;
            let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
            (count(&shared.bound), count(&shared.under_way))
        };
        // There is at least one.
        let least = self.0.iter().min_by_key(load).unwrap_or(&self.0[0]);
        least.client()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Executor> {
        self.0.iter()
    }
}
