//! Some rows of a block as bits and ranks.

use std::ops::Range;

use exavox_io::{DataType, Voxels};

use super::build::RowBits;
use super::isa::{Isa, Level, Row, Work, dispatch};
use super::layout::Layout;
use crate::error::{Error, Result};

/// Memory for the runs of all slabs: one piece, for which the system has large pages. Small ones take
/// longer to get than to fill.
#[derive(Debug)]
pub(in crate::ops) struct Memory {
    words: Voxels,
    /// Words of a row.
    words_of_row: usize,
    /// Rows of the slabs.
    slabs: Vec<Range<usize>>,
}

impl Memory {
    /// Memory for slabs of these rows.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be had.
    pub(in crate::ops) fn new(layout: &Layout, slabs: Vec<Range<usize>>) -> Result<Self> {
        let words = slabs.iter().map(|rows| words_needed(rows.len() * layout.words)).sum();
        let zeros = Voxels::zeros(DataType::U64, [1, 1, words]);
        let words = zeros.map_err(|_| too_much(words, size_of::<u64>()))?;
        Ok(Self { words, words_of_row: layout.words, slabs })
    }

    /// The pieces of the slabs.
    ///
    /// # Errors
    /// None that can occur: the words are of the type asked for.
    pub(in crate::ops) fn pieces(&mut self) -> Result<Vec<Piece<'_>>> {
        let mut left = self.words.as_mut_slice::<u64>()?;
        let mut pieces = Vec::with_capacity(self.slabs.len());
        for rows in &self.slabs {
            let needed = words_needed(rows.len() * self.words_of_row);
            let (words, rest) = left.split_at_mut(needed);
            pieces.push(Piece { rows: rows.clone(), words });
            left = rest;
        }
        Ok(pieces)
    }
}

/// Zeros for the runs of some rows.
#[derive(Debug)]
pub(in crate::ops) struct Piece<'m> {
    rows: Range<usize>,
    words: &'m mut [u64],
}

/// Words of memory for so many words of rows: mask, starts, and numbers of half the size.
fn words_needed(words: usize) -> usize {
    2 * (words + 1) + words.div_ceil(2)
}

/// The runs of some rows. Words lie one row after the other, with one empty word before the first.
#[derive(Debug)]
pub(in crate::ops) struct Slab<'m> {
    /// Rows, counted with the empty ones.
    pub(in crate::ops) rows: Range<usize>,
    /// Which voxels belong to runs.
    mask: &'m mut [u64],
    /// Where runs begin.
    starts: &'m mut [u64],
    /// Runs of the slab that begin before each word.
    before: &'m mut [u32],
    /// Runs of the slab.
    pub(in crate::ops) runs: usize,
}

/// Words of a slab, from a word on.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Words<'a> {
    /// Which voxels belong to runs; begins one word early.
    pub(super) mask: &'a [u64],
    /// Where runs begin; begins one word early.
    pub(super) starts: &'a [u64],
    /// Runs of the slab that begin before each word.
    pub(super) before: &'a [u32],
}

impl<'m> Slab<'m> {
    /// Finds the runs of some rows.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are more than 2^32 - 1 runs.
    pub(in crate::ops) fn new(
        level: Level,
        layout: &Layout,
        piece: Piece<'m>,
        rule: &impl RowBits,
    ) -> Result<Self> {
        let Piece { rows, words } = piece;
        let count = rows.len() * layout.words;
        let (mask, rest) = words.split_at_mut(count + 1);
        let (starts, before) = rest.split_at_mut(count + 1);
        let before = &mut bytemuck::cast_slice_mut(before)[..count];
        let mut slab = Self { rows, mask, starts, before, runs: 0 };
        dispatch(level, Build { slab: &mut slab, layout, rule });
        if slab.runs > u32::MAX as usize {
            let message = format!(
                "{} runs in rows {:?}: at most {} work; cut the volume into blocks",
                slab.runs,
                slab.rows,
                u32::MAX
            );
            return Err(Error::Usage(message));
        }
        Ok(slab)
    }

    /// Number of words.
    pub(super) fn num_words(&self) -> usize {
        self.before.len()
    }

