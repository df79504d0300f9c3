//! Neuroglancer's compressed segmentation: labels in small blocks, each voxel an index of a few bits into
//! the table of the labels of its block. Tables that are equal are stored once.
//!
//! [Specification](https://github.com/google/neuroglancer/tree/master/src/sliceview/compressed_segmentation).
//! Shapes and blocks are `[z, y, x]` here, although the format counts x, y, z: values in C order are
//! the format's own order.
//!
//! ```
//! use exavox_io::compressed_segmentation::{decode, encode};
//! let (shape, block) = ([1, 9, 10, 11], [8, 8, 8]); // c, z, y, x; z, y, x
//! let labels: Vec<u64> = (0..990).map(|i| 7 + (i / 300)).collect();
//! let encoded = encode(&labels, shape, block)?;
//! let mut decoded = vec![0_u64; 990];
//! decode(&encoded, shape, block, &mut decoded)?;
//! assert!(decoded == labels && encoded.len() < 990);
//! # Ok::<(), exavox_io::Error>(())
//! ```

use crate::error::{Error, Place, Result};

mod block;
mod decode;
mod encode;
mod label;

pub use label::Label;

pub(crate) use decode::decode_labels;
pub(crate) use encode::encode_labels;

/// Decodes into `labels`, C order `[c, z, y, x]` of `shape`, with blocks of `block` voxels `[z, y, x]`.
/// Takes memory for a copy of `encoded`.
///
/// # Errors
/// [`Error::Format`] if an offset or index leads out of the data; [`Error::Usage`] if `labels` has not
/// the size of `shape`, or a block has no voxels.
pub fn decode<T: Label>(
    encoded: &[u8],
    shape: [usize; 4],
    block: [usize; 3],
    labels: &mut [T],
) -> Result<()> {
    check(shape, block, labels.len())?;
    decode_labels(encoded, shape, block, labels).map_err(|m| Error::format(place(), m))
}

/// Encodes labels in C order `[c, z, y, x]` of `shape` in blocks of `block` voxels `[z, y, x]`.
///
/// # Errors
/// [`Error::Usage`] if there are so many different labels that the format cannot address their tables
/// (a channel of more than 64 MiB), if `labels` has not the size of `shape`, or a block has no voxels.
pub fn encode<T: Label>(labels: &[T], shape: [usize; 4], block: [usize; 3]) -> Result<Vec<u8>> {
    check(shape, block, labels.len())?;
    encode_labels(labels, shape, block).map_err(|m| Error::usage(place(), m))
}

fn check(shape: [usize; 4], block: [usize; 3], found: usize) -> Result<()> {
    let expected = shape.iter().try_fold(1_usize, |n, s| n.checked_mul(*s));
    let block_voxels = block.iter().try_fold(1_usize, |n, s| n.checked_mul(*s));
    if expected != Some(found) || block_voxels.is_none_or(|n| n == 0) {
        let message = format!("{found} labels for shape {shape:?} in blocks of {block:?}");
        return Err(Error::usage(place(), message));
    }
    Ok(())
}

fn place() -> Place {
    Place::new("compressed segmentation")
}
