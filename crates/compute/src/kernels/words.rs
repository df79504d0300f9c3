//! Buffers of 32-bit words as arguments of kernels, and floats as words.

use cubecl::prelude::*;
use cubecl::server::Handle;

/// Words of a buffer.
pub(crate) fn length(handle: &Handle) -> usize {
    (handle.size_in_used() / 4) as usize
}

/// All words of a buffer, as whatever 32-bit type the kernel takes them for.
#[allow(unsafe_code)]
pub(crate) fn all(handle: &Handle) -> BufferArg {
    // SAFETY: the buffer has this length.
    unsafe { BufferArg::from_raw_parts(handle.clone(), length(handle)) }
}

/// Bits of a float as a number in the same order; both zeros are one, NaN is beyond the infinities.
#[cube]
pub(super) fn ordered(bits: u32) -> u32 {
    if bits == 0x8000_0000u32 {
        0x8000_0000u32.runtime()
    } else if bits >> 31u32 == 1u32 {
        !bits
    } else {
        bits ^ 0x8000_0000u32
    }
}

/// Whether a float's bits are those of NaN. Asked of bits: shaders may take it for granted that no float is.
#[cube]
pub(super) fn is_nan(bits: u32) -> bool {
    bits & 0x7fff_ffffu32 > 0x7f80_0000u32
}
