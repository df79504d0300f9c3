//! Who hands steps over to an executor, from another thread.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};

use super::{Request, Shared, Step, no_thread};
use crate::error::Result;
use crate::ffn::object_logits::{TileBits, TileIndex};
use crate::ffn::residence::{ObjectKey, ObjectTiles, TileValues, Which};
use crate::ffn::steps::{Fov, Steps};

/// One of the clients of an [`Executor`](super::Executor).
pub struct Client {
    requests: Option<Sender<Request>>,
    shared: Arc<Shared>,
    reply: Sender<Result<Fov>>,
    replies: Receiver<Result<Fov>>,
    is_active: bool,
}

impl Client {
    pub(super) fn new(requests: Option<Sender<Request>>, shared: Arc<Shared>) -> Self {
        shared.bound.fetch_add(1, Ordering::Relaxed);
        let (reply, replies) = channel();
        Self { requests, shared, reply, replies, is_active: false }
    }
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
        self.send(Request::Step(Box::new(Step { fov, reply: self.reply.clone() })))
    }

    fn wait(&mut self) -> Result<Fov> {
        self.replies.recv().unwrap_or_else(|_| Err(no_thread("the executor ended")))
    }

    fn tiles(&mut self) -> Option<&mut dyn ObjectTiles> {
        if self.shared.has_tiles.load(Ordering::Relaxed) { Some(self) } else { None }
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

impl Client {
    fn send(&self, request: Request) -> Result<()> {
        match self.requests.as_ref().map(|requests| requests.send(request)) {
            Some(Ok(())) => Ok(()),
            _ => Err(no_thread("the executor ended")),
        }
    }

    /// Asks on the executor's thread, and waits; `None` if there is nothing to be asked any more.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn ObjectTiles) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let (reply, answer) = channel();
        self.send(Request::Ask(Box::new(move |tiles| {
            // Gone if the one who asked is.
            let _ = reply.send(tiles.map(question).transpose());
        })))?;
        answer.recv().unwrap_or_else(|_| Err(no_thread("the executor gave no answer")))
    }
}

impl ObjectTiles for Client {
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>> {
        let object = object.clone();
        self.ask(move |tiles| tiles.inside(&object, threshold)).map(Option::flatten)
    }

    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>> {
        let object = object.clone();
        self.ask(move |tiles| tiles.read(&object, which)).map(Option::flatten)
    }

    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool> {
        let object = object.clone();
        let done = self.ask(move |residence| residence.restore(&object, tiles))?;
        Ok(done.unwrap_or(false))
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
