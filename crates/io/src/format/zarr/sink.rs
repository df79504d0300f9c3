//! Chunks or shards of a Zarr array that is written.

use std::borrow::Cow;

use crate::bounding_box::BoundingBox;
use crate::chunked::{ChunkSink, Encoded};
use crate::voxels::Voxels;

use super::axes::StoredAxes;
use super::chain::Chain;

/// An array under construction.
pub(super) struct ZarrSink {
    pub(super) chain: Chain,
    pub(super) axes: StoredAxes,
    /// Shape `[z, y, x]` of an object: a chunk, or a shard where there are any.
    pub(super) granule: [u64; 3],
}

impl ChunkSink for ZarrSink {
    fn granule(&self) -> [u64; 3] {
        self.granule
    }

    fn encode<'v>(
        &self,
        channel: usize,
        start: [u64; 3],
        voxels: &'v Voxels,
    ) -> Result<Encoded<'v>, String> {
        let [z, y, x] = std::array::from_fn(|a| start[a] / self.granule[a]);
        let key = self.chain.key(&self.axes.pick(&[0, channel as u64, z, y, x]));
        let values = self.padded(voxels)?;
        // A chunk that is not there holds the fill value.
        if values.iter().all(|byte| *byte == 0) {
            return Ok((key, None));
        }
        Ok((key, Some(self.chain.encode(values)?)))
    }
}

impl ZarrSink {
    /// Bytes of a whole granule; zeros beyond the end of the volume.
    fn padded<'v>(&self, voxels: &'v Voxels) -> Result<Cow<'v, [u8]>, String> {
        let granule = self.granule.map(|v| v as usize);
        if voxels.shape() == granule {
            return Ok(Cow::Borrowed(voxels.bytes()));
        }
        let mut whole = Voxels::zeros(voxels.dtype(), granule).map_err(|e| e.to_string())?;
        let all = BoundingBox::whole(voxels.shape().map(|v| v as u64));
        whole.copy_box([0; 3], voxels, &all).map_err(|e| e.to_string())?;
        Ok(Cow::Owned(whole.into_bytes()))
    }
}
