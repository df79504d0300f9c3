//! Instruction sets that may be used, where the CPU has them.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Vector instructions, from those that every CPU has to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Instructions {
    /// What the compiler takes for granted: SSE2 on x86.
    Portable,
    /// AVX2 and FMA on x86, NEON on ARM.
    Avx2,
    /// AVX-512.
    Avx512,
}

static LIMIT: AtomicU8 = AtomicU8::new(Instructions::Avx512 as u8);

/// From here on no instructions beyond `most` are used, in the whole process: to compare instruction
/// sets, or to have the last bits of f32 sums alike on different machines. To be called before anything
/// is computed.
pub fn limit_instructions(most: Instructions) {
    LIMIT.store(most as u8, Relaxed);
}

/// Whether instructions may be used.
#[inline]
pub(crate) fn allows(instructions: Instructions) -> bool {
    #[cfg(test)]
    if instructions > OF_THIS_THREAD.get() {
        return false;
    }
    instructions as u8 <= LIMIT.load(Relaxed)
}

#[cfg(test)]
thread_local! {
    static OF_THIS_THREAD: std::cell::Cell<Instructions> =
        const { std::cell::Cell::new(Instructions::Avx512) };
}

/// Runs a test with each limit, each time on two threads.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn on_each(test: impl Fn() + Sync + Send) {
    for most in [Instructions::Avx512, Instructions::Avx2, Instructions::Portable] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
        let pool = pool.start_handler(move |_| OF_THIS_THREAD.set(most)).build().unwrap();
        pool.install(&test);
    }
}
