//! Items for the threads of a pool, in their order.

use std::sync::{Mutex, PoisonError};

use rayon::ThreadPool;

use crate::error::{Error, Result};

/// Runs `work` on each item, on `workers` threads of the pool, and adds up what it gives. Items are
/// taken in their order, and no more are taken once one has failed; so the error returned is that of
/// the first item that fails, whatever the number of threads.
pub(super) fn in_parallel<Item: Send>(
    pool: &ThreadPool,
    workers: usize,
    items: impl Iterator<Item = Item> + Send,
    work: impl Fn(Item) -> Result<u64> + Sync,
) -> Result<u64> {
    let queue = Mutex::new(items.enumerate());
    let outcome: Mutex<(u64, Option<(usize, Error)>)> = Mutex::new((0, None));
    let lock_outcome = || outcome.lock().unwrap_or_else(PoisonError::into_inner);
    pool.broadcast(|thread| {
        while thread.index() < workers && lock_outcome().1.is_none() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((n, item)) = next else { break };
            let result = work(item);
            let mut outcome = lock_outcome();
            match result {
                Ok(count) => outcome.0 += count,
                Err(error) if outcome.1.as_ref().is_none_or(|(first, _)| n < *first) => {
                    outcome.1 = Some((n, error));
                }
                Err(_) => {}
            }
        }
    });
    match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
        (_, Some((_, error))) => Err(error),
        (count, None) => Ok(count),
    }
}
