//! What one pass counts of a part of a volume, and how it is written down.

use super::exact_sum::ExactSum;

/// What one pass of a [`Survey`](super::Survey) has found in a part of a volume. Merging is exact: neither
/// the order nor the parting matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// How often each digit occurs after each prefix; or how many values there are.
    pub(super) counts: Vec<u64>,
    pub(super) sum: ExactSum,
    /// Lowest and highest finite value; infinite if there is none.
    pub(super) ends: [f64; 2],
}

impl Tally {
    /// Of no voxels, with so many counts.
    pub(super) fn none(counts: usize, sum: ExactSum) -> Self {
        Self { counts: vec![0; counts], sum, ends: [f64::INFINITY, f64::NEG_INFINITY] }
    }

    /// The first count: that of all values where digits are not counted.
    pub(super) fn first(&self) -> u64 {
        self.counts.first().copied().unwrap_or_default()
    }

    /// Adds what was found in another part in the same pass.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.sum.merge(&other.sum);
        self.ends = [self.ends[0].min(other.ends[0]), self.ends[1].max(other.ends[1])];
    }

    /// As bytes, little-endian: the ends, the number of counts, how many of them are not 0, these with their
    /// index (u32, u64), and the sums of exponents that are not 0 with theirs (u32, i128).
    pub fn to_bytes(&self) -> Vec<u8> {
        let counted: Vec<(usize, &u64)> = filled(&self.counts);
        let mut bytes = Vec::with_capacity(24 + 12 * counted.len());
        self.ends.iter().for_each(|end| bytes.extend(end.to_le_bytes()));
        bytes.extend((self.counts.len() as u32).to_le_bytes());
        bytes.extend((counted.len() as u32).to_le_bytes());
        for (index, count) in counted {
            bytes.extend((index as u32).to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        for (exponent, part) in filled(self.sum.bins()) {
            bytes.extend((exponent as u32).to_le_bytes());
            bytes.extend(part.to_le_bytes());
        }
        bytes
    }

    /// From [`Tally::to_bytes`]; `None` if the bytes are no tally.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let low = f64::from_le_bytes(take(&mut bytes)?);
        let high = f64::from_le_bytes(take(&mut bytes)?);
        let length = u32::from_le_bytes(take(&mut bytes)?) as usize;
        let counted = u32::from_le_bytes(take(&mut bytes)?);
        if length > super::MOST_COUNTS {
            return None;
        }
        let mut tally = Self::none(length, ExactSum::default());
        tally.ends = [low, high];
        for _ in 0..counted {
            let index = u32::from_le_bytes(take(&mut bytes)?) as usize;
            *tally.counts.get_mut(index)? = u64::from_le_bytes(take(&mut bytes)?);
        }
        while !bytes.is_empty() {
            let exponent = u32::from_le_bytes(take(&mut bytes)?) as usize;
            tally.sum.add_bin(exponent, i128::from_le_bytes(take(&mut bytes)?))?;
        }
        Some(tally)
    }
}

fn filled<T: Default + PartialEq>(values: &[T]) -> Vec<(usize, &T)> {
    values.iter().enumerate().filter(|(_, v)| **v != T::default()).collect()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back_and_damage_is_found() {
        let mut tally = Tally::none(300, ExactSum::zero());
        (tally.counts[0], tally.counts[299], tally.ends) = (7, u64::MAX, [-3.5, 1e300]);
        tally.sum.add(-3.5, 4);
        tally.sum.add(1e-310, 1);
        let bytes = tally.to_bytes();
        assert_eq!(Tally::from_bytes(&bytes), Some(tally));
        for length in (0..bytes.len()).filter(|l| *l != 48 && *l != 68) {
            assert_eq!(Tally::from_bytes(&bytes[..length]), None, "{length}");
        }
        let mut outside = bytes.clone();
        outside[24..28].copy_from_slice(&300_u32.to_le_bytes());
        assert_eq!(Tally::from_bytes(&outside), None);
        let mut huge = bytes;
        huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Tally::from_bytes(&huge), None);
    }
}
