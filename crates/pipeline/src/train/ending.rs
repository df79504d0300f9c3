//! When a run ends, and how far it is.

use super::checkpoint::Progress;
use super::config::RunTable;
use crate::progress::Unit;

/// The ends that were asked for; the first one counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ending {
    steps: Option<u64>,
    seconds: Option<f64>,
}

impl Ending {
    /// `labelled_voxels`: of all volumes, if they were counted.
    pub(super) fn new(table: &RunTable, batch: usize, labelled_voxels: Option<u64>) -> Self {
        let passes = table.passes.zip(labelled_voxels);
        let passes = passes.map(|(passes, voxels)| (passes * voxels as f64 / batch as f64) as u64);
        let steps = [table.steps, passes].into_iter().flatten().min();
        Self { steps, seconds: table.minutes.map(|minutes| minutes * 60.0) }
    }

    /// Whether a run is at its end.
    pub(super) fn is_reached(&self, progress: &Progress) -> bool {
        self.steps.is_some_and(|steps| progress.step >= steps)
            || self.seconds.is_some_and(|seconds| progress.seconds >= seconds)
    }

    /// What a run counts, and how much of it there is.
    pub(super) fn total(&self) -> (u64, Unit) {
        match (self.steps, self.seconds) {
            (Some(steps), _) => (steps, Unit::Steps),
            (None, seconds) => (seconds.unwrap_or_default() as u64, Unit::Seconds),
        }
    }

    /// How much of that is done.
    pub(super) fn done(&self, progress: &Progress) -> u64 {
        if self.steps.is_some() { progress.step } else { progress.seconds as u64 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(text: &str) -> RunTable {
        toml::from_str(&format!("output = 'o'\n{text}")).unwrap()
    }

    #[test]
    fn the_first_end_counts() {
        let ending = Ending::new(&table("steps = 500\npasses = 2.0\nminutes = 3"), 4, Some(600));
        assert_eq!(ending, Ending { steps: Some(300), seconds: Some(180.0) });
        let at = |step, seconds| Progress { step, seconds, ..Progress::default() };
        assert!(!ending.is_reached(&at(299, 179.0)));
        assert!(ending.is_reached(&at(300, 1.0)) && ending.is_reached(&at(1, 180.0)));
        assert_eq!(Ending::new(&table("minutes = 3"), 4, None).total(), (180, Unit::Seconds));
    }
}
