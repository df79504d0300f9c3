//! Chunks that are written, each an object of its own.

use std::borrow::Cow;

use crate::chunked::{ChunkSink, Encoded};
use crate::codec::encode_gzip;
use crate::voxels::Voxels;

use super::key::chunk_name;
use super::plan::Plan;

/// Whether what is written has objects of its own name before, which must be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: objects of zeros can be left out.
    Empty,
    /// Something: objects of zeros are written as well.
    Objects,
}

/// Writes the chunks of a scale without shards.
pub(super) struct UnshardedSink {
    pub(super) plan: Plan,
    pub(super) before: Before,
}

impl ChunkSink for UnshardedSink {
    fn granule(&self) -> [u64; 3] {
        self.plan.scale.chunk
    }

    fn encode<'v>(
        &self,
        _channel: usize,
        start: [u64; 3],
        voxels: &'v Voxels,
    ) -> Result<Encoded<'v>, String> {
        let suffix = if self.plan.gzip.is_some() { ".gz" } else { "" };
        let Plan { scale, .. } = &self.plan;
        let key = format!("{}/{}{suffix}", scale.directory, chunk_name(scale, start));
        let left_out = self.before == Before::Empty && is_zero(voxels);
        let bytes = if left_out { None } else { Some(encode_chunk(&self.plan, voxels)?) };
        Ok((key, bytes))
    }
}

/// Bytes of a chunk with its compression.
pub(super) fn encode_chunk<'v>(plan: &Plan, voxels: &'v Voxels) -> Result<Cow<'v, [u8]>, String> {
    let encoded = plan.encoding.encode(voxels)?;
    match plan.gzip {
        Some(level) => encode_gzip(&encoded, level).map(Cow::Owned),
        None => Ok(encoded),
    }
}

/// Whether readers see the same without the voxels.
pub(super) fn is_zero(voxels: &Voxels) -> bool {
    voxels.bytes().iter().all(|byte| *byte == 0)
}
