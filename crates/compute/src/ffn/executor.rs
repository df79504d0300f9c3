//! One device for many canvases: a thread that computes the steps of all of them, in batches of
//! whatever is ready.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::network::Network;
use super::steps::{Buffers, Fov, Steps};
use crate::device::guarded;
use crate::error::{Error, Result};

/// How an executor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecutorOptions {
    /// CPU threads for the network.
    pub threads: usize,
    /// FOVs that the device gets at once. `None`: as many as it likes, if there are so many canvases;
    /// no canvas then starts objects before their turn.
    pub batch: Option<usize>,
}

impl ExecutorOptions {
    /// With so many CPU threads, and the batch that the device likes.
    pub fn new(threads: usize) -> Self {
        Self { threads, batch: None }
    }

    /// With batches of so many FOVs, from objects before their turn where canvases are fewer.
    #[must_use]
    pub fn with_batch(mut self, batch: Option<usize>) -> Self {
        self.batch = batch;
        self
    }
}

/// A network on a thread of its own. Ends when it is dropped; its clients must be gone by then.
pub struct Executor {
    requests: Option<Sender<Request>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What executor and clients know of each other.
struct Shared {
    options: ExecutorOptions,
    /// Clients that there are.
    bound: AtomicUsize,
    /// Clients that have handed over a step.
    active: AtomicUsize,
    /// Steps that are handed over and not done.
    under_way: AtomicUsize,
    steps: AtomicUsize,
    batches: AtomicUsize,
    device_name: Mutex<String>,
    warnings: Mutex<Vec<String>>,
    has_warnings: AtomicBool,
}

struct Request {
    fov: Fov,
    reply: Sender<Result<Fov>>,
}

/// Takes warnings, such as that a device has failed and the CPU takes over.
pub type Warn = Box<dyn FnMut(&str)>;

impl Executor {
    /// Starts the thread and makes the network there; it never moves to another.
    ///
    /// # Errors
    /// What `make` returns; [`Error::DeviceUnavailable`] if there can be no more threads.
    pub fn start(
        options: ExecutorOptions,
        make: impl FnOnce(Warn) -> Result<Box<dyn Network>> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::new(options));
        let (requests, incoming) = channel();
        let (started, ready) = channel();
        let on_thread = Arc::clone(&shared);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
        let pool = pool.map_err(|e| no_thread(&e.to_string()))?;
        let work = move || {
            let warner = Arc::clone(&on_thread);
            let warn: Warn = Box::new(move |text| warner.warn(text));
            match make(warn) {
                Ok(network) => {
                    on_thread.rename(network.as_ref());
                    // Gone if the one who started us is.
                    let _ = started.send(Ok(()));
                    on_thread.serve(network, &incoming);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new().name("executor".into());
        let thread =
            thread.spawn(move || pool.install(work)).map_err(|e| no_thread(&e.to_string()))?;
        ready.recv().unwrap_or_else(|_| Err(no_thread("the executor ended")))?;
        Ok(Self { requests: Some(requests), shared, thread: Some(thread) })
    }

    /// Somebody who hands over steps, such as the segmentation of a subvolume.
    pub fn client(&self) -> Client {
        self.shared.bound.fetch_add(1, Ordering::Relaxed);
        let (reply, replies) = channel();
        Client {
            requests: self.requests.clone(),
            shared: Arc::clone(&self.shared),
            reply,
            replies,
            is_active: false,
        }
    }

    /// Steps and batches so far.
    pub fn counts(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (load(&self.shared.steps), load(&self.shared.batches))
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the clients with an error already.
            let _ = thread.join();
        }
    }
}

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

/// Longest wait for more FOVs while the device has nothing to do, as a share of the last batch's time.
const LINGER_SHARE: u32 = 32;
/// ... and at most.
const LONGEST_LINGER: Duration = Duration::from_millis(5);

impl Shared {
    fn new(options: ExecutorOptions) -> Self {
        Self {
            options,
            bound: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            steps: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            device_name: Mutex::default(),
            warnings: Mutex::default(),
            has_warnings: AtomicBool::new(false),
        }
    }

    fn warn(&self, text: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        self.has_warnings.store(true, Ordering::Release);
    }

    fn rename(&self, network: &dyn Network) {
        let mut name = self.device_name.lock().unwrap_or_else(PoisonError::into_inner);
        *name = network.device_name();
    }

    /// Computes until there is nobody left who could hand over a step.
    fn serve(&self, mut network: Box<dyn Network>, requests: &Receiver<Request>) {
        let mut buffers = Buffers::default();
        let (mut last_count, mut last_time) = (1, Duration::ZERO);
        while let Ok(first) = requests.recv() {
            let most = self.options.batch.unwrap_or_else(|| network.preferred_batch()).max(1);
            let linger = (last_time / LINGER_SHARE).min(LONGEST_LINGER);
            let batch = gather(first, requests, most, last_count, linger);
            let (mut fovs, replies): (Vec<Fov>, Vec<_>) =
                batch.into_iter().map(|request| (request.fov, request.reply)).unzip();
            let started = Instant::now();
            let done = guarded(|| buffers.run(network.as_mut(), &mut fovs));
            (last_count, last_time) = (fovs.len(), started.elapsed());
            self.rename(network.as_ref());
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
}

/// A batch of what is ready. The device has nothing to do meanwhile, so there is little time for more:
/// those who were answered last are probably about to ask again.
fn gather(
    first: Request,
    requests: &Receiver<Request>,
    most: usize,
    expected: usize,
    linger: Duration,
) -> Vec<Request> {
    let mut batch = vec![first];
    let until = Instant::now() + linger;
    while batch.len() < most {
        if let Ok(request) = requests.try_recv() {
            batch.push(request);
            continue;
        }
        let left = until.saturating_duration_since(Instant::now());
        if batch.len() >= expected || left.is_zero() {
            break;
        }
        match requests.recv_timeout(left) {
            Ok(request) => batch.push(request),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    batch
}

/// One of the clients of an [`Executor`].
pub struct Client {
    requests: Option<Sender<Request>>,
    shared: Arc<Shared>,
    reply: Sender<Result<Fov>>,
    replies: Receiver<Result<Fov>>,
    is_active: bool,
}

impl Steps for Client {
    fn at_once(&self) -> usize {
        let others = self.shared.active.load(Ordering::Relaxed) - usize::from(self.is_active);
        self.shared.options.batch.map_or(1, |batch| batch.div_ceil(others + 1))
    }

    fn submit(&mut self, fov: Fov) -> Result<()> {
        if !self.is_active {
            self.is_active = true;
            self.shared.active.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.under_way.fetch_add(1, Ordering::Relaxed);
        let request = Request { fov, reply: self.reply.clone() };
        let sent = self.requests.as_ref().map(|requests| requests.send(request));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(no_thread("the executor ended")),
        }
    }

    fn wait(&mut self) -> Result<Fov> {
        self.replies.recv().unwrap_or_else(|_| Err(no_thread("the executor ended")))
    }

    fn device_name(&self) -> String {
        self.shared.device_name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        if !self.shared.has_warnings.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.bound.fetch_sub(1, Ordering::Relaxed);
        if self.is_active {
            self.shared.active.fetch_sub(1, Ordering::Relaxed);
        }
    }
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

fn no_thread(reason: &str) -> Error {
    Error::DeviceUnavailable { device: "executor".into(), reason: reason.to_owned() }
}
