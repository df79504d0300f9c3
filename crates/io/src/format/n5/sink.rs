//! Blocks that are written.

use std::borrow::Cow;

use crate::chunked::{ChunkSink, Encoded};
use crate::voxels::Voxels;

use super::axes::StoredAxes;
use super::block::BlockCodec;
use super::reader::block_key;

/// One object per block of one channel.
pub(super) struct BlockSink {
    /// Path of the dataset in the output's directory.
    pub(super) dataset: String,
    pub(super) axes: StoredAxes,
    pub(super) codec: BlockCodec,
    /// Shape `[z, y, x]` of a block that is not at an end.
    pub(super) granule: [u64; 3],
    /// Whether blocks of zeros are left out: not where old blocks can be in their place.
    pub(super) is_new: bool,
}

impl ChunkSink for BlockSink {
    fn granule(&self) -> [u64; 3] {
        self.granule
    }

    fn encode<'v>(
        &self,
        channel: usize,
        start: [u64; 3],
        voxels: &'v Voxels,
    ) -> Result<Encoded<'v>, String> {
        let [z, y, x]: [u64; 3] = std::array::from_fn(|a| start[a] / self.granule[a]);
        let index = self.axes.to_stored(&[0, channel as u64, z, y, x]);
        let key = format!("{}/{}", self.dataset, block_key(&index));
        let values = voxels.bytes();
        if self.is_new && values.iter().all(|b| *b == 0) {
            return Ok((key, None));
        }
        let [z, y, x] = voxels.shape().map(|v| v as u64);
        let shape = self.axes.to_stored(&[1, 1, z, y, x]);
        let block = self.codec.encode(&shape, values)?;
        Ok((key, Some(Cow::Owned(block))))
    }
}
