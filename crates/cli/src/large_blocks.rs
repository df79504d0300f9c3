//! The memory of large blocks, which volumes are: whole large pages, and a few freed blocks kept for
//! the next of the same size. Unsafe by name: it is the program's allocator.
//!
//! The system's allocator places a block anywhere, so that its first and last 2 MiB are small pages,
//! each of which takes a fault of its own: of 8 MiB that is a third, and the longest part of a fast
//! operation that fills them. It also clears blocks that it has had before, on one thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use rustix::mm::{
    Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap,
};

#[global_allocator]
static ALLOCATOR: LargeBlocks = LargeBlocks { kept: Mutex::new([Block::NONE; KEPT_BLOCKS]) };

/// Size of a large page of x86-64, and of aarch64 with small pages of 4 KiB.
const PAGE: usize = 2 << 20;

/// Blocks from this size on are made here.
const FROM: usize = 4 << 20;

/// Freed blocks that are kept, and their bytes in all.
const KEPT_BLOCKS: usize = 8;
const KEPT_BYTES: usize = 40 << 20;

/// The system's allocator, but for large blocks.
struct LargeBlocks {
    /// Freed blocks, the longest kept first.
    kept: Mutex<[Block; KEPT_BLOCKS]>,
}

/// Pages of the system, from a multiple of [`PAGE`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    start: *mut u8,
    length: usize,
}

// SAFETY: whoever has a block owns its pages, on whatever thread.
#[allow(unsafe_code)]
unsafe impl Send for Block {}

/// Whether blocks of this layout are made here; the system's small pages bound the alignment.
fn is_large(layout: Layout) -> bool {
    layout.size() >= FROM && layout.align() <= 4096
}

/// Bytes of the block for a layout; `None` for more than an address space.
fn length(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(PAGE)
}

// SAFETY: large blocks are pages of the system that nobody else has, at least as long and as aligned as
// the layout asks for; which layouts are large depends on the layout alone. All others go to `System`.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for LargeBlocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            // SAFETY: the caller's promises are those that `System` asks for.
            return unsafe { System.alloc(layout) };
        }
        let Some(length) = length(layout.size()) else { return ptr::null_mut() };
        self.take(length)
            .or_else(|| Block::new(length))
            .map_or(ptr::null_mut(), |block| block.start)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            // SAFETY: as above.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let Some(length) = length(layout.size()) else { return ptr::null_mut() };
        // A kept block would have to be cleared here, on one thread; fresh pages are cleared by those
        // who come to them first. It goes back, so that not both take memory.
        if let Some(block) = self.take(length) {
            block.free();
        }
        Block::new(length).map_or(ptr::null_mut(), |block| block.start)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match length(layout.size()) {
            Some(length) if is_large(layout) => self.keep(Block { start, length }),
            // SAFETY: as above.
            _ => unsafe { System.dealloc(start, layout) },
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size fits a layout of this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_large(layout), is_large(new), length(layout.size()), length(size)) {
            // SAFETY: as above.
            (false, false, ..) => unsafe { System.realloc(start, layout, size) },
            (true, true, Some(old), Some(length)) => Block { start, length: old }.resized(length),
            // SAFETY: both layouts are valid, and the block is the caller's.
            _ => unsafe { self.moved(start, layout, new) },
        }
    }
}

impl LargeBlocks {
    /// Moves a block from this allocator to the system's, or back.
    ///
    /// # Safety
    /// That of [`GlobalAlloc::realloc`].
    #[allow(unsafe_code)]
    unsafe fn moved(&self, start: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the size is not 0, as one of the two is large and the other the caller's promise.
        let to = unsafe { self.alloc(new) };
        if !to.is_null() {
            // SAFETY: both have at least that many bytes, and the new block is nobody else's.
            unsafe { ptr::copy_nonoverlapping(start, to, old.size().min(new.size())) };
            // SAFETY: the caller's block, which now nobody uses.
            unsafe { self.dealloc(start, old) };
        }
        to
    }

    /// A kept block of just this length.
    fn take(&self, length: usize) -> Option<Block> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|block| block.length == length)?;
        let block = kept[at];
        kept[at..].rotate_left(1);
        kept[KEPT_BLOCKS - 1] = Block::NONE;
        Some(block)
    }

    /// Keeps a block, for which those kept longest go.
    fn keep(&self, block: Block) {
        if block.length > KEPT_BYTES {
            return block.free();
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = block.length + kept.iter().map(|block| block.length).sum::<usize>();
        while bytes > KEPT_BYTES || kept[KEPT_BLOCKS - 1] != Block::NONE {
            bytes -= kept[0].length;
            kept[0].free();
            kept[0] = Block::NONE;
            kept.rotate_left(1);
        }
        if let Some(place) = kept.iter_mut().find(|place| **place == Block::NONE) {
            *place = block;
        }
    }
}

impl Block {
    const NONE: Self = Self { start: ptr::null_mut(), length: 0 };

    /// Fresh pages of zeros, large ones if the system has them; `length` is a multiple of [`PAGE`].
    #[allow(unsafe_code)]
    fn new(length: usize) -> Option<Self> {
        let block = Self::mapped(length)?;
        let block =
            if block.start.addr().is_multiple_of(PAGE) { block } else { block.aligned()? };
        // SAFETY: the block's own pages; the advice changes how they are provided, not what is in them.
        // A system that does not know it says so, which changes nothing.
        let _ = unsafe { madvise(block.start.cast(), length, Advice::LinuxHugepage) };
        Some(block)
    }

