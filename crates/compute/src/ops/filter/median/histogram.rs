//! Boxes as histograms, for types of 8 and 16 bits: when the box moves by a voxel one face is taken out and
//! another in. Huang, Yang & Tang, "A fast two-dimensional median filtering algorithm", IEEE Transactions
//! on Acoustics, Speech, and Signal Processing 27 (1979).

use super::key::{Key, Sample};
use super::rows::Window;
use crate::simd::Vectorised;

/// Places of a group that is skipped at once.
const GROUP: usize = 256;

/// How often each place occurs in a box.
#[derive(Default)]
pub(super) struct Counts {
    places: Vec<u32>,
    groups: Vec<u32>,
    /// Where the median was, and how many values lie before it.
    place: usize,
    before: usize,
}

impl Counts {
    fn clear(&mut self, bits: u32) {
        self.places.clear();
        self.places.resize(1 << bits, 0);
        self.groups.clear();
        self.groups.resize((1 << bits) / GROUP, 0);
        (self.place, self.before) = (0, 0);
    }

    #[inline(always)]
    fn add(&mut self, place: usize) {
        self.places[place] += 1;
        self.groups[place / GROUP] += 1;
        self.before += usize::from(place < self.place);
    }

    #[inline(always)]
    fn remove(&mut self, place: usize) {
        self.places[place] -= 1;
        self.groups[place / GROUP] -= 1;
        self.before -= usize::from(place < self.place);
    }

    /// The place of the `rank`-th value, from where the last one was.
    #[inline(always)]
    fn find(&mut self, rank: usize) -> usize {
        while self.before > rank {
            let group = self.place / GROUP;
            // A whole group of small values that is still too many is stepped over.
            if self.place.is_multiple_of(GROUP) {
                let smaller = self.before - self.groups[group - 1] as usize;
                if smaller > rank {
                    (self.place, self.before) = (self.place - GROUP, smaller);
                    continue;
                }
            }
            self.place -= 1;
            self.before -= self.places[self.place] as usize;
        }
        loop {
            if self.place.is_multiple_of(GROUP) {
                let next = self.before + self.groups[self.place / GROUP] as usize;
                if next <= rank {
                    (self.place, self.before) = (self.place + GROUP, next);
                    continue;
                }
            }
            let next = self.before + self.places[self.place] as usize;
            if next > rank {
                return self.place;
            }
            (self.place, self.before) = (self.place + 1, next);
        }
    }
}

/// The medians of one row.
pub(super) struct Slide<'a, T: Sample> {
    pub(super) padded: &'a mut Vec<T::Key>,
    pub(super) counts: &'a mut Counts,
    pub(super) window: &'a Window,
    pub(super) values: &'a [T],
    pub(super) at: [usize; 2],
    pub(super) out: &'a mut [T],
}

impl<T: Sample> Vectorised for Slide<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (counts, length) = (self.counts, self.window.padded());
        self.window.fill(self.values, self.at, self.padded);
        counts.clear(<T::Key as Key>::BITS);
        let width = 2 * self.window.radius[2] + 1;
        for row in self.padded.chunks_exact(length) {
            row[..width - 1].iter().for_each(|key| counts.add(key.place()));
        }
        let rank = self.window.voxels() / 2;
        for (x, out) in self.out.iter_mut().enumerate() {
            for row in self.padded.chunks_exact(length) {
                counts.add(row[x + width - 1].place());
            }
            *out = T::of(T::Key::at(counts.find(rank)));
            for row in self.padded.chunks_exact(length) {
                counts.remove(row[x].place());
            }
        }
    }
}
