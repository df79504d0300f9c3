//! How many blocks a task of an array takes.

use super::cluster::ClusterModel;

/// Shards for each slot that are aimed at: enough that the slots end at nearly the same time, few enough
/// that starting them costs nothing.
const PER_SLOT: u64 = 12;

/// How the blocks of a stage are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shards {
    pub(super) blocks_per_shard: u64,
    pub(super) shards: u64,
    /// Job arrays that hold them; all but the first begin at an offset.
    pub(super) arrays: u64,
}

impl Shards {
    /// Shards of a given number of blocks.
    pub(super) fn of(blocks: u64, blocks_per_shard: u64, cluster: &ClusterModel) -> Self {
        let shards = blocks.div_ceil(blocks_per_shard);
        Self { blocks_per_shard, shards, arrays: shards.div_ceil(cluster.max_array_size) }
    }

    /// About twelve shards for each slot, each as long as `shard_seconds` of the cluster say. Where there
    /// is less work than that, a shard for each slot.
    pub(super) fn choose(
        blocks: u64,
        block_seconds: f64,
        slots: u64,
        cluster: &ClusterModel,
    ) -> Self {
        let [shortest, longest] = cluster.shard_seconds;
        // Floats beyond u64 become its largest value.
        let least = ((shortest / block_seconds).ceil() as u64).max(1);
        let most = ((longest / block_seconds).floor() as u64).max(least);
        let wanted = blocks.div_ceil(slots.saturating_mul(PER_SLOT)).clamp(least, most);
        Self::of(blocks, wanted.min((blocks / slots).max(1)), cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(blocks: u64, seconds: f64, slots: u64) -> Shards {
        Shards::choose(blocks, seconds, slots, &ClusterModel::new(slots, 1))
    }

    #[test]
    fn shards_take_minutes_and_slots_get_a_dozen() {
        // A dozen for each slot would take 8 and 3 min, and a year.
        assert_eq!(chosen(100_000, 5.0, 83).shards.div_ceil(83), 12);
        assert_eq!(chosen(100_000, 2.0, 83).blocks_per_shard, 150);
        assert_eq!(chosen(1 << 50, 5.0, 83).blocks_per_shard, 360);
        // Each slot has something to do, and blocks are not cut.
        assert_eq!(chosen(100, 1.0, 50).blocks_per_shard, 2);
        assert_eq!(chosen(10, 1.0, 50).shards, 10);
        assert_eq!(chosen(1000, 7200.0, 2).blocks_per_shard, 1);
        assert_eq!(chosen(1000, 0.0, 2).blocks_per_shard, 500);
    }

    proptest! {
        #[test]
        fn no_block_is_left_out_and_no_shard_is_empty(
            blocks in 1_u64..2_000, seconds in 0.0_f64..5000.0, slots in 1_u64..40, array in 1_u64..50,
        ) {
            let cluster = ClusterModel { max_array_size: array, ..ClusterModel::new(slots, 1) };
            let found = Shards::choose(blocks, seconds, slots, &cluster);
            let listed: Vec<u64> = (0..blocks).step_by(found.blocks_per_shard as usize).collect();
            prop_assert_eq!(found.shards, listed.len() as u64);
            prop_assert!(found.shards >= slots.min(blocks));
            prop_assert_eq!(found.arrays, listed.chunks(array as usize).count() as u64);
        }
    }
}
