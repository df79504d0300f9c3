//! From runs with labels to voxels that are filled.

use exavox_io::Element;

use super::super::runs::forest::Id;
use super::super::runs::isa::{Isa, Level, Work, dispatch};
use super::super::runs::layout::Layout;
use super::super::runs::slab::Slab;

/// Takes runs without a label out of the mask; gives the number of voxels that are left.
pub(super) fn keep_labelled<I: Id>(level: Level, slab: &mut Slab<'_>, labels: &[I]) -> u64 {
    dispatch(level, Keep { slab, labels })
}

struct Keep<'a, 'm, I> {
    slab: &'a mut Slab<'m>,
    labels: &'a [I],
}

impl<I: Id> Work for Keep<'_, '_, I> {
    type Output = u64;

    #[inline(always)]
    fn run<S: Isa>(self, _: S) -> u64 {
        let mut left = 0;
        let labels = self.labels;
        self.slab.change_masks(|mask, starts, before| {
            let mut kept = 0;
            each_run(mask, starts, before, |run, bits| {
                let labelled = labels[run].index() != 0;
                kept |= if labelled { bits } else { 0 };
            });
            left += u64::from(kept.count_ones());
            kept
        });
        left
    }
}

/// Calls `run` for each run of a word, with its number and its voxels in the word. `before` runs begin
/// before the word.
#[inline(always)]
fn each_run(mask: u64, starts: u64, before: usize, mut run: impl FnMut(usize, u64)) {
    let mut left = starts;
    // Voxels before the first start belong to a run of the word before.
    let early = mask & left.wrapping_sub(1) & !left;
    if early != 0 {
        run(before - 1, early);
    }
    let mut number = before;
    while left != 0 {
        let first = left & left.wrapping_neg();
        left ^= first;
        let upto = left.wrapping_sub(1) & !left;
        run(number, mask & upto & !(first - 1));
        number += 1;
    }
}

/// Labels of the voxels to paint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Labels<'a, I, T> {
    /// One for all.
    One(T),
    /// One for each run.
    OfRuns(&'a [I]),
}

/// Paints the voxels of the mask; the others are 0 already.
pub(super) fn paint<I: Id, T: Element>(
    level: Level,
    layout: &Layout,
    slab: &Slab<'_>,
    labels: Labels<'_, I, T>,
    out: &mut [T],
) {
    dispatch(level, Painting { layout, slab, labels, out });
}

struct Painting<'a, I, T> {
    layout: &'a Layout,
    slab: &'a Slab<'a>,
    labels: Labels<'a, I, T>,
    out: &'a mut [T],
}

impl<I: Id, T: Element> Work for Painting<'_, I, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self { layout, slab, labels, out } = self;
        let rows = slab.rows.clone().filter(|row| !layout.is_empty_row(*row));
        for (row, out) in rows.zip(out.chunks_exact_mut(layout.length)) {
            let words = slab.row(layout, row);
            for (word, out) in out.chunks_mut(64).enumerate() {
                let mask = words.mask()[word];
                match labels {
                    _ if mask == 0 => {}
                    Labels::One(label) => spread(isa, mask, label, out),
                    Labels::OfRuns(labels) => {
                        let before = words.runs_before_word(word);
                        each_run(mask, words.starts()[word], before, |run, bits| {
                            let label = T::from_f64(labels[run].index() as f64);
                            stretch(bits, label, out);
                        });
                    }
                }
            }
        }
    }
}

/// Paints the voxels of up to 64 that are set.
#[inline(always)]
fn spread<T: Element, S: Isa>(isa: S, bits: u64, label: T, out: &mut [T]) {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
    if size_of::<T>() == 1 {
        let value = label.to_f64() as u8;
        if let Some(out) = bytes.first_chunk_mut::<64>() {
            isa.spread(bits, value, out);
        } else {
            let mut all = [0; 64];
            isa.spread(bits, value, &mut all);
            bytes.copy_from_slice(&all[..bytes.len()]);
        }
        return;
    }
    for (bit, out) in out.iter_mut().enumerate() {
        *out = if bits >> bit & 1 == 1 { label } else { T::default() };
    }
}

/// Paints a stretch of voxels; `bits` hold nothing else, or nothing at all.
#[inline(always)]
fn stretch<T: Element>(bits: u64, label: T, out: &mut [T]) {
    if bits != 0 {
        let end = 64 - bits.leading_zeros() as usize;
        out[bits.trailing_zeros() as usize..end].fill(label);
    }
}
