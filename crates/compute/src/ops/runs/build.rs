//! From rows of values to rows of bits: which voxels belong to runs, and where runs begin.

use exavox_io::Element;

use super::isa::Isa;

/// A rule that says which voxels belong to runs.
pub(in crate::ops) trait RowBits: Sync {
    /// Fills the words of the row whose first voxel is `first` and which has `length` voxels.
    fn fill<I: Isa>(
        &self,
        isa: I,
        first: usize,
        length: usize,
        mask: &mut [u64],
        starts: &mut [u64],
    );
}

/// Runs of voxels from `low` to `high`, both included; NaN is in none.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct MaskRuns<'a, T> {
    pub(in crate::ops) values: &'a [T],
    pub(in crate::ops) test: Test<T>,
}

/// What makes a voxel part of a mask.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) enum Test<T> {
    /// Not zero, and not NaN.
    NonZero,
    /// From the first to the second, both included.
    Within(T, T),
}

/// Runs of one value that is not zero.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct EqualRuns<'a, T> {
    pub(in crate::ops) values: &'a [T],
}

impl<T: Element> RowBits for MaskRuns<'_, T> {
    #[inline(always)]
    fn fill<I: Isa>(
        &self,
        isa: I,
        first: usize,
        length: usize,
        mask: &mut [u64],
        starts: &mut [u64],
    ) {
        let row = &self.values[first..first + length];
        match self.test {
            // NaN is neither below nor above.
            Test::NonZero => bits(isa, row, mask, |v| (v < T::default()) | (v > T::default())),
            Test::Within(low, high) => bits(isa, row, mask, |v| (low <= v) & (v <= high)),
        }
        let mut before = 0;
        for (starts, mask) in starts.iter_mut().zip(&*mask) {
            *starts = mask & !(mask << 1 | before >> 63);
            before = *mask;
        }
    }
}

impl<T: Element> RowBits for EqualRuns<'_, T> {
    #[inline(always)]
    fn fill<I: Isa>(
        &self,
        isa: I,
        first: usize,
        length: usize,
        mask: &mut [u64],
        starts: &mut [u64],
    ) {
        let row = &self.values[first..first + length];
        bits(isa, row, mask, |v| v != T::default());
        // Each voxel against the one before it; the first has none.
        pair_bits(isa, &row[1..], row, starts, |a, b| a != b);
        let mut before = 1 << 63;
        for (starts, mask) in starts.iter_mut().zip(mask) {
            let changes = *starts << 1 | before >> 63;
            before = *starts;
            *starts = changes & *mask;
        }
    }
}

/// Bits of the values for which a test holds.
#[inline(always)]
fn bits<T: Copy, I: Isa>(isa: I, row: &[T], out: &mut [u64], test: impl Fn(T) -> bool) {
    let (chunks, rest) = row.as_chunks::<64>();
    let mut words = out.iter_mut();
    for (chunk, word) in chunks.iter().zip(&mut words) {
        let mut flags = [0; 64];
        for (flag, value) in flags.iter_mut().zip(chunk) {
            *flag = u8::from(test(*value));
        }
        *word = isa.pack(&flags);
    }
    if let Some(word) = words.next() {
        let mut flags = [0; 64];
        for (flag, value) in flags.iter_mut().zip(rest) {
            *flag = u8::from(test(*value));
        }
        *word = isa.pack(&flags);
    }
}

/// Bits of the pairs of values for which a test holds; as many pairs as the shorter row has.
#[inline(always)]
pub(super) fn pair_bits<T: Copy, I: Isa>(
    isa: I,
    a: &[T],
    b: &[T],
    out: &mut [u64],
    test: impl Fn(T, T) -> bool,
) {
    let length = a.len().min(b.len());
    let (a, a_rest) = a[..length].as_chunks::<64>();
    let (b, b_rest) = b[..length].as_chunks::<64>();
    let mut words = out.iter_mut();
    for ((a, b), word) in a.iter().zip(b).zip(&mut words) {
        *word = pair_word(isa, a, b, &test);
    }
    for word in words {
        *word = 0;
    }
    if let Some(word) = out.get_mut(a.len()) {
        *word = pair_word(isa, a_rest, b_rest, &test);
    }
}

/// Bits of at most 64 pairs.
#[inline(always)]
pub(super) fn pair_word<T: Copy, I: Isa>(
    isa: I,
    a: &[T],
    b: &[T],
    test: impl Fn(T, T) -> bool,
) -> u64 {
    let mut flags = [0; 64];
    for ((flag, a), b) in flags.iter_mut().zip(a).zip(b) {
        *flag = u8::from(test(*a, *b));
    }
    isa.pack(&flags)
}