    /// `count` words from `first` on.
    pub(in crate::ops) fn words(&self, first: usize, count: usize) -> Words<'_> {
        Words {
            mask: &self.mask[first..=first + count],
            starts: &self.starts[first..=first + count],
            before: &self.before[first..first + count],
        }
    }

    /// The words of a row, counted with the empty ones.
    pub(in crate::ops) fn row(&self, layout: &Layout, row: usize) -> Words<'_> {
        self.words((row - self.rows.start) * layout.words, layout.words)
    }

    /// Replaces each word of the mask by what `change` makes of it, of where runs begin, and of the number
    /// of runs before.
    #[inline(always)]
    pub(in crate::ops) fn change_masks(&mut self, mut change: impl FnMut(u64, u64, usize) -> u64) {
        let words = self.mask[1..].iter_mut().zip(&self.starts[1..]);
        for ((mask, starts), before) in words.zip(&*self.before) {
            *mask = change(*mask, *starts, *before as usize);
        }
    }

    /// Number of the run at a voxel of a row, if there is one.
    pub(in crate::ops) fn run_at(&self, layout: &Layout, row: usize, x: usize) -> Option<usize> {
        let words = self.row(layout, row);
        let (word, bit) = (x / 64, x % 64);
        let inside = words.mask[word + 1] >> bit & 1 == 1;
        inside.then(|| words.rank(word, u64::MAX >> (63 - bit)))
    }
}

impl Words<'_> {
    /// Number of the last run that begins in or before the marked part of a word.
    #[inline(always)]
    pub(super) fn rank(&self, word: usize, upto: u64) -> usize {
        let starts = self.starts[word + 1] & upto;
        (self.before[word] as usize + starts.count_ones() as usize).wrapping_sub(1)
    }

    /// Where runs begin in a word, and how many begin before.
    #[inline(always)]
    pub(super) fn row(&self, word: usize) -> Row {
        Row { starts: self.starts[word + 1], before: self.before[word] }
    }

    /// Which voxels belong to runs.
    pub(in crate::ops) fn mask(&self) -> &[u64] {
        &self.mask[1..]
    }

    /// Where runs begin.
    pub(in crate::ops) fn starts(&self) -> &[u64] {
        &self.starts[1..]
    }

    /// Runs of the slab that begin before the first word.
    pub(in crate::ops) fn runs_before(&self) -> usize {
        self.before[0] as usize
    }

    /// Runs of the slab that begin before a word.
    pub(in crate::ops) fn runs_before_word(&self, word: usize) -> usize {
        self.before[word] as usize
    }
}

struct Build<'a, 'm, R> {
    slab: &'a mut Slab<'m>,
    layout: &'a Layout,
    rule: &'a R,
}

impl<R: RowBits> Work for Build<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { slab, layout, rule } = self;
        let mask = slab.mask[1..].chunks_exact_mut(layout.words);
        let starts = slab.starts[1..].chunks_exact_mut(layout.words);
        let before = slab.before.chunks_exact_mut(layout.words);
        let mut runs = 0;
        for (row, ((mask, starts), before)) in slab.rows.clone().zip(mask.zip(starts).zip(before)) {
            if !layout.is_empty_row(row) {
                rule.fill(isa, layout.voxels_before(row), layout.length, mask, starts);
            }
            for (before, starts) in before.iter_mut().zip(&*starts) {
                // Checked by the caller: the last sum is the largest.
                *before = runs as u32;
                runs += starts.count_ones() as usize;
            }
        }
        slab.runs = runs;
    }
}

/// A vector of zeros, or an error with the bytes needed.
pub(in crate::ops) fn zeroed<T: bytemuck::Zeroable>(count: usize) -> Result<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(count).map_err(|()| too_much(count, size_of::<T>()))
}

fn too_much(count: usize, size: usize) -> Error {
    Error::Io(exavox_io::Error::LimitExceeded {
        place: exavox_io::Place::new("runs"),
        what: format!("{count} words"),
        needed: (count as u64).saturating_mul(size as u64),
        limit: isize::MAX as u64,
    })
}

/// Cuts a slice at offsets that begin with 0.
pub(in crate::ops) fn parts<'a, T>(
    mut all: &'a mut [T],
    offsets: &[usize],
) -> Vec<(usize, &'a mut [T])> {
    let mut parts = Vec::with_capacity(offsets.len());
    for offset in offsets.iter().rev() {
        let (rest, part) = all.split_at_mut(*offset);
        parts.push((*offset, part));
        all = rest;
    }
    parts.reverse();
    parts
}
