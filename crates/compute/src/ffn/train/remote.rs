//! A device that works on a thread of its own, the same one at each step: runtimes keep queues and
//! memory by thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::TrainBatch;
use super::worker::{Share, Worker};
use crate::error::Result;

/// A part of a batch, on its way to the thread.
struct Job {
    parameters: Vec<f32>,
    part_count: usize,
    /// Images, seeds, labels and weights.
    slices: [Vec<f32>; 4],
    count: usize,
}

/// The thread, as the trainer sees it.
pub(super) struct Remote {
    worker: Arc<Worker>,
    /// `None` only while this is dropped: the thread ends when nobody can send any more.
    jobs: Option<Sender<Job>>,
    shares: Receiver<Result<Share>>,
    thread: Option<JoinHandle<()>>,
}

impl Remote {
    pub(super) fn new(worker: Worker) -> Self {
        let worker = Arc::new(worker);
        let (jobs, waiting) = channel();
        let (done, shares) = channel();
        let works = Arc::clone(&worker);
        let thread = std::thread::spawn(move || {
            for job in waiting {
                if done.send(compute(&works, &job)).is_err() {
                    return;
                }
            }
        });
        Self { worker, jobs: Some(jobs), shares, thread: Some(thread) }
    }

    /// Sends a part of a batch of `count` fields of view; each is to be followed by a
    /// [`Remote::finish`].
    pub(super) fn begin(&self, parameters: &[f32], part: &TrainBatch<'_>, count: usize) {
        let slices = [part.images, part.seeds, part.labels, part.weights].map(<[f32]>::to_vec);
        let parameters = parameters.to_vec();
        let job = Job { parameters, part_count: part.count, slices, count };
        // A thread that has ended is noticed when its share is waited for.
        self.jobs.as_ref().map(|jobs| jobs.send(job).ok());
    }

    /// Waits for the share.
    pub(super) fn finish(&self) -> Result<Share> {
        let ended = |_| Err(self.worker.failed("its thread has ended".to_owned()));
        self.shares.recv().unwrap_or_else(ended)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.jobs = None;
        self.thread.take().map(JoinHandle::join);
    }
}

fn compute(worker: &Worker, job: &Job) -> Result<Share> {
    let [images, seeds, labels, weights] = &job.slices;
    let part = TrainBatch { count: job.part_count, images, seeds, labels, weights };
    worker.share(&job.parameters, &part, job.count)
}
