//! Multiply-adds that wait for nothing but the cores: as many independent vectors as the registers
//! hold, no memory. Unsafe by name, for the run-time choice of the instruction set.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_reduce_add_ps,
    _mm512_set1_ps,
};

/// Independent sums: latency times throughput of multiply-adds is 8 to 10 on the CPUs of today.
const CHAINS: usize = 12;

/// Multiplier and addend: sums move toward 2 and stay ordinary numbers.
const FACTOR: f32 = 0.5;
const ADDEND: f32 = 1.0;

/// What [`multiply_add_f32`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MultiplyAdds {
    /// The sums, added up: 2 for each after many rounds.
    pub sum: f32,
    /// Floating-point operations of one round.
    pub flops_per_round: u64,
}

/// Does `rounds` rounds of independent multiply-adds on the calling thread with AVX-512, AVX2 and FMA,
/// or what the build has.
#[allow(unsafe_code)]
pub fn multiply_add_f32(rounds: u64) -> MultiplyAdds {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: AVX-512F was found on this CPU.
            return unsafe { avx512(rounds) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: AVX2 and FMA were found on this CPU.
            return unsafe { avx2(rounds) };
        }
    }
    portable(rounds)
}

const fn flops_per_round(lanes: usize) -> u64 {
    (2 * CHAINS * lanes) as u64
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(rounds: u64) -> MultiplyAdds {
    let (factor, addend) = (_mm512_set1_ps(FACTOR), _mm512_set1_ps(ADDEND));
    let mut sums = [_mm512_set1_ps(0.0); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, addend);
        }
    }
    let sum = sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum();
    MultiplyAdds { sum, flops_per_round: flops_per_round(16) }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
fn avx2(rounds: u64) -> MultiplyAdds {
    let (factor, addend) = (_mm256_set1_ps(FACTOR), _mm256_set1_ps(ADDEND));
    let mut sums = [_mm256_set1_ps(0.0); CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, addend);
        }
    }
    let mut total = 0.0;
    for sum in sums {
        let mut lanes = [0.0_f32; 8];
        // SAFETY: `lanes` has room for the eight values of a vector.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        total += lanes.iter().sum::<f32>();
    }
    MultiplyAdds { sum: total, flops_per_round: flops_per_round(8) }
}

/// Vectors of four, which every 64-bit CPU has; multiplication and addition are two instructions
/// unless the build knows of one.
fn portable(rounds: u64) -> MultiplyAdds {
    let mut sums = [[0.0_f32; 4]; CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            for lane in sum {
                *lane = if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                    lane.mul_add(FACTOR, ADDEND)
                } else {
                    *lane * FACTOR + ADDEND
                };
            }
        }
    }
    let sum = sums.iter().flatten().sum();
    MultiplyAdds { sum, flops_per_round: flops_per_round(4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_two_per_lane(found: MultiplyAdds) {
        // 2 flops a lane and round; each lane ends at 2.
        assert_eq!(found.sum, found.flops_per_round as f32);
    }

    #[test]
    fn every_instruction_set_reaches_the_limit_of_the_series() {
        assert_two_per_lane(portable(100));
        assert_two_per_lane(multiply_add_f32(100));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            #[allow(unsafe_code)]
            // SAFETY: AVX2 and FMA were found on this CPU.
            assert_two_per_lane(unsafe { avx2(100) });
        }
    }
}
