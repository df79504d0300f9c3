//! From a histogram to a mapping of gray levels.

/// Bins of a histogram.
const BINS: usize = 256;
/// The highest of the 2^14 gray levels.
pub(super) const HIGHEST: u32 = (1 << 14) - 1;
/// Gray levels of a bin, as scikit-image has it.
const PER_BIN: u32 = 1 + (HIGHEST + 1) / BINS as u32;

/// How many voxels of a tile have a gray level of each of 256 bins.
pub type LevelCounts = [u64; BINS];
/// The gray level, of 2^14, that each of 256 bins becomes.
pub type Mapping = [u16; BINS];

/// Values as gray levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gray {
    low: f64,
    high: f64,
}

impl Gray {
    pub(super) fn new([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }

    /// The gray level of a value, 0 if there is but one value; `None` for NaN.
    #[inline(always)]
    pub(super) fn level(&self, value: f64) -> Option<u32> {
        if value.is_nan() {
            return None;
        }
        let width = self.high - self.low;
        let share =
            if width > 0.0 { (value.clamp(self.low, self.high) - self.low) / width } else { 0.0 };
        Some((share * f64::from(HIGHEST)).round_ties_even() as u32)
    }

    #[inline(always)]
    pub(super) fn bin(&self, level: u32) -> usize {
        (level / PER_BIN) as usize
    }
}

/// The largest count that a bin may keep.
pub(super) fn limit(clip_limit: f64, voxels: usize) -> u64 {
    let voxels = voxels as u64;
    if clip_limit > 0.0 { ((clip_limit * voxels as f64) as u64).max(1) } else { voxels }
}

/// Clips a histogram, and shares out evenly what was clipped.
pub(super) fn clip(histogram: &mut LevelCounts, limit: u64) {
    let mut excess: i64 = histogram.iter().map(|n| n.saturating_sub(limit) as i64).sum();
    histogram.iter_mut().for_each(|n| *n = (*n).min(limit));
    // The same to each bin; those that come near the limit are filled up to it, as scikit-image has it.
    let (limit, share) = (limit as i64, excess / BINS as i64);
    for n in histogram.iter_mut() {
        let mut count = *n as i64;
        if count < limit - share {
            count += share;
        }
        if count >= limit - share {
            count = limit;
        }
        excess -= count - *n as i64;
        *n = count as u64;
    }
    share_rest(histogram, limit as u64, excess);
}

/// The rest one by one, in steps that spread it over the bins with room.
fn share_rest(histogram: &mut LevelCounts, limit: u64, mut excess: i64) {
    while excess > 0 {
        let before = excess;
        for start in 0..BINS {
            let with_room = histogram.iter().filter(|n| **n < limit).count() as i64;
            let step = (with_room / excess).max(1) as usize;
            for n in histogram[start..].iter_mut().step_by(step).filter(|n| **n < limit) {
                *n += 1;
                excess -= 1;
            }
            if excess <= 0 {
                return;
            }
        }
        if excess == before {
            return;
        }
    }
}

/// The mapping that makes the counts so far the gray level.
pub(super) fn equalising(histogram: &LevelCounts, voxels: usize) -> Mapping {
    let scale = f64::from(HIGHEST) / voxels.max(1) as f64;
    let mut sum = 0u64;
    histogram.map(|n| {
        sum += n;
        (sum as f64 * scale).min(f64::from(HIGHEST)) as u16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_by_clipping_if_there_is_room() {
        let mut histogram = [3u64; BINS];
        histogram[7] = 1000;
        let sum: u64 = histogram.iter().sum();
        clip(&mut histogram, 20);
        assert!(histogram.iter().all(|n| *n <= 20) && histogram[7] == 20);
        let shared = histogram.iter().sum::<u64>();
        // The last round goes over all bins with room.
        assert!(shared.abs_diff(sum) < BINS as u64, "{sum} became {shared}");
    }

    #[test]
    fn without_room_clipping_ends() {
        let mut histogram = [9u64; BINS];
        clip(&mut histogram, 2);
        assert_eq!(histogram, [2; BINS]);
    }
}
