//! Run-time choice of vector instructions: one source, compiled once per instruction set.
//!
//! Loops are written so that the compiler vectorises them; this module only makes it do so for the
//! widest vectors of the CPU that the program runs on. Here and in [`lanes`] is the `unsafe` of that.

mod lanes;

pub(crate) use lanes::{LANES, Lanes, OnLanes, dispatch_lanes};

/// A computation to be compiled for each instruction set. Implementations mark `run`, and what it
/// calls in its inner loops, `#[inline(always)]`: only inlined code takes over the instruction set.
pub(crate) trait Vectorised {
    /// What comes out.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Runs `work` with the widest vectors that this CPU has. Results are the same on all of them: the
/// compiler does not reorder or fuse floating-point operations.
#[allow(unsafe_code)]
pub(crate) fn dispatch<W: Vectorised>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        let best = best();
        if best >= Best::Avx512 && has_avx512() {
            // SAFETY: the features that `avx512` enables were found on this CPU.
            return unsafe { avx512(work) };
        }
        let avx2_found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        if best >= Best::Avx2 && avx2_found {
            // SAFETY: the features that `avx2` enables were found on this CPU.
            return unsafe { avx2(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi2")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn avx512<W: Vectorised>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn avx2<W: Vectorised>(work: W) -> W::Output {
    work.run()
}

/// The best instruction set that may be used, where the CPU has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(test), allow(dead_code))]
enum Best {
    Portable,
    Avx2,
    Avx512,
}

#[cfg(not(test))]
#[inline(always)]
const fn best() -> Best {
    Best::Avx512
}

#[cfg(test)]
thread_local! {
    static BEST: std::cell::Cell<Best> = const { std::cell::Cell::new(Best::Avx512) };
}

#[cfg(test)]
fn best() -> Best {
    BEST.get()
}

/// Runs a test on every instruction set that this CPU has, each time on two threads.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn on_each_set(test: impl Fn() + Sync + Send) {
    for best in [Best::Avx512, Best::Avx2, Best::Portable] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
        let pool = pool.start_handler(move |_| BEST.set(best)).build().unwrap();
        pool.install(&test);
    }
}
