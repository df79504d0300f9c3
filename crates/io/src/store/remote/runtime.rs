//! The threads that wait for the network, hidden behind blocking calls.

use std::future::Future;
use std::sync::{OnceLock, mpsc};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Place, Result};

/// Runs a future to its end. May be called from any thread, also from one of another runtime.
pub(super) fn run<F>(place: &Place, future: F) -> Result<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    handle(place)?.spawn(async move {
        // Fails only if nobody waits any more.
        let _ = sender.send(future.await);
    });
    let gone = |_| Error::io(place.clone(), std::io::Error::other("the request was abandoned"));
    receiver.recv().map_err(gone)
}

/// The runtime of all remote stores, started by the first.
pub(super) fn handle(place: &Place) -> Result<Handle> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    match RUNTIME.get_or_init(start) {
        Ok(runtime) => Ok(runtime.handle().clone()),
        Err(e) => Err(Error::io(place.clone(), std::io::Error::new(e.kind(), e.to_string()))),
    }
}

fn start() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    Builder::new_multi_thread()
        // Waiting needs no threads; TLS and copies of bodies do.
        .worker_threads(processors.clamp(2, 4))
        .thread_name("exavox-remote")
        .enable_all()
        .build()
}
