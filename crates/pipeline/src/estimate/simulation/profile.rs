//! What slots did over time, in a fixed number of steps however long it takes.

/// Steps of a profile at most.
const STEPS: usize = 512;
/// The width of a step at first.
const FIRST_STEP_SECONDS: f64 = 1e-3;

/// Slots at a moment, or on average over a step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SlotCounts {
    /// That work.
    pub busy: f64,
    /// That wait for a task to start.
    pub starting: f64,
    /// Whose node has failed.
    pub down: f64,
}

impl SlotCounts {
    fn add(&mut self, other: Self, weight: f64) {
        self.busy += other.busy * weight;
        self.starting += other.starting * weight;
        self.down += other.down * weight;
    }
}

/// Slot counts over time: steps of equal width that doubles whenever they run out.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    step_seconds: f64,
    /// Slot-seconds.
    steps: Vec<SlotCounts>,
    end_seconds: f64,
}

impl Profile {
    pub(super) fn new() -> Self {
        Self { step_seconds: FIRST_STEP_SECONDS, steps: Vec::new(), end_seconds: 0.0 }
    }

    /// How long it lasts.
    pub fn seconds(&self) -> f64 {
        self.end_seconds
    }

    /// Counts that held from one moment to a later one.
    pub(super) fn add(&mut self, from: f64, to: f64, counts: SlotCounts) {
        while to > self.step_seconds * STEPS as f64 {
            self.double();
        }
        let mut at = from;
        while at < to {
            let step = ((at / self.step_seconds) as usize).min(STEPS - 1);
            let mut end = ((step + 1) as f64 * self.step_seconds).min(to);
            // Rounding may put `at` on the end of a step.
            if end <= at {
                end = to;
            }
            if step >= self.steps.len() {
                self.steps.resize(step + 1, SlotCounts::default());
            }
            self.steps[step].add(counts, end - at);
            at = end;
        }
        self.end_seconds = self.end_seconds.max(to);
    }

    fn double(&mut self) {
        let pairs = self.steps.chunks(2);
        self.steps = pairs
            .map(|pair| {
                let mut sum = SlotCounts::default();
                pair.iter().for_each(|step| sum.add(*step, 1.0));
                sum
            })
            .collect();
        self.step_seconds *= 2.0;
    }

    /// Slot-seconds of work.
    pub fn busy_slot_seconds(&self) -> f64 {
        self.steps.iter().map(|s| s.busy).sum()
    }

    /// Means over so many columns of equal width, from the beginning to the end.
    pub fn columns(&self, columns: usize) -> Vec<SlotCounts> {
        let width = self.end_seconds / columns as f64;
        let mut means = vec![SlotCounts::default(); columns];
        if width <= 0.0 {
            return means;
        }
        for (number, step) in self.steps.iter().enumerate() {
            let from = number as f64 * self.step_seconds;
            let to = (from + self.step_seconds).min(self.end_seconds);
            let first = ((from / width) as usize).min(columns - 1);
            let last = ((to / width).ceil() as usize).clamp(first + 1, columns);
            for (column, mean) in means[..last].iter_mut().enumerate().skip(first) {
                let (left, right) = (column as f64 * width, (column + 1) as f64 * width);
                let share = (right.min(to) - left.max(from)).max(0.0) / (to - from).max(1e-300);
                mean.add(*step, share / width);
            }
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_kept_however_often_steps_double() {
        let mut profile = Profile::new();
        let mut expected = 0.0;
        for i in 0..2000 {
            let (from, to) = (f64::from(i * i) / 7.0, f64::from((i + 1) * (i + 1)) / 7.0);
            let busy = f64::from(i % 5);
            profile.add(from, to, SlotCounts { busy, starting: 1.0, down: 0.0 });
            expected += busy * (to - from);
        }
        assert!((profile.busy_slot_seconds() / expected - 1.0).abs() < 1e-9);
        assert!(profile.steps.len() <= STEPS);
        for columns in [1, 3, 100, 1000] {
            let found = profile.columns(columns);
            let width = profile.seconds() / columns as f64;
            let sum: f64 = found.iter().map(|c| c.busy * width).sum();
            assert!((sum / expected - 1.0).abs() < 1e-9, "{columns}");
            assert!(found.iter().all(|c| (c.starting - 1.0).abs() < 1e-6), "{columns}");
        }
    }

    #[test]
    fn a_profile_of_nothing_is_flat() {
        assert_eq!(Profile::new().columns(2), [SlotCounts::default(); 2]);
    }
}
