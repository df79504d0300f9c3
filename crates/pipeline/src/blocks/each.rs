//! Blocks of a volume on many threads, as a stage of progress.

use exavox_io::BoundingBox;
use rayon::prelude::*;

use super::BlockGrid;
use crate::error::{Error, Result};
use crate::labelling::stage;
use crate::progress::{Event, Observer, Unit};

/// Calls with each block of a grid; gives what was made of the blocks, put together in any order.
///
/// # Errors
/// The first that `make` returns.
pub(crate) fn for_each_block<T: Send>(
    name: &str,
    grid: &BlockGrid,
    observer: &dyn Observer,
    empty: impl Fn() -> T + Sync + Send,
    make: impl Fn(&BoundingBox) -> Result<T> + Sync + Send,
    merge: impl Fn(&mut T, T) + Sync + Send,
) -> Result<T> {
    stage(observer, name, grid.region().num_voxels(), Unit::Voxels, || {
        let blocks = (0..grid.len()).into_par_iter().map(|number| {
            let block = grid.block(number);
            let made = make(&block)?;
            observer.notify(&Event::Advanced { by: block.num_voxels(), note: "" });
            Ok::<T, Error>(made)
        });
        blocks.try_reduce(empty, |mut a, b| {
            merge(&mut a, b);
            Ok(a)
        })
    })
}
