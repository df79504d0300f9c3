//! How a single object is split, or what a single label merges.

use super::contingency::PairCount;
use super::scorer::Side;
use super::sums::weighted;

/// An object of the truth and the labels it is split into, or a label of the prediction and the objects
/// that it merges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Of which volume the object is.
    pub side: Side,
    /// Its label.
    pub label: u64,
    /// Its voxels that take part.
    pub voxels: u64,
    /// Labels of the other volume in it, prediction 0 apart.
    pub partners: u64,
    /// Those of them that hold at least the stated share of its voxels.
    pub parts: u64,
    /// The one with most voxels; of equal ones the smallest.
    pub largest: Option<Partner>,
    /// The next one.
    pub second: Option<Partner>,
    /// Voxels of an object of the truth that the prediction leaves out (0).
    pub background: u64,
    /// What it adds to VOI split (of the truth) or VOI merge (of the prediction), bits: these sum up to
    /// the score.
    pub voi: f64,
}

/// A label of the other volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partner {
    /// The label.
    pub label: u64,
    /// Voxels in common.
    pub voxels: u64,
}

impl Object {
    /// Share of the voxels that the largest partner holds.
    pub fn largest_share(&self) -> f64 {
        self.largest.map_or(0.0, |largest| largest.voxels as f64 / self.voxels as f64)
    }
}

/// An object while its pairs come.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    side: Side,
    pub(super) label: u64,
    pub(super) voxels: u64,
    weighted: f64,
    partners: Vec<Partner>,
}

impl Gathered {
    pub(super) fn new(side: Side, label: u64) -> Self {
        Self { side, label, voxels: 0, weighted: 0.0, partners: Vec::new() }
    }

    pub(super) fn add(&mut self, pair: &PairCount) {
        self.voxels += pair.voxels;
        self.weighted += weighted(pair.voxels);
        let label = self.side.other_of(pair);
        self.partners.push(Partner { label, voxels: pair.voxels });
    }

    /// The object, of a comparison of `total` voxels; `None` if it has none.
    pub(super) fn object(mut self, min_share: f64, total: u64) -> Option<Object> {
        if self.voxels == 0 {
            return None;
        }
        let left_out = |partner: &Partner| self.side == Side::Truth && partner.label == 0;
        let background = self.partners.iter().filter(|p| left_out(p)).map(|p| p.voxels).sum();
        self.partners.retain(|partner| !(self.side == Side::Truth && partner.label == 0));
        let smallest = min_share * self.voxels as f64;
        let parts = self.partners.iter().filter(|p| p.voxels as f64 >= smallest).count();
        // Stable: of equal ones the one with the smaller label comes first.
        self.partners.sort_by_key(|partner| std::cmp::Reverse(partner.voxels));
        let voi = (weighted(self.voxels) - self.weighted) / total as f64;
        Some(Object {
            side: self.side,
            label: self.label,
            voxels: self.voxels,
            partners: self.partners.len() as u64,
            parts: parts as u64,
            largest: self.partners.first().copied(),
            second: self.partners.get(1).copied(),
            background,
            voi: voi.max(0.0),
        })
    }
}
