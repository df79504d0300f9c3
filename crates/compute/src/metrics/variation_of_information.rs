//! Variation of information: M. Meilă, "Comparing clusterings" (2007), split as in Nunez-Iglesias et
//! al. (2013), and its normalised forms.

use super::sums::Sums;

/// Entropies in bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entropies {
    joint: f64,
    truth: f64,
    labels: f64,
}

impl Entropies {
    /// Of the pairs, the rows and the columns of a table.
    pub(super) fn of(pairs: &Sums, truth: &Sums, labels: &Sums) -> Self {
        Self { joint: pairs.entropy(), truth: truth.entropy(), labels: labels.entropy() }
    }

    /// `H(prediction given truth)`.
    pub(super) fn split(&self) -> f64 {
        // Differences of equal entropies can come out as -0 or as the last bit below zero.
        (self.joint - self.truth).max(0.0)
    }

    /// `H(truth given prediction)`.
    pub(super) fn merge(&self) -> f64 {
        (self.joint - self.labels).max(0.0)
    }

    /// Normalised variation of information: of one object in all of truth and prediction it is 0.
    pub(super) fn normalised(&self) -> f64 {
        share(self.split() + self.merge(), self.joint)
    }

    /// Normalised information distance.
    pub(super) fn information_distance(&self) -> f64 {
        let largest = self.truth.max(self.labels);
        share((self.joint - self.truth.min(self.labels)).max(0.0), largest)
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if part == 0.0 { 0.0 } else { (part / whole).min(1.0) }
}
