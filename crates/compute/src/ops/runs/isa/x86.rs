//! AVX-512 and AVX2 with the bit instructions of their generation.

use std::arch::x86_64::{
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_slli_epi64, _mm512_loadu_si512,
    _mm512_test_epi8_mask,
};

use super::{Isa, Work};

/// A value of it means that this CPU has AVX-512 F, BW, DQ, VL and VPOPCNTDQ, and the bit instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

/// A value of it means that this CPU has AVX2 and the bit instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Self(()))
    }

    #[allow(unsafe_code)]
    pub(super) fn dispatch<W: Work>(self, work: W) -> W::Output {
        // SAFETY: `detect` has found the features that the function enables.
        unsafe { avx2(self, work) }
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let found = Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vpopcntdq");
        found.then_some(Self(()))
    }

    #[allow(unsafe_code)]
    pub(super) fn dispatch<W: Work>(self, work: W) -> W::Output {
        // SAFETY: `detect` has found the features that the function enables.
        unsafe { avx512(self, work) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn avx2<W: Work>(isa: Avx2, work: W) -> W::Output {
    work.run(isa)
}

#[target_feature(
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,bmi1,bmi2,lzcnt,popcnt"
)]
fn avx512<W: Work>(isa: Avx512, work: W) -> W::Output {
    work.run(isa)
}

impl Isa for Avx2 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn pack(self, flags: &[u8; 64]) -> u64 {
        // SAFETY: a value of this type means that the CPU has AVX2.
        unsafe { pack_avx2(flags) }
    }

    #[inline(always)]
    fn paint(self, mask: u64, starts: u64, labels: &[u32], out: &mut [u32; 64]) {
        super::paint_plain(mask, starts, labels, out);
    }

    #[inline(always)]
    fn spread(self, bits: u64, value: u8, out: &mut [u8; 64]) {
        super::spread_plain(bits, value, out);
    }
}

impl Isa for Avx512 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn pack(self, flags: &[u8; 64]) -> u64 {
        // SAFETY: a value of this type means that the CPU has AVX-512 BW.
        unsafe { pack_avx512(flags) }
    }

    #[inline(always)]
    fn paint(self, mask: u64, starts: u64, labels: &[u32], out: &mut [u32; 64]) {
        super::paint_plain(mask, starts, labels, out);
    }

    #[inline(always)]
    fn spread(self, bits: u64, value: u8, out: &mut [u8; 64]) {
        super::spread_plain(bits, value, out);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
fn pack_avx2(flags: &[u8; 64]) -> u64 {
    // SAFETY: both reads lie inside of the 64 bytes.
    let halves = unsafe {
        [_mm256_loadu_si256(flags.as_ptr().cast()), _mm256_loadu_si256(flags[32..].as_ptr().cast())]
    };
    let [low, high] = halves.map(|half| _mm256_movemask_epi8(_mm256_slli_epi64::<7>(half)) as u32);
    u64::from(low) | u64::from(high) << 32
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[allow(unsafe_code)]
fn pack_avx512(flags: &[u8; 64]) -> u64 {
    // SAFETY: the read takes exactly the 64 bytes.
    let flags = unsafe { _mm512_loadu_si512(flags.as_ptr().cast()) };
    _mm512_test_epi8_mask(flags, flags)
}
