//! Memory whose vectors each lie in one line of the cache.
//!
//! A 64-byte load or store that crosses a line costs two; with blocks that the system's allocator
//! places 16 bytes past a line that is every one, and a product at half speed. Unsafe by name: the
//! promise that a line is plain bytes.

use bytemuck::{Pod, Zeroable};

use super::lanes::{LANES, Lanes};

/// Sixteen f32 in one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line(Lanes);

// SAFETY: 64 bytes of f32 without padding; any bit pattern is a value.
#[allow(unsafe_code)]
unsafe impl Zeroable for Line {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Pod for Line {}

/// f32 values on whole lines.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    lines: Vec<Line>,
    length: usize,
}

impl AlignedBuffer {
    /// Makes it this long; what is in it then is anything.
    pub(crate) fn fit(&mut self, length: usize) {
        if self.lines.len() * LANES < length {
            self.lines = vec![Line([0.0; LANES]); length.div_ceil(LANES)];
        }
        self.length = length;
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}
