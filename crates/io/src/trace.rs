//! What each thread did when: reading, computing, writing, with the block it was done to.
//!
//! Off unless [`start`] is called; then a [`span`] takes the time of two clock readings and a lock. The
//! one piece of state of the process that this crate keeps: who reads and who computes know nothing of
//! each other, and a picture of both needs one clock.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// Spans that are kept at most: a run of days must not fill the memory.
const MOST: usize = 2_000_000;

/// What a thread does with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Activity {
    Read,
    Decode,
    Upload,
    Compute,
    Download,
    Write,
}

impl Activity {
    /// All, in the order in which a block meets them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Decode, Self::Upload, Self::Compute, Self::Download, Self::Write];

    /// Name for people and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Upload => "upload",
            Self::Compute => "compute",
            Self::Download => "download",
            Self::Write => "write",
        }
    }
}

/// One activity from its begin to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub activity: Activity,
    /// First voxel of the block, or of the box that was read or written, `[z, y, x]`.
    pub block_zyx: [u64; 3],
    /// Number of the thread, in the order in which threads did something.
    pub thread: u32,
    /// Nanoseconds from [`start`] to the begin.
    pub begin_ns: u64,
    /// Nanoseconds from the begin to the end.
    pub length_ns: u64,
}

static ON: AtomicBool = AtomicBool::new(false);
static THREADS: AtomicU32 = AtomicU32::new(0);
static SPANS: Mutex<Vec<Span>> = Mutex::new(Vec::new());
static STARTED: OnceLock<Instant> = OnceLock::new();

thread_local! {
    static THREAD: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Begins to keep spans, for the rest of the process.
pub fn start() {
    STARTED.get_or_init(Instant::now);
    ON.store(true, Ordering::Release);
}

/// Takes all spans that have ended, in the order of their ends.
pub fn take() -> Vec<Span> {
    std::mem::take(&mut *spans())
}

/// A span that ends when the value is dropped; nothing if no one has called [`start`].
pub fn span(activity: Activity, block_zyx: [u64; 3]) -> Running {
    let begin = ON.load(Ordering::Relaxed).then(Instant::now);
    Running { activity, block_zyx, begin }
}

/// A span that has not ended.
#[derive(Debug)]
#[must_use = "the span ends when it is dropped"]
pub struct Running {
    activity: Activity,
    block_zyx: [u64; 3],
    begin: Option<Instant>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(begin), Some(started)) = (self.begin, STARTED.get()) else { return };
        let length_ns = nanoseconds(begin.elapsed());
        let begin_ns = nanoseconds(begin.saturating_duration_since(*started));
        let (activity, block_zyx, thread) = (self.activity, self.block_zyx, this_thread());
        let mut spans = spans();
        if spans.len() < MOST {
            spans.push(Span { activity, block_zyx, thread, begin_ns, length_ns });
        }
    }
}

fn this_thread() -> u32 {
    THREAD.with(|thread| {
        let number = thread.get().unwrap_or_else(|| THREADS.fetch_add(1, Ordering::Relaxed));
        thread.set(Some(number));
        number
    })
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn spans() -> MutexGuard<'static, Vec<Span>> {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: the state is the process' own.
    #[test]
    fn spans_are_kept_from_the_start_on_with_their_threads() {
        drop(span(Activity::Read, [9; 3]));
        start();
        let outer = span(Activity::Read, [1, 2, 3]);
        drop(span(Activity::Decode, [1, 2, 3]));
        let other = std::thread::spawn(|| drop(span(Activity::Write, [4, 5, 6])));
        assert!(other.join().is_ok());
        drop(outer);
        let all = take();
        // Other tests of this process read and write meanwhile.
        let mine = |a, block| all.iter().find(|s| s.activity == a && s.block_zyx == block).copied();
        assert_eq!(mine(Activity::Read, [9; 3]), None);
        let found = [Activity::Read, Activity::Decode].map(|a| mine(a, [1, 2, 3]));
        let [Some(read), Some(decode)] = found else { panic!("{all:?}") };
        let Some(write) = mine(Activity::Write, [4, 5, 6]) else { panic!("{all:?}") };
        assert!(read.begin_ns <= decode.begin_ns && read.length_ns >= decode.length_ns);
        assert!(read.thread == decode.thread && read.thread != write.thread);
    }
}
