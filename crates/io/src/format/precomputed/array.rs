//! What chunks of one scale have in common when they are read, in shards or not.

use crate::chunked::{ChunkGrid, ChunkIndex};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::store::Directory;

use super::compression::Container;
use super::encoding::ChunkEncoding;
use super::info::{INFO, Info};
use super::key::chunk_name;
use super::scale::Scale;

/// Voxels that are not there.
const ZERO: [u8; 8] = [0; 8];

/// The chunks of one scale.
pub(super) struct ScaleArray {
    /// Directory of the scale's objects.
    pub(super) directory: Directory,
    pub(super) scale: Scale,
    pub(super) grid: ChunkGrid,
    pub(super) dtype: DataType,
    pub(super) encoding: ChunkEncoding,
}

impl ScaleArray {
    /// The chunks of a scale of a volume in `directory`.
    pub(super) fn new(directory: &Directory, info: &Info, scale: &Scale) -> Result<Self> {
        let unsupported = |message| Error::unsupported(directory.place(INFO), message);
        let encoding = scale.chunk_encoding().map_err(unsupported)?;
        encoding.check(info.dtype, info.channels).map_err(unsupported)?;
        Ok(Self {
            directory: directory.join(&scale.directory),
            scale: scale.clone(),
            grid: scale.grid(info.channels),
            dtype: info.dtype,
            encoding,
        })
    }

    /// Name of a chunk's object, were it one.
    pub(super) fn chunk_name(&self, index: &ChunkIndex) -> String {
        chunk_name(&self.scale, self.grid.start_zyx(index))
    }

    /// Bytes of one voxel that is not there.
    pub(super) fn fill_value(&self) -> &'static [u8] {
        &ZERO[..self.dtype.size()]
    }

    /// Decodes a chunk that may be in a container.
    pub(super) fn decode(
        &self,
        container: Option<Container>,
        index: &ChunkIndex,
        encoded: &[u8],
        out: &mut [u8],
    ) -> Result<(), String> {
        let shape = self.grid.stored_shape(index);
        let shape = [shape[1], shape[2], shape[3], shape[4]].map(|n| n as usize);
        match (container, self.encoding) {
            (None, encoding) => encoding.decode(self.dtype, shape, encoded, out),
            (Some(container), ChunkEncoding::Raw) => {
                container.unpack_into(encoded, out)?;
                super::encoding::to_machine_order(out, self.dtype);
                Ok(())
            }
            (Some(container), encoding) => {
                // Encodings add little to chunks that they cannot make smaller.
                let limit = out.len().saturating_mul(4).saturating_add(1 << 20);
                encoding.decode(self.dtype, shape, &container.unpack(encoded, limit)?, out)
            }
        }
    }
}

/// Index `[z, y, x]` of a chunk.
pub(super) fn zyx(index: &ChunkIndex) -> [u64; 3] {
    [index[2], index[3], index[4]]
}
