//! Parts of a chunk into a region that many threads fill at once.

use std::marker::PhantomData;

use crate::voxels::copy_row;

/// A block of voxels `[z, y, x]` in C order that several threads write to, each its own boxes.
pub(super) struct SharedBlock<'a> {
    start: *mut u8,
    length: usize,
    shape: [usize; 3],
    voxel: usize,
    block: PhantomData<&'a mut [u8]>,
}

// SAFETY: the pointer comes from an exclusive borrow that lives as long as this value, and is written
// through by `fill_row` only, whose callers promise that no two threads write the same row at a time.
#[allow(unsafe_code)]
unsafe impl Send for SharedBlock<'_> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for SharedBlock<'_> {}

/// A box inside a C-order array: where it starts, and how large the array is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    pub(super) start: [usize; 3],
    pub(super) shape: [usize; 3],
}

impl<'a> SharedBlock<'a> {
    /// Borrows the bytes of a block of `shape` with voxels of `voxel` bytes; `None` if the length is
    /// another.
    pub(super) fn new(bytes: &'a mut [u8], shape: [usize; 3], voxel: usize) -> Option<Self> {
        let expected = shape.iter().try_fold(voxel, |n, s| n.checked_mul(*s))?;
        (bytes.len() == expected).then_some(Self {
            start: bytes.as_mut_ptr(),
            length: bytes.len(),
            shape,
            voxel,
            block: PhantomData,
        })
    }

    /// Copies a box of `count` voxels out of `source` to the voxel `to` of the block.
    ///
    /// # Safety
    /// No other thread may read or write the voxels of the box meanwhile.
    ///
    /// # Panics
    /// If the box does not fit into source or block.
    #[allow(unsafe_code)]
    pub(super) unsafe fn copy_box(
        &self,
        to: [usize; 3],
        source: &[u8],
        from: Inside,
        count: [usize; 3],
    ) {
        self.check(to, count);
        let row = count[2] * self.voxel;
        let at = |shape: [usize; 3], p: [usize; 3]| {
            ((p[0] * shape[1] + p[1]) * shape[2] + p[2]) * self.voxel
        };
        for z in 0..count[0] {
            for y in 0..count[1] {
                let s = at(from.shape, [from.start[0] + z, from.start[1] + y, from.start[2]]);
                let t = at(self.shape, [to[0] + z, to[1] + y, to[2]]);
                // SAFETY: `check` keeps the row inside the block; the caller keeps others away.
                let target = unsafe { std::slice::from_raw_parts_mut(self.start.add(t), row) };
                copy_row(target, &source[s..s + row]);
            }
        }
    }

    /// Fills a box with the bytes of one voxel.
    ///
    /// # Safety
    /// As [`SharedBlock::copy_box`].
    ///
    /// # Panics
    /// If the box does not fit into the block.
    #[allow(unsafe_code)]
    pub(super) unsafe fn fill_box(&self, to: [usize; 3], count: [usize; 3], voxel: &[u8]) {
        let row: Vec<u8> = voxel.iter().copied().cycle().take(count[2] * self.voxel).collect();
        let from = |_: usize| Inside { start: [0; 3], shape: [1, 1, count[2]] };
        for z in 0..count[0] {
            for y in 0..count[1] {
                let to = [to[0] + z, to[1] + y, to[2]];
                // SAFETY: passed on to the caller.
                unsafe { self.copy_box(to, &row, from(y), [1, 1, count[2]]) };
            }
        }
    }

    /// The bytes of a box, if they lie together.
    ///
    /// # Safety
    /// As [`SharedBlock::copy_box`], as long as the slice lives.
    ///
    /// # Panics
    /// If the box does not fit into the block.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(super) unsafe fn contiguous(&self, to: [usize; 3], count: [usize; 3]) -> Option<&mut [u8]> {
        self.check(to, count);
        let full = |a: usize| count[a] == self.shape[a];
        let together = full(2) && (full(1) || count[0] == 1) || count[..2] == [1, 1];
        let first = ((to[0] * self.shape[1] + to[1]) * self.shape[2] + to[2]) * self.voxel;
        let length = count.iter().product::<usize>() * self.voxel;
        // SAFETY: `check` keeps the box, which is one piece, inside the block; the caller keeps others
        // away.
        together.then(|| unsafe { std::slice::from_raw_parts_mut(self.start.add(first), length) })
    }

    fn check(&self, to: [usize; 3], count: [usize; 3]) {
        let fits = (0..3).all(|a| to[a].checked_add(count[a]).is_some_and(|e| e <= self.shape[a]));
        let last = (self.shape[0] * self.shape[1] * self.shape[2]) * self.voxel;
        assert!(fits && last == self.length, "box {count:?} at {to:?} of {:?}", self.shape);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, unsafe_code)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_box_is_copied_as_voxel_by_voxel(
            shape in [1..5usize, 1..5usize, 1..6usize],
            extra in [0..3usize, 0..3usize, 0..3usize],
            to in [0..3usize, 0..3usize, 0..3usize],
            start in [0..3usize, 0..3usize, 0..3usize],
            voxel in prop::sample::select(vec![1usize, 2, 4, 8]),
        ) {
            let block: [usize; 3] = std::array::from_fn(|a| to[a] + shape[a] + extra[a]);
            let source_shape: [usize; 3] = std::array::from_fn(|a| start[a] + shape[a] + extra[2 - a]);
            let source: Vec<u8> =
                (0..source_shape.iter().product::<usize>() * voxel).map(|i| (i % 251) as u8 + 1).collect();
            let mut fast = vec![0; block.iter().product::<usize>() * voxel];
            let mut naive = fast.clone();
            let shared = SharedBlock::new(&mut fast, block, voxel).unwrap();
            // SAFETY: one thread.
            unsafe { shared.copy_box(to, &source, Inside { start, shape: source_shape }, shape) };
            for z in 0..shape[0] {
                for y in 0..shape[1] {
                    for x in 0..shape[2] {
                        let t = ((to[0] + z) * block[1] + to[1] + y) * block[2] + to[2] + x;
                        let s = ((start[0] + z) * source_shape[1] + start[1] + y) * source_shape[2] + start[2] + x;
                        for b in 0..voxel {
                            naive[t * voxel + b] = source[s * voxel + b];
                        }
                    }
                }
            }
            prop_assert!(fast == naive);
        }
    }

    #[test]
    #[should_panic(expected = "box")]
    fn a_box_outside_is_refused() {
        let mut bytes = [0_u8; 8];
        let shared = SharedBlock::new(&mut bytes, [2, 2, 2], 1).unwrap();
        let from = Inside { start: [0; 3], shape: [1, 1, 3] };
        // SAFETY: one thread.
        unsafe { shared.copy_box([0, 0, 0], &[1; 3], from, [1, 1, 3]) };
    }
}
