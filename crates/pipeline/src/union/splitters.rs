//! Which bucket an id belongs to.

/// Most cells of the table that finds a bucket in one step where ids are spread evenly.
const MOST_CELLS: usize = 1 << 16;
/// Cells for each bucket: small problems come by the thousand, and a large table takes longer than they do.
const CELLS_PER_BUCKET: usize = 8;

/// Cuts the range of ids into buckets, in ascending order, that hold about equally many ends of edges.
#[derive(Debug)]
pub(super) struct Splitters {
    /// Bucket `b` begins with `bounds[b - 1]`.
    bounds: Vec<u64>,
    /// Number of bounds below the first id of each cell, and of all.
    cells: Vec<u16>,
    low: u64,
    shift: u32,
}

impl Splitters {
    /// At most `buckets` buckets, at most 2^16, from a sample of the ids.
    pub(super) fn of_sample(mut sample: Vec<u64>, buckets: usize) -> Self {
        sample.sort_unstable();
        let quantile = |b: usize| sample.get(b * sample.len() / buckets).copied();
        let mut bounds: Vec<u64> = (1..buckets).filter_map(quantile).collect();
        bounds.dedup();
        let low = sample.first().copied().unwrap_or(0);
        let range = sample.last().copied().unwrap_or(0) - low;
        let bits = u64::BITS - range.leading_zeros();
        let count = (buckets * CELLS_PER_BUCKET).next_power_of_two().min(MOST_CELLS);
        let shift = bits.saturating_sub(count.ilog2());
        let begin = |cell: usize| low.saturating_add((cell as u64) << shift);
        let below = |id: u64| bounds.partition_point(|bound| *bound < id) as u16;
        let mut cells: Vec<u16> = (0..count).map(|cell| below(begin(cell))).collect();
        cells.push(bounds.len() as u16);
        Self { bounds, cells, low, shift }
    }

    /// Number of buckets.
    pub(super) fn len(&self) -> usize {
        self.bounds.len() + 1
    }

    /// The bucket of an id; an id that is larger is in the same or a later one.
    pub(super) fn bucket(&self, id: u64) -> u16 {
        let cell =
            (id.saturating_sub(self.low) >> self.shift).min(self.cells.len() as u64 - 2) as usize;
        let (from, to) = (self.cells[cell], self.cells[cell + 1]);
        let inside = &self.bounds[usize::from(from)..usize::from(to)];
        from + inside.partition_point(|bound| *bound <= id) as u16
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Vec<u64>> {
        let id = prop_oneof![
            1_u64..50,
            1_u64..1 << 63,
            (1_u64..9, 1_u64..99).prop_map(|(b, l)| b << 40 | l)
        ];
        prop::collection::vec(id, 1..200)
    }

    proptest! {
        #[test]
        fn buckets_are_the_bounds_below(sample in ids(), others in ids(), buckets in 1_usize..300) {
            let splitters = Splitters::of_sample(sample.clone(), buckets);
            prop_assert!(splitters.len() <= buckets.max(1));
            for id in sample.into_iter().chain(others).chain([1, (1 << 63) - 1]) {
                let naive = splitters.bounds.iter().filter(|bound| **bound <= id).count();
                prop_assert_eq!(usize::from(splitters.bucket(id)), naive);
            }
        }
    }
}
