//! Encodings of a chunk, before any compression around it.

use std::borrow::Cow;

use crate::compressed_segmentation::{Label, decode_labels, encode_labels};
use crate::dtype::DataType;
use crate::voxels::Voxels;

use super::image;

const READ: &str = "raw, compressed_segmentation, jpeg and png";

/// Encoding of the voxels of a chunk; blocks are `[z, y, x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkEncoding {
    /// Little-endian values.
    Raw,
    /// Tables of labels in blocks.
    CompressedSegmentation { block: [usize; 3] },
    /// One JPEG image.
    Jpeg,
    /// One PNG image.
    Png,
}

impl ChunkEncoding {
    /// From the lower-case name in `info`.
    pub(super) fn new(name: &str, block: Option<[u64; 3]>) -> Result<Self, String> {
        match (name, block) {
            ("raw", _) => Ok(Self::Raw),
            ("jpeg", _) => Ok(Self::Jpeg),
            ("png", _) => Ok(Self::Png),
            ("compressed_segmentation", Some(block)) => {
                let voxels = block.iter().try_fold(1_u64, |n, s| n.checked_mul(*s));
                if voxels.is_none_or(|n| n == 0 || n > 1 << 32) {
                    return Err(format!("blocks of {block:?} voxels (z, y, x) cannot be"));
                }
                Ok(Self::CompressedSegmentation { block: block.map(|s| s as usize) })
            }
            ("compressed_segmentation", None) => {
                Err("no compressed_segmentation_block_size".to_owned())
            }
            _ => Err(format!("encoding '{}'; {READ} are read", name.escape_default())),
        }
    }

    /// Refuses types and channels that the encoding cannot hold.
    pub(super) fn check(self, dtype: DataType, channels: u64) -> Result<(), String> {
        let fits = match self {
            Self::Raw => true,
            Self::CompressedSegmentation { .. } => matches!(dtype, DataType::U32 | DataType::U64),
            Self::Jpeg => dtype == DataType::U8 && matches!(channels, 1 | 3),
            Self::Png => matches!(dtype, DataType::U8 | DataType::U16) && channels <= 4,
        };
        let name = self.name();
        if fits { Ok(()) } else { Err(format!("{channels} channels of {dtype} as {name}")) }
    }

    /// Name in `info`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::CompressedSegmentation { .. } => "compressed_segmentation",
            Self::Jpeg => "jpeg",
            Self::Png => "png",
        }
    }

    /// Decodes a chunk of `shape` `[c, z, y, x]` into its values in C order.
    pub(super) fn decode(
        self,
        dtype: DataType,
        shape: [usize; 4],
        encoded: &[u8],
        out: &mut [u8],
    ) -> Result<(), String> {
        match (self, dtype) {
            (Self::CompressedSegmentation { block }, DataType::U32) => {
                decode_aligned::<u32>(encoded, shape, block, out)
            }
            (Self::CompressedSegmentation { block }, _) => {
                decode_aligned::<u64>(encoded, shape, block, out)
            }
            (Self::Jpeg, _) => image::decode_jpeg(encoded, shape[0], out),
            (Self::Png, _) => image::decode_png(encoded, shape[0], dtype, out),
            (Self::Raw, _) => decode_raw(encoded, dtype, out),
        }
    }

    /// Encodes a chunk of one channel.
    pub(super) fn encode(self, voxels: &Voxels) -> Result<Cow<'_, [u8]>, String> {
        let [z, y, x] = voxels.shape();
        let shape = [1, z, y, x];
        match self {
            Self::CompressedSegmentation { block } if voxels.dtype() == DataType::U32 => {
                let labels = voxels.as_slice::<u32>().map_err(|e| e.to_string())?;
                encode_labels(labels, shape, block).map(Cow::Owned)
            }
            Self::CompressedSegmentation { block } => {
                let labels = voxels.as_slice::<u64>().map_err(|e| e.to_string())?;
                encode_labels(labels, shape, block).map(Cow::Owned)
            }
            Self::Png => image::encode_png(voxels).map(Cow::Owned),
            Self::Jpeg => Err("JPEG is not written: it loses values".to_owned()),
            Self::Raw => {
                let mut bytes = Cow::Borrowed(voxels.bytes());
                if cfg!(target_endian = "big") {
                    swap_bytes(bytes.to_mut(), voxels.dtype());
                }
                Ok(bytes)
            }
        }
    }
}

fn decode_raw(encoded: &[u8], dtype: DataType, out: &mut [u8]) -> Result<(), String> {
    if encoded.len() != out.len() {
        return Err(format!("expected {} bytes, found {}", out.len(), encoded.len()));
    }
    out.copy_from_slice(encoded);
    to_machine_order(out, dtype);
    Ok(())
}

/// Turns little-endian values into this machine's.
pub(super) fn to_machine_order(values: &mut [u8], dtype: DataType) {
    if cfg!(target_endian = "big") {
        swap_bytes(values, dtype);
    }
}

/// Reverses the bytes of each value.
pub(super) fn swap_bytes(values: &mut [u8], dtype: DataType) {
    values.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
}

fn decode_aligned<T: Label>(
    encoded: &[u8],
    shape: [usize; 4],
    block: [usize; 3],
    out: &mut [u8],
) -> Result<(), String> {
    if let Ok(labels) = bytemuck::try_cast_slice_mut::<u8, T>(out) {
        return decode_labels(encoded, shape, block, labels);
    }
    let mut labels = vec![T::default(); out.len() / size_of::<T>()];
    decode_labels(encoded, shape, block, &mut labels)?;
    out.copy_from_slice(bytemuck::cast_slice(&labels));
    Ok(())
}
