//! What scores need of a row of counts: nothing of the counts themselves is kept.

/// Sums over the counts of pairs, of rows or of columns of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    /// How many counts there are.
    pub(super) count: u64,
    /// Their sum.
    pub(super) voxels: u64,
    /// Exact sum of squares; it is at most the square of the number of voxels.
    squares: u128,
    /// Sum of `n log2 n`.
    weighted: f64,
}

impl Sums {
    /// Takes one count. Counts come in a fixed order, so that the sum of logarithms is the same always.
    pub(super) fn add(&mut self, n: u64) {
        self.count += 1;
        self.voxels += n;
        self.squares += u128::from(n) * u128::from(n);
        self.weighted += weighted(n);
    }

    pub(super) fn squares(&self) -> f64 {
        self.squares as f64
    }

    /// Entropy in bits of the distribution that the counts make.
    pub(super) fn entropy(&self) -> f64 {
        let total = self.voxels as f64;
        total.log2() - self.weighted / total
    }
}

/// `n log2 n`; `n` is not 0.
pub(super) fn weighted(n: u64) -> f64 {
    n as f64 * (n as f64).log2()
}
