//! From bytes to labels.

use super::block::{Block, BlockGrid, Header, WIDTHS};
use super::label::Label;

/// Decodes all channels; `labels` has the size of `shape` `[c, z, y, x]`, `block` no zeros.
pub(crate) fn decode_labels<T: Label>(
    encoded: &[u8],
    shape: [usize; 4],
    block: [usize; 3],
    labels: &mut [T],
) -> Result<(), String> {
    let (chunks, rest) = encoded.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are not a number of 32-bit words", encoded.len()));
    }
    let words: Vec<u32> = chunks.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let grid = BlockGrid { shape: [shape[1], shape[2], shape[3]], block };
    let voxels: usize = grid.shape.iter().product();
    if voxels == 0 {
        return Ok(());
    }
    for (channel, labels) in labels.chunks_exact_mut(voxels).enumerate() {
        let offset = words.get(channel).map(|offset| *offset as usize);
        let words = offset.and_then(|offset| words.get(offset..)).ok_or_else(|| {
            format!("channel {channel} starts outside the {} words of the data", words.len())
        })?;
        decode_channel(words, &grid, labels)?;
    }
    Ok(())
}

fn decode_channel<T: Label>(
    words: &[u32],
    grid: &BlockGrid,
    labels: &mut [T],
) -> Result<(), String> {
    let headers = words.as_chunks::<2>().0;
    let count: usize = grid.counts().iter().product();
    if headers.len() < count {
        return Err(format!("expected {count} block headers, found room for {}", headers.len()));
    }
    for (block, header) in grid.blocks().zip(headers) {
        let header = Header::from_words(*header);
        let decode = match header.width {
            0 => decode_uniform,
            1 => decode_block::<T, 1>,
            2 => decode_block::<T, 2>,
            4 => decode_block::<T, 4>,
            8 => decode_block::<T, 8>,
            16 => decode_block::<T, 16>,
            32 => decode_block::<T, 32>,
            other => {
                let at = block.start;
                return Err(format!("block at {at:?}: {other} bits per voxel, not of {WIDTHS:?}"));
            }
        };
        decode(words, grid, block, header, labels)
            .ok_or_else(|| format!("block at {:?}: leads out of the data", block.start))?;
    }
    Ok(())
}

/// A block of one label.
fn decode_uniform<T: Label>(
    words: &[u32],
    grid: &BlockGrid,
    block: Block,
    header: Header,
    labels: &mut [T],
) -> Option<()> {
    let label = T::from_words(*T::table(words.get(header.table..)?).first()?);
    for (to, _) in grid.rows(block) {
        labels[to..to + block.count[2]].fill(label);
    }
    Some(())
}

/// A block whose voxels have `WIDTH` bits each; `None` if it leads out of `words`.
fn decode_block<T: Label, const WIDTH: usize>(
    words: &[u32],
    grid: &BlockGrid,
    block: Block,
    header: Header,
    labels: &mut [T],
) -> Option<()> {
    let table = T::table(words.get(header.table..)?);
    let per_word = 32 / WIDTH;
    let mask = u32::MAX >> (32 - WIDTH);
    let packed = words.get(header.indices..)?.get(..grid.extent(block).div_ceil(per_word))?;
    for (to, from) in grid.rows(block) {
        for (x, label) in labels[to..to + block.count[2]].iter_mut().enumerate() {
            let voxel = from + x;
            let index = packed[voxel / per_word] >> (voxel % per_word * WIDTH) & mask;
            *label = T::from_words(*table.get(index as usize)?);
        }
    }
    Some(())
}
