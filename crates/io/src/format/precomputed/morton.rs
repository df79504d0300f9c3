//! The compressed Morton code: the number of a chunk, whose bits are those of its index along x, y and z
//! in turns, without the bits that are 0 for all chunks of the grid.

/// The order in which axes give their bits, as places in `[z, y, x]`.
const TURNS: [usize; 3] = [2, 1, 0];

/// A grid of chunks whose numbers fit into 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MortonGrid {
    /// Axis (place in `[z, y, x]`) that each bit of the code comes from, lowest first.
    axes: Vec<usize>,
}

impl MortonGrid {
    /// The codes of a grid of `counts` chunks `[z, y, x]`; `None` if they need more than 64 bits.
    pub(super) fn new(counts: [u64; 3]) -> Option<Self> {
        let bit_of = |bit: u32| TURNS.into_iter().filter(move |a| (1_u64 << bit) < counts[*a]);
        let axes: Vec<usize> = (0..u64::BITS).flat_map(bit_of).collect();
        (axes.len() <= 64).then_some(Self { axes })
    }

    /// Bits of the largest code.
    pub(super) fn bits(&self) -> u32 {
        self.axes.len() as u32
    }

    /// The code of the chunk at `index` `[z, y, x]`.
    pub(super) fn code(&self, mut index: [u64; 3]) -> u64 {
        self.axes.iter().enumerate().fold(0, |code, (bit, axis)| {
            let value = index[*axis] & 1;
            index[*axis] >>= 1;
            code | value << bit
        })
    }

    /// Chunks `[z, y, x]` of the box whose codes differ in the lowest `bits` bits only.
    pub(super) fn box_shape(&self, bits: u32) -> [u64; 3] {
        let mut shape = [1; 3];
        self.axes.iter().take(bits as usize).for_each(|axis| shape[*axis] *= 2);
        shape
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// As the specification says it, bit by bit.
    fn naive(counts: [u64; 3], index: [u64; 3]) -> u64 {
        let ([z, y, x], mut code, mut j) = (index, 0, 0);
        for i in 0..40 {
            for (n, v) in [(counts[2], x), (counts[1], y), (counts[0], z)] {
                if (1 << i) < n {
                    code |= (v >> i & 1) << j;
                    j += 1;
                }
            }
        }
        code
    }

    #[test]
    fn codes_of_a_small_grid() {
        let grid = MortonGrid::new([1, 2, 5]).unwrap();
        let row = |y: u64| (0..5).map(|x| grid.code([0, y, x])).collect::<Vec<_>>();
        assert_eq!((row(0), row(1)), (vec![0, 1, 4, 5, 8], vec![2, 3, 6, 7, 10]));
        assert_eq!(grid.box_shape(3), [1, 2, 4]);
        assert!(MortonGrid::new([1 << 22, 1 << 21, 1 << 21]).is_some());
        assert!(MortonGrid::new([1 << 22, 1 << 22, 1 << 22]).is_none());
        assert!(MortonGrid::new([u64::MAX; 3]).is_none());
    }

    proptest! {
        #[test]
        fn code_is_the_naive_one(
            counts in [1..70_000u64, 1..300u64, 1..5000u64],
            seeds in [0..u64::MAX, 0..u64::MAX, 0..u64::MAX],
        ) {
            let index = std::array::from_fn(|a| seeds[a] % counts[a]);
            prop_assert_eq!(MortonGrid::new(counts).unwrap().code(index), naive(counts, index));
        }

        #[test]
        fn low_bits_are_a_box(counts in [1..9u64, 1..9u64, 1..9u64], bits in 0..12u32) {
            let grid = MortonGrid::new(counts).unwrap();
            let bits = bits.min(grid.bits());
            let [z, y, x] = grid.box_shape(bits);
            let codes: BTreeSet<u64> = (0..z * y * x)
                .map(|i| grid.code([i / (x * y), i / x % y, i % x]))
                .collect();
            prop_assert_eq!(codes, (0..1u64 << bits).collect::<BTreeSet<_>>());
        }
    }
}
