//! Whether every label of every block can have a number of its own.

use serde::Serialize;

use crate::error::{Error, Result};

/// Labels are below 2^63, so that programs that know signed numbers only can read them.
const BITS: u32 = 63;

/// How a global label is made from the number of a block and a label within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LabelSpace {
    /// Bits for the number of the block.
    pub block_bits: u32,
    /// Bits for the label within the block: each of its voxels may have one.
    pub local_bits: u32,
}

impl LabelSpace {
    /// The bits for `blocks` blocks of at most `voxels` voxels.
    ///
    /// # Errors
    ///
    /// If they are more than 63.
    pub fn new(blocks: u64, voxels: u128) -> Result<Self> {
        let bits = |values: u128| u128::BITS - values.saturating_sub(1).leading_zeros();
        // Label 0 is the background.
        let (block_bits, local_bits) = (bits(blocks.into()), bits(voxels.saturating_add(1)));
        if block_bits + local_bits > BITS {
            let message = format!(
                "{blocks} blocks need {block_bits} bits and {voxels} voxels of a block {local_bits}: \
                 {} bits, labels below 2^63 have {BITS}; the volume in parts would fit",
                block_bits + local_bits
            );
            return Err(Error::settings("label space", message));
        }
        Ok(Self { block_bits, local_bits })
    }

    /// The label of all blocks for a label within one; 0 stays 0.
    pub fn global(&self, block: u64, local: u64) -> u64 {
        if local == 0 { 0 } else { (block << self.local_bits) | local }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_two_labels_are_the_same() {
        for (blocks, voxels) in [(1_u64, 1_u64), (3, 7), (4, 8), (5, 9), (1, 100), (7, 1)] {
            let space = LabelSpace::new(blocks, voxels.into()).unwrap();
            let mut found: Vec<u64> =
                (0..blocks).flat_map(|b| (1..=voxels).map(move |l| space.global(b, l))).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len() as u64, blocks * voxels);
            assert!(
                found.iter().all(|l| *l > 0 && *l < 1 << (space.block_bits + space.local_bits))
            );
        }
    }

    #[test]
    fn the_last_label_is_below_2_to_63() {
        let space = LabelSpace::new(1 << 35, (1 << 28) - 1).unwrap();
        assert_eq!(space.global((1 << 35) - 1, (1 << 28) - 1), (1 << 63) - 1);
        let error = LabelSpace::new(1 << 35, 1 << 28).unwrap_err().to_string();
        assert!(error.contains("35 bits") && error.contains("64 bits"), "{error}");
    }
}
