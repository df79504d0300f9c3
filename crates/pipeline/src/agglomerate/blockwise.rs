//! Labels that are written block by block, on all threads where the format allows it.

use exavox_io::volume::WriteOrder;
use exavox_io::{BoundingBox, DataType, VolumeWriter, Voxels};

use crate::blocks::{BlockGrid, fitting_block, for_each_block};
use crate::error::{Error, Result};
use crate::progress::{Event, Observer, Unit};

/// Voxels of a block at most.
const MAX_VOXELS: u64 = 1 << 21;
/// Bytes that a voxel of a block takes while it is read and written.
const BYTES_PER_VOXEL: u64 = 32;

/// Blocks that are as large as memory allows with one for each thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockSize(u64);

impl BlockSize {
    /// Blocks that take so much memory together; without a bound, the largest.
    pub(super) fn within(memory_bytes: Option<u64>) -> Self {
        let threads = rayon::current_num_threads() as u64;
        let fitting = memory_bytes.map_or(MAX_VOXELS, |bytes| bytes / BYTES_PER_VOXEL / threads);
        Self(fitting.clamp(1, MAX_VOXELS))
    }

    /// Blocks of a whole volume, of whole granules.
    pub(super) fn grid(self, shape: [u64; 3], granule: [u64; 3]) -> Result<BlockGrid> {
        BlockGrid::new(BoundingBox::whole(shape), fitting_block(shape, granule, self.0))
    }
}

/// Writes all voxels of a volume of labels; `make` gives those of a block.
pub(super) fn write_labels(
    writer: &VolumeWriter,
    (shape, dtype): ([u64; 3], DataType),
    size: BlockSize,
    observer: &dyn Observer,
    make: impl Fn(&BoundingBox) -> Result<Vec<u64>> + Sync + Send,
) -> Result<()> {
    let grid = size.grid(shape, writer.granule())?;
    let write = |block: &BoundingBox| -> Result<()> {
        let voxels = narrowed(make(block)?, block, dtype)?;
        Ok(writer.write(0, block.start, &voxels)?)
    };
    if writer.order() == WriteOrder::Any {
        return for_each_block("write", &grid, observer, || (), write, |(), ()| ());
    }
    let total = grid.region().num_voxels();
    crate::labelling::stage(observer, "write", total, Unit::Voxels, || {
        (0..grid.len()).try_for_each(|number| {
            let block = grid.block(number);
            write(&block)?;
            observer.notify(&Event::Advanced { by: block.num_voxels(), note: "" });
            Ok(())
        })
    })
}

/// Labels as voxels of a type.
fn narrowed(labels: Vec<u64>, block: &BoundingBox, dtype: DataType) -> Result<Voxels> {
    let shape = block.shape().map(|s| s as usize);
    if dtype == DataType::U64 {
        return Ok(Voxels::from_vec(shape, labels)?);
    }
    let narrow = |label: u64| {
        u32::try_from(label).map_err(|_| {
            let message = format!(
                "label {label} does not fit into 32 bits; give labels of 64 bits (exavox convert \
                 --dtype uint64)"
            );
            Error::settings(format!("block {block}"), message)
        })
    };
    let narrow: Vec<u32> = labels.into_iter().map(narrow).collect::<Result<_>>()?;
    Ok(Voxels::from_vec(shape, narrow)?)
}
