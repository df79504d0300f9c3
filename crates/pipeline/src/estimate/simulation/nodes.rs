//! Which nodes work, and when the next one fails.

use super::super::cluster::ClusterModel;
use super::super::random::Random;

/// The machines of a run, over all its stages.
#[derive(Debug)]
pub(super) struct Nodes {
    /// When each works again; in the past for those that work.
    back_at: Vec<f64>,
    /// Failures of all nodes together in a second.
    rate: f64,
    repair_seconds: f64,
    next_failure: f64,
    random: Random,
    failures: Vec<f64>,
}

impl Nodes {
    pub(super) fn new(cluster: &ClusterModel, seed: u64) -> Self {
        let per_hour = cluster.mtbf_hours.map_or(0.0, |hours| cluster.nodes as f64 / hours);
        let (rate, mut random) = (per_hour / 3600.0, Random::new(seed, 0));
        Self {
            back_at: vec![0.0; cluster.nodes as usize],
            rate,
            repair_seconds: cluster.repair_seconds,
            next_failure: random.exponential(rate),
            random,
            failures: Vec::new(),
        }
    }

    pub(super) fn next_failure(&self) -> f64 {
        self.next_failure
    }

    /// The node that fails at [`Self::next_failure`], unless it is one that is down already: so all
    /// nodes that work fail at the same rate.
    pub(super) fn fail(&mut self) -> Option<usize> {
        let now = self.next_failure;
        self.next_failure = now + self.random.exponential(self.rate);
        let node = self.random.below(self.back_at.len() as u64) as usize;
        if self.back_at[node] > now {
            return None;
        }
        self.back_at[node] = now + self.repair_seconds;
        self.failures.push(now);
        Some(node)
    }

    /// Nodes that are down at a moment, and when they work again.
    pub(super) fn down(&self, now: f64) -> impl Iterator<Item = (usize, f64)> {
        let nodes = self.back_at.iter().copied().enumerate();
        nodes.filter(move |(_, back)| *back > now)
    }

    pub(super) fn back_at(&self, node: usize) -> f64 {
        self.back_at[node]
    }

    pub(super) fn into_failures(self) -> Vec<f64> {
        self.failures
    }
}
