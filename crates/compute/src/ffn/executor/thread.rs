//! What the thread of an executor does: batches of what is ready, one after the other.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Request, Shared, Step};
use crate::device::guarded;
use crate::error::Error;
use crate::ffn::network::Network;
use crate::ffn::residence::ObjectTiles;
use crate::ffn::steps::{Buffers, Fov};

/// Longest wait for more FOVs while the device has nothing to do, as a share of the last batch's time.
const LINGER_SHARE: u32 = 32;
/// ... and at most.
const LONGEST_LINGER: Duration = Duration::from_millis(5);

impl Shared {
    /// Computes until there is nobody left who could hand over a step.
    pub(super) fn serve(&self, mut network: Box<dyn Network>, requests: &Receiver<Request>) {
        let mut buffers = Buffers::default();
        let (mut last_count, mut last_time) = (1, Duration::ZERO);
        while let Ok(request) = requests.recv() {
            let Some(first) = self.step_of(request, network.as_mut()) else { continue };
            let most = self.options.batch.unwrap_or_else(|| network.preferred_batch()).max(1);
            let linger = (last_time / LINGER_SHARE).min(LONGEST_LINGER);
            let sort = |request| self.step_of(request, network.as_mut());
            let batch = gather(first, requests, sort, most, last_count, linger);
            let (mut fovs, replies): (Vec<Fov>, Vec<_>) =
                batch.into_iter().map(|step| (step.fov, step.reply)).unzip();
            let started = Instant::now();
            let done = guarded(|| buffers.run(network.as_mut(), &mut fovs));
            (last_count, last_time) = (fovs.len(), started.elapsed());
            self.look_at(network.as_mut());
            let device = network.device_name();
            let done = done.unwrap_or_else(|reason| Err(Error::DeviceFailed { device, reason }));
            self.steps.fetch_add(fovs.len(), Ordering::Relaxed);
            self.batches.fetch_add(1, Ordering::Relaxed);
            self.under_way.fetch_sub(fovs.len(), Ordering::Relaxed);
            for (fov, reply) in fovs.into_iter().zip(replies) {
                let answer = match &done {
                    Ok(()) => Ok(fov),
                    Err(error) => Err(again(error)),
                };
                // A client that has gone wants no answer.
                let _ = reply.send(answer);
            }
        }
    }

    /// A step; a question is answered at once.
    fn step_of(&self, request: Request, network: &mut dyn Network) -> Option<Step> {
        match request {
            Request::Step(step) => Some(*step),
            Request::Ask(question) => {
                let tiles = network.residence().map(|r| r as &mut dyn ObjectTiles);
                // Who asked hears that there is no answer.
                let _ = guarded(|| question(tiles));
                self.look_at(network);
                None
            }
        }
    }
}

/// A batch of what is ready. The device has nothing to do meanwhile, so there is little time for more:
/// those who were answered last are probably about to ask again.
fn gather(
    first: Step,
    requests: &Receiver<Request>,
    mut step_of: impl FnMut(Request) -> Option<Step>,
    most: usize,
    expected: usize,
    linger: Duration,
) -> Vec<Step> {
    let mut batch = vec![first];
    let until = Instant::now() + linger;
    while batch.len() < most {
        if let Ok(request) = requests.try_recv() {
            batch.extend(step_of(request));
            continue;
        }
        let left = until.saturating_duration_since(Instant::now());
        if batch.len() >= expected || left.is_zero() {
            break;
        }
        match requests.recv_timeout(left) {
            Ok(request) => batch.extend(step_of(request)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch
}

/// The same error for another client.
fn again(error: &Error) -> Error {
    match error {
        Error::DeviceFailed { device, reason } => {
            Error::DeviceFailed { device: device.clone(), reason: reason.clone() }
        }
        other => Error::Usage(other.to_string()),
    }
}
