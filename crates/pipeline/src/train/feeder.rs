//! Examples made ahead of time by a thread of its own, in the order of their numbers.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::example::{Example, Examples};
use crate::error::{Error, Result};

/// Gives examples one after the other. Dropped, it ends its thread.
#[derive(Debug)]
pub(super) struct Feeder {
    /// Taken away first when this is dropped: the thread then ends.
    examples: Option<Receiver<Result<Example>>>,
    thread: Option<JoinHandle<()>>,
    next: u64,
}

impl Feeder {
    /// Makes examples from a number on, at most so many ahead.
    ///
    /// # Errors
    /// [`Error::Settings`] if the system gives no thread.
    pub(super) fn start(mut examples: Examples, first: u64, ahead: usize) -> Result<Self> {
        let (sender, receiver) = sync_channel(ahead.max(1));
        let make = move || {
            for number in first.. {
                let example = examples.example(number);
                let failed = example.is_err();
                if sender.send(example).is_err() || failed {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("examples".to_owned()).spawn(make);
        let thread = thread.map_err(|e| Error::settings("thread for examples", e.to_string()))?;
        Ok(Self { examples: Some(receiver), thread: Some(thread), next: first })
    }

    /// The next example.
    ///
    /// # Errors
    /// What making it says.
    pub(super) fn next(&mut self) -> Result<Example> {
        let ended = || Error::settings("thread for examples", "it has ended");
        let example = self.examples.as_ref().and_then(|e| e.recv().ok()).ok_or_else(ended)??;
        self.next = example.number + 1;
        Ok(example)
    }

    /// Number of the example that comes next.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.examples = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was seen as its end by whoever asked for examples.
            let _ = thread.join();
        }
    }
}
