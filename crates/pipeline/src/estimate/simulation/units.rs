//! The shards of a stage as the simulation takes them: one by one, or many in one go where there are
//! more than can be looked at.

use super::super::cluster::ClusterModel;
use super::super::random::Random;
use super::Planned;

/// Up to so many shards are taken one by one.
const ONE_BY_ONE: u64 = 300_000;

/// Work for a slot: one shard, or several one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit {
    /// Seconds of work that are left, with a store that is free.
    pub(super) left: f64,
    /// Seconds of work at first.
    pub(super) work: f64,
    /// Seconds of one of its blocks.
    pub(super) block: f64,
    /// Bytes a second that it wants from the store.
    pub(super) demand: f64,
}

/// Hands out the work of a stage in order.
///
/// Where there are more than [`ONE_BY_ONE`] shards, units are large at first and become smaller with
/// what is left, as in guided self-scheduling (Polychronopoulos, Kuck 1987,
/// <https://doi.org/10.1109/TC.1987.5009495>), down to single shards: the end, which decides about the
/// time, is that of single shards.
#[derive(Debug)]
pub(super) struct Units<'a> {
    stage: &'a Planned<'a>,
    cluster: &'a ClusterModel,
    random: Random,
    /// Shards in a unit are those that are left divided by this.
    divisor: u64,
    shards_left: u64,
    blocks_left: u64,
    pub(super) handed_out: u64,
    pub(super) stragglers: u64,
}

impl<'a> Units<'a> {
    pub(super) fn new(
        stage: &'a Planned<'a>,
        cluster: &'a ClusterModel,
        seed: u64,
        stream: u64,
    ) -> Self {
        let slots = cluster.nodes * stage.slots_per_node;
        let each = if slots <= 20_000 { 4 } else { 1 };
        let divisor = if stage.shards > ONE_BY_ONE { slots * each } else { u64::MAX };
        Self {
            stage,
            cluster,
            random: Random::new(seed, stream),
            divisor,
            shards_left: stage.shards,
            blocks_left: stage.blocks,
            handed_out: 0,
            stragglers: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards_left == 0
    }

    /// The next unit.
    pub(super) fn next(&mut self) -> Option<Unit> {
        if self.is_empty() {
            return None;
        }
        let shards = (self.shards_left / self.divisor).max(1);
        let most = shards.saturating_mul(self.stage.blocks_per_shard);
        let last = shards == self.shards_left;
        let blocks = if last { self.blocks_left } else { most.min(self.blocks_left) };
        let slow = self.slow_shards(shards);
        self.shards_left -= shards;
        self.blocks_left -= blocks;
        self.handed_out += 1;
        self.stragglers += slow;
        Some(self.unit(shards, blocks, slow as f64 / shards as f64))
    }

    fn unit(&mut self, shards: u64, blocks: u64, slow: f64) -> Unit {
        let factor = 1.0 + slow * (self.cluster.straggler_factor - 1.0);
        let starts = (shards - 1) as f64 * self.cluster.task_start_seconds;
        let work = self.stage.sampler.sum(blocks, &mut self.random) * factor + starts;
        let bytes = self.stage.bytes_per_block * blocks as f64;
        Unit {
            left: work,
            work,
            block: work / blocks.max(1) as f64,
            demand: if work > 0.0 { bytes / work } else { 0.0 },
        }
    }

    /// How many of these shards are slow.
    fn slow_shards(&mut self, shards: u64) -> u64 {
        let share = self.cluster.straggler_fraction;
        if share == 0.0 {
            return 0;
        }
        if shards == 1 {
            return u64::from(self.random.uniform() <= share);
        }
        let (mean, deviation) =
            (shards as f64 * share, (shards as f64 * share * (1.0 - share)).sqrt());
        let drawn = (mean + deviation * self.random.normal()).round().max(0.0);
        (drawn as u64).min(shards)
    }
}
