//! Labels of all blocks in one space.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::union::MAX_ID;

/// Ids made of the number of a block and a label in it: `block << local_bits | local`. The labels of a
/// block are a range, in ascending order of blocks. 0 is background in every block and in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalIds {
    blocks: u64,
    local_bits: u32,
}

impl GlobalIds {
    /// Ids of `blocks` blocks whose labels are at most `2^local_bits - 1`.
    ///
    /// # Errors
    /// If the largest id would not be below 2^63.
    pub fn new(blocks: u64, local_bits: u32) -> Result<Self> {
        let last = u128::from(blocks.max(1)).checked_shl(local_bits).filter(|_| local_bits < 64);
        if last.is_none_or(|end| end > u128::from(MAX_ID)) {
            let message = format!(
                "{blocks} blocks with labels of {local_bits} bits: ids would not be below 2^63"
            );
            return Err(Error::settings("global ids", message));
        }
        Ok(Self { blocks, local_bits })
    }

    /// Ids of blocks with at most `max_voxels` voxels each: no block has more labels than voxels.
    ///
    /// # Errors
    /// As [`GlobalIds::new`].
    pub fn for_blocks(blocks: u64, max_voxels: u64) -> Result<Self> {
        Self::new(blocks, u64::BITS - max_voxels.leading_zeros())
    }

    /// Bits of the label in a block.
    pub fn local_bits(&self) -> u32 {
        self.local_bits
    }

    /// The id of a label in a block; 0 stays 0.
    ///
    /// # Errors
    /// If there is no such block, or the label has too many bits.
    pub fn id(&self, block: u64, local: u64) -> Result<u64> {
        let wrong = |message| Err(Error::settings(format!("block {block}"), message));
        if block >= self.blocks {
            return wrong(format!("there are {} blocks", self.blocks));
        }
        if local >> self.local_bits != 0 {
            let bits = self.local_bits;
            return wrong(format!("expected labels of at most {bits} bits, found {local}"));
        }
        Ok(if local == 0 { 0 } else { block << self.local_bits | local })
    }

    /// Block and label of an id that [`GlobalIds::id`] gave.
    pub fn split(&self, id: u64) -> (u64, u64) {
        let block = id >> self.local_bits;
        (block, id ^ block << self.local_bits)
    }

    /// The ids of a block: what to take from a [`crate::union::LabelMap`].
    pub fn range_of_block(&self, block: u64) -> Range<u64> {
        let begin = block << self.local_bits;
        begin..begin + (1 << self.local_bits)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_apart_again() {
        let ids = GlobalIds::new(1 << 31, 32).unwrap();
        for (block, local) in [(0, 1), (7, 9), ((1 << 31) - 1, u64::from(u32::MAX))] {
            let id = ids.id(block, local).unwrap();
            assert!(id < MAX_ID);
            assert_eq!(ids.split(id), (block, local));
            assert!(ids.range_of_block(block).contains(&id));
            assert!(!ids.range_of_block(block + 1).contains(&id));
        }
        assert_eq!(ids.id(5, 0).unwrap(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (blocks, bits) in [((1 << 31) + 1, 32), (1, 64), (u64::MAX, 1), (2, 63), (1, 200)] {
            let error = GlobalIds::new(blocks, bits).unwrap_err().to_string();
            assert!(error.contains("2^63"), "{error}");
        }
        GlobalIds::new(1, 63).unwrap();
        let ids = GlobalIds::for_blocks(3, 1000).unwrap();
        assert_eq!(ids.local_bits(), 10);
        assert!(ids.id(3, 1).unwrap_err().to_string().contains("3 blocks"));
        assert!(ids.id(2, 1024).unwrap_err().to_string().contains("found 1024"));
    }
}
