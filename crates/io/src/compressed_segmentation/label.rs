//! The two types that labels have.

use std::hash::Hash;

/// A label: `u32` or `u64`. Sealed.
pub trait Label: private::Packed {}

impl Label for u32 {}
impl Label for u64 {}

pub(super) mod private {
    use super::Hash;

    /// A label as words of 32 bits, the low one first.
    pub trait Packed: Copy + Ord + Hash + Default + std::fmt::Debug + bytemuck::Pod {
        /// A label in a table.
        type Words: Copy;

        /// A table that starts with the first of the words.
        fn table(words: &[u32]) -> &[Self::Words];

        /// The label that words stand for.
        fn from_words(words: Self::Words) -> Self;

        /// Appends the label to a table.
        fn push_to(self, words: &mut Vec<u32>);
    }
}

impl private::Packed for u32 {
    type Words = u32;

    fn table(words: &[u32]) -> &[u32] {
        words
    }

    fn from_words(words: u32) -> Self {
        words
    }

    fn push_to(self, words: &mut Vec<u32>) {
        words.push(self);
    }
}

impl private::Packed for u64 {
    type Words = [u32; 2];

    fn table(words: &[u32]) -> &[[u32; 2]] {
        words.as_chunks().0
    }

    fn from_words([low, high]: [u32; 2]) -> Self {
        Self::from(high) << 32 | Self::from(low)
    }

    fn push_to(self, words: &mut Vec<u32>) {
        words.extend([self as u32, (self >> 32) as u32]);
    }
}
