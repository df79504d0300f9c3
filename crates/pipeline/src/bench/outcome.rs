//! What became of one implementation: figures, or the reason why there are none. Processes tell it
//! each other as JSON.

use serde::{Deserialize, Serialize};

/// Name of the row that reads, computes on the chosen device and writes, all at once.
pub(super) const OVERLAPPED: &str = "overlapped I/O";

/// One row as it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name in the table: `scalar`, `numpy 2.4.6`.
    pub implementation: String,
    /// Threads that it was given; `None` if it takes what it likes.
    pub threads: Option<usize>,
    /// The device's own name, if it ran on one.
    #[serde(default)]
    pub device: Option<String>,
    /// Figures or reason.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Figures, or the reason why there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Verdict {
    /// It ran.
    Measured(Measurement),
    /// It did not run.
    Refused {
        /// Why, in one line.
        reason: String,
    },
}

/// Figures of several runs, the first of which (compilers, caches) does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Wall-clock time of each run.
    pub seconds: Vec<f64>,
    /// Time on all cores together while the runs went on, where the system tells it.
    #[serde(default)]
    pub cpu_seconds: Option<f64>,
    /// Most memory of the process from the moment when its inputs were read.
    #[serde(default)]
    pub peak_memory_bytes: Option<u64>,
    /// Share of the time in which the device was busy, as its driver says, 0 to 1.
    #[serde(default)]
    pub device_utilisation: Option<f64>,
    /// The group's number of the output.
    pub answer: f64,
}

impl Outcome {
    /// What did not run, and why.
    pub fn refused(
        implementation: impl Into<String>,
        threads: Option<usize>,
        reason: impl Into<String>,
    ) -> Self {
        let verdict = Verdict::Refused { reason: reason.into() };
        Self { implementation: implementation.into(), threads, device: None, verdict }
    }

    /// For people: `wgpu:0 (software)` rather than `wgpu`, and `overlapped I/O, cuda:0`.
    pub fn name(&self) -> String {
        match &self.device {
            Some(device) if device.starts_with(&self.implementation) => device.clone(),
            Some(device) if self.implementation == OVERLAPPED => {
                format!("{}, {device}", self.implementation)
            }
            _ => self.implementation.clone(),
        }
    }
}

impl Measurement {
    /// The middle time; the mean of the two middle ones for an even count.
    pub fn median_seconds(&self) -> f64 {
        let sorted = self.sorted();
        let n = sorted.len();
        if n == 0 {
            return f64::NAN;
        }
        (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
    }

    /// The shortest and the longest time.
    pub fn extremes(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        (end(sorted.first()), end(sorted.last()))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn median_and_extremes() {
        let of = |seconds: &[f64]| Measurement {
            seconds: seconds.to_vec(),
            cpu_seconds: None,
            peak_memory_bytes: None,
            device_utilisation: None,
            answer: 0.0,
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]).median_seconds(), 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median_seconds(), 2.5);
        assert_eq!(of(&[4.0, 1.0, 2.0]).extremes(), (1.0, 4.0));
        assert!(of(&[]).median_seconds().is_nan());
    }

    #[test]
    fn outcomes_travel_as_json() {
        let text = r#"{"implementation": "numpy", "threads": null, "seconds": [0.5], "answer": 7}"#;
        let outcome: Outcome = serde_json::from_str(text).unwrap();
        let Verdict::Measured(found) = &outcome.verdict else { panic!("{outcome:?}") };
        assert_eq!((found.seconds.len(), found.answer), (1, 7.0));
        let text = r#"{"implementation": "jax", "threads": 1, "reason": "not installed"}"#;
        let outcome: Outcome = serde_json::from_str(text).unwrap();
        assert_eq!(outcome.verdict, Verdict::Refused { reason: "not installed".to_owned() });
        assert_eq!(
            serde_json::from_str::<Outcome>(&serde_json::to_string(&outcome).unwrap()).unwrap(),
            outcome
        );
    }
}
