//! From rows of values to rows of bits: which voxels belong to runs, and where runs begin.

use std::ops::Range;

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
        let end = |count: usize, word: usize| {
            u64::MAX.unbounded_shr((64 * word + 64).saturating_sub(count) as u32)
        };
        for (word, mask) in mask.iter_mut().enumerate() {
            *mask = !same_as(isa, row, T::default(), word) & end(length, word);
        }
        // Each voxel against the one before it; the first has none.
        for (word, starts) in starts.iter_mut().enumerate() {
            *starts = !same_word(isa, &row[1..], row, word) & end(length - 1, word);
        }
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

/// A word of the places where two rows have the same integer, up to the end of the shorter one.
#[inline(always)]
pub(super) fn same_word<T: Element, I: Isa>(isa: I, a: &[T], b: &[T], word: usize) -> u64 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    window(length, word, |range| {
        match (a[range.clone()].first_chunk::<64>(), b[range.clone()].first_chunk::<64>()) {
            (Some(a), Some(b)) => isa.same(a, b),
            _ => few(isa, &a[range.clone()], &b[range]),
        }
    })
}

/// A word of the places where a row has an integer.
#[inline(always)]
fn same_as<T: Element, I: Isa>(isa: I, row: &[T], value: T, word: usize) -> u64 {
    let all = [value; 64];
    window(row.len(), word, |range| match row[range.clone()].first_chunk::<64>() {
        Some(row) => isa.same(row, &all),
        None => few(isa, &row[range], &all),
    })
}

/// A word of a row by the 64 voxels that end where the word or the row does; fewer in short rows.
#[inline(always)]
fn window(length: usize, word: usize, bits: impl Fn(Range<usize>) -> u64) -> u64 {
    let (begin, end) = (64 * word, (64 * word + 64).min(length));
    if begin >= end {
        return 0;
    }
    let first = end.saturating_sub(64);
    bits(first..end) >> (begin - first)
}

/// Compares fewer than 64 values.
#[inline(always)]
fn few<T: Element, I: Isa>(isa: I, a: &[T], b: &[T]) -> u64 {
    let mut flags = [0; 64];
    for ((flag, a), b) in flags.iter_mut().zip(a).zip(b) {
        *flag = u8::from(a == b);
    }
    isa.pack(&flags)
}
