//! What is known of a channel while its tiles are on many threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use exavox_io::{BoundingBox, Voxels};

use super::ChannelReport;
use super::output::ChannelOutput;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

/// A channel under way.
pub(super) struct Channel {
    name: String,
    started: OnceLock<Instant>,
    failed: AtomicBool,
    state: Mutex<State>,
}

enum State {
    Open(Box<ChannelOutput>),
    /// Done; the projection, if it is kept for a common file.
    Done(Option<Voxels>, f64),
    Failed(Error, f64),
}

impl Channel {
    /// A channel of which nothing is done.
    pub(super) fn new(name: String, output: ChannelOutput) -> Self {
        let state = Mutex::new(State::Open(Box::new(output)));
        Self { name, started: OnceLock::new(), failed: AtomicBool::new(false), state }
    }

    /// False if the channel has failed: its tiles are not worth reading.
    pub(super) fn begin_tile(&self) -> bool {
        self.started.get_or_init(Instant::now);
        !self.failed.load(Ordering::Relaxed)
    }

    /// Takes what became of a tile, and tells when the channel is done or has failed.
    pub(super) fn end_tile(
        &self,
        band: u64,
        tile: &BoundingBox,
        projection: Result<Voxels>,
        observer: &dyn Observer,
    ) {
        let seconds = self.started.get().map_or(0.0, |started| started.elapsed().as_secs_f64());
        let mut state = self.lock();
        let State::Open(output) = &mut *state else { return };
        let taken = projection.and_then(|voxels| output.take(band, tile, &voxels));
        *state = match taken {
            Ok(false) => return,
            Ok(true) => match std::mem::replace(&mut *state, State::Done(None, seconds)) {
                State::Open(output) => output.finish().map_or_else(
                    |error| State::Failed(error, seconds),
                    |kept| State::Done(kept, seconds),
                ),
                other => other,
            },
            // The writer goes with the output, and what it has written so far with the writer.
            Err(error) => State::Failed(error, seconds),
        };
        let error = match &*state {
            State::Failed(error, _) => Some(error.to_string()),
            _ => None,
        };
        self.failed.store(error.is_some(), Ordering::Relaxed);
        drop(state);
        observer.notify(&Event::Item { name: &self.name, error: error.as_deref() });
    }

    /// The account of the channel, its error, and its projection if that was kept.
    pub(super) fn into_parts(self) -> (ChannelReport, Option<Error>, Option<Voxels>) {
        let (error, seconds, kept) =
            match self.state.into_inner().unwrap_or_else(PoisonError::into_inner) {
                State::Done(kept, seconds) => (None, seconds, kept),
                State::Failed(error, seconds) => (Some(error), seconds, None),
                State::Open(_) => (
                    Some(Error::settings(&self.name, "the projection was not finished")),
                    0.0,
                    None,
                ),
            };
        let text = error.as_ref().map(Error::to_string);
        (ChannelReport { name: self.name, seconds, error: text }, error, kept)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
