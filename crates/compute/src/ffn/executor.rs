//! One device for many canvases: a thread that computes the steps of all of them, in batches of
//! whatever is ready.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::network::Network;
use super::residence::ObjectTiles;
use super::steps::Fov;
use crate::error::{Error, Result};

mod client;
mod several;
mod thread;

pub use client::Client;
pub use several::Executors;

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
    /// Whether logits of objects can be where the network is.
    has_tiles: AtomicBool,
    /// Steps that are handed over and not done.
    under_way: AtomicUsize,
    steps: AtomicUsize,
    batches: AtomicUsize,
    device_name: Mutex<String>,
    warnings: Mutex<Vec<String>>,
    has_warnings: AtomicBool,
}

/// What the executor is sent.
enum Request {
    Step(Box<Step>),
    Ask(Question),
}

struct Step {
    fov: Fov,
    reply: Sender<Result<Fov>>,
}

/// Something that is asked of the logits where the network is, if they are there; it answers itself.
type Question = Box<dyn FnOnce(Option<&mut dyn ObjectTiles>) + Send>;

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
                Ok(mut network) => {
                    on_thread.look_at(network.as_mut());
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
        Client::new(self.requests.clone(), Arc::clone(&self.shared))
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

impl Shared {
    fn new(options: ExecutorOptions) -> Self {
        Self {
            options,
            bound: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            has_tiles: AtomicBool::new(false),
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

    /// Notes what may be different after a failure.
    fn look_at(&self, network: &mut dyn Network) {
        self.has_tiles.store(network.residence().is_some(), Ordering::Relaxed);
        let mut name = self.device_name.lock().unwrap_or_else(PoisonError::into_inner);
        *name = network.device_name();
    }
}

fn no_thread(reason: &str) -> Error {
    Error::DeviceUnavailable { device: "executor".into(), reason: reason.to_owned() }
}
