//! `STEM.counters.txt`: what happened, under the names that users of google/ffn know.

use std::collections::BTreeMap;

use exavox_compute::ffn::Counters;

/// Everything that is counted.
pub(crate) struct Counted {
    /// Subvolumes.
    pub(crate) subvolumes: u64,
    /// What happened to the seeds.
    pub(crate) counters: Counters,
    /// Time of reading, of the seed policy, of the flood loop.
    pub(crate) stage_seconds: [f64; 3],
    /// Time of accepted objects.
    pub(crate) valid_seconds: f64,
}

impl Counted {
    /// Lines `name: number`, sorted by name; times in ms.
    pub(crate) fn text(&self) -> String {
        let counters = &self.counters;
        let ms = |seconds: f64| (seconds * 1000.0).round().max(0.0) as u64;
        let [read, seeds, flood] = self.stage_seconds.map(ms);
        let all = BTreeMap::from([
            ("load-image-calls", self.subvolumes),
            ("load-image-time-ms", read),
            ("predict-calls", counters.fov_steps),
            ("seed-policy-calls", self.subvolumes),
            ("seed-policy-time-ms", seeds),
            ("seed_got_too_weak", counters.seed_got_too_weak),
            ("segment_all-calls", self.subvolumes),
            ("segment_all-time-ms", flood),
            ("segment_at-loop-calls", counters.segment_at_calls),
            ("skip_invalid_pos", counters.skip_invalid_pos),
            ("skip_restriced_pos", counters.skip_restricted_pos),
            ("update_at-calls", counters.fov_steps),
            ("valid-time-ms", ms(self.valid_seconds)),
            ("voxels-overlapping", counters.voxels_overlapping),
            ("voxels-segmented", counters.voxels_segmented),
        ]);
        all.iter().map(|(name, count)| format!("{name}: {count}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_names_and_numbers() {
        let counters = Counters { fov_steps: 25_799, segment_at_calls: 517, ..Counters::default() };
        let stage_seconds = [0.5, 7.899, 393.765];
        let text =
            Counted { subvolumes: 1, counters, stage_seconds, valid_seconds: 354.585 }.text();
        assert!(text.contains("\npredict-calls: 25799\n"), "{text}");
        assert!(text.contains("\nsegment_all-time-ms: 393765\n"), "{text}");
        assert!(text.contains("\nvalid-time-ms: 354585\n"), "{text}");
        assert!(text.lines().is_sorted() && text.ends_with('\n'), "{text}");
    }
}
