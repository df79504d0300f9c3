//! Run-time choice of vector instructions: one source, compiled once per instruction set.
//!
//! Loops are written so that the compiler vectorises them; this module only makes it do so for the
//! widest vectors of the CPU that the program runs on. Loops whose sums must stay in registers are
//! written with [`lanes`].

pub(crate) mod aligned;
pub(crate) mod lanes;
mod limit;
pub(crate) mod sink;

pub(crate) use limit::allows;
#[cfg(test)]
pub(crate) use limit::on_each;
pub use limit::{Instructions, limit_instructions};

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
        if allows(Instructions::Avx512) && has_avx512() {
            // SAFETY: the features that `avx512` enables were found on this CPU.
            return unsafe { avx512(work) };
        }
        let avx2_found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        if allows(Instructions::Avx2) && avx2_found {
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
