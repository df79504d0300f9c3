//! Buffers of 32-bit words as arguments of kernels.

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