    /// Pages anywhere.
    #[allow(unsafe_code)]
    fn mapped(length: usize) -> Option<Self> {
        let (readable, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a mapping at a place that the system chooses touches nobody's memory.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), length, readable, private) }.ok()?;
        Some(Self { start: start.cast(), length })
    }

    /// As long a block from a multiple of [`PAGE`] on, in place of this one.
    fn aligned(self) -> Option<Self> {
        self.free();
        let room = Self::mapped(self.length.checked_add(PAGE)?)?;
        let before = room.start.align_offset(PAGE).min(PAGE);
        let start = room.start.wrapping_add(before);
        Self { length: before, ..room }.free();
        Self { start: start.wrapping_add(self.length), length: PAGE - before }.free();
        Some(Self { start, length: self.length })
    }

    /// Gives the pages back to the system.
    #[allow(unsafe_code)]
    fn free(self) {
        if self.length > 0 {
            // SAFETY: the block's own pages, which nobody uses any more. It cannot fail for them.
            let _ = unsafe { munmap(self.start.cast(), self.length) };
        }
    }

    /// The start of a block with the same bytes and another length, or null, and then this one stays.
    #[allow(unsafe_code)]
    fn resized(self, length: usize) -> *mut u8 {
        if length == self.length {
            return self.start;
        }
        let may_move = MremapFlags::MAYMOVE;
        // SAFETY: the block's own pages, whose old address nobody uses after this.
        unsafe { mremap(self.start.cast(), self.length, length, may_move) }
            .map_or(ptr::null_mut(), |start| start.cast())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, unsafe_code)]
mod tests {
    use super::*;

    fn fresh() -> LargeBlocks {
        LargeBlocks { kept: Mutex::new([Block::NONE; KEPT_BLOCKS]) }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// The bytes of a block of an allocator under test.
    fn bytes<'a>(start: *mut u8, size: usize) -> &'a mut [u8] {
        assert!(!start.is_null());
        // SAFETY: the tests pass blocks of this size, which they own.
        unsafe { std::slice::from_raw_parts_mut(start, size) }
    }

    #[test]
    fn a_freed_block_comes_back_but_not_as_zeros() {
        let (allocator, layout) = (fresh(), layout(FROM + 12_345));
        // SAFETY: each block is freed once, with its layout.
        unsafe {
            let first = allocator.alloc(layout);
            assert!(first.addr().is_multiple_of(PAGE));
            bytes(first, layout.size()).fill(7);
            allocator.dealloc(first, layout);
            let second = allocator.alloc(layout);
            assert_eq!(second, first);
            allocator.dealloc(second, layout);
            let zeroed = allocator.alloc_zeroed(layout);
            assert!(bytes(zeroed, layout.size()).iter().all(|&byte| byte == 0));
            allocator.dealloc(zeroed, layout);
        }
    }

    #[test]
    fn bytes_stay_when_a_block_grows_and_shrinks_past_every_border() {
        let allocator = fresh();
        let mut size = 1000;
        // SAFETY: as above.
        let mut start = unsafe { allocator.alloc(layout(size)) };
        bytes(start, size).fill(1);
        for next in [FROM - 1, FROM, FROM + 1, 5 * PAGE, 40 * PAGE + 3, 3 * PAGE, FROM - 8, 16] {
            // SAFETY: as above.
            start = unsafe { allocator.realloc(start, layout(size), next) };
            let kept = size.min(next);
            assert!(bytes(start, kept).iter().all(|&byte| byte == 1), "{size} to {next}");
            bytes(start, next).fill(1);
            size = next;
        }
        // SAFETY: as above.
        unsafe { allocator.dealloc(start, layout(size)) };
    }

    #[test]
    fn few_bytes_are_kept() {
        let allocator = fresh();
        for pages in (2..30).chain([2; 20]) {
            let layout = layout(pages * PAGE);
            // SAFETY: as above.
            unsafe {
                let two = [allocator.alloc(layout), allocator.alloc(layout)];
                for start in two {
                    bytes(start, 1).fill(1);
                    allocator.dealloc(start, layout);
                }
            }
            let kept = allocator.kept.lock().unwrap();
            let total: usize = kept.iter().map(|block| block.length).sum();
            assert!(total <= KEPT_BYTES, "{kept:?}");
            let first_gap = kept.iter().position(|block| *block == Block::NONE);
            let gaps = kept.iter().skip(first_gap.unwrap_or(KEPT_BLOCKS));
            assert!(gaps.clone().all(|block| *block == Block::NONE), "{kept:?}");
        }
    }

    #[test]
    fn a_block_that_starts_between_pages_is_replaced() {
        let block = Block::mapped(3 * PAGE).unwrap().aligned().unwrap();
        assert!(block.start.addr().is_multiple_of(PAGE) && block.length == 3 * PAGE);
        bytes(block.start, block.length).fill(1);
        block.free();
    }

    #[test]
    fn more_than_there_is_gives_null() {
        let allocator = fresh();
        let all = Layout::from_size_align(isize::MAX as usize, 1).unwrap();
        // SAFETY: nothing is allocated.
        assert!(unsafe { allocator.alloc(all) }.is_null());
        assert!(unsafe { allocator.alloc_zeroed(all) }.is_null());
    }

    #[test]
    fn threads_do_not_get_the_same_block() {
        let allocator = fresh();
        std::thread::scope(|scope| {
            for thread in 1..=4_u8 {
                let allocator = &allocator;
                scope.spawn(move || {
                    for _ in 0..50 {
                        let layout = layout(FROM);
                        // SAFETY: as above.
                        let start = unsafe { allocator.alloc(layout) };
                        bytes(start, 4096).fill(thread);
                        std::thread::yield_now();
                        assert!(bytes(start, 4096).iter().all(|&byte| byte == thread));
                        // SAFETY: as above.
                        unsafe { allocator.dealloc(start, layout) };
                    }
                });
            }
        });
    }
}
