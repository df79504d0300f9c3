//! Into how many shards a stage is cut.

/// How the blocks of a stage are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deal {
    /// Tasks that run at once.
    pub slots: u64,
    /// Shards for each of them: with many, a slot that is slow or lost leaves its share to the others; with
    /// too many, starting tasks takes longer than their work.
    pub shards_per_slot: u64,
}

impl Default for Deal {
    fn default() -> Self {
        Self { slots: 20, shards_per_slot: 12 }
    }
}

impl Deal {
    /// Shards of a stage of so many blocks: none is empty.
    pub fn shards(&self, blocks: u64) -> u64 {
        let wanted = self.slots.max(1).saturating_mul(self.shards_per_slot.max(1));
        wanted.min(blocks).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_blocks_make_a_few_shards_a_slot_and_few_make_no_empty_ones() {
        let deal = Deal { slots: 6, shards_per_slot: 8 };
        assert_eq!([0, 1, 47, 48, 1 << 40].map(|b| deal.shards(b)), [1, 1, 47, 48, 48]);
        assert_eq!(Deal { slots: 0, shards_per_slot: 0 }.shards(9), 1);
    }
}
