//! AVX-512 and AVX2 with the bit instructions of their generation.

use std::arch::x86_64::{
    _mm_cvtsi64_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_cmpeq_epi32,
    _mm256_cvtepu8_epi32, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_permutevar8x32_epi32,
    _mm256_set_epi32, _mm256_set1_epi32, _mm256_slli_epi64, _mm256_storeu_si256, _mm256_sub_epi32,
    _mm512_and_si512, _mm512_andnot_si512, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask,
    _mm512_cmpeq_epi16_mask, _mm512_cmpeq_epi32_mask, _mm512_cmpeq_epi64_mask,
    _mm512_cvtepi64_epi32, _mm512_cvtepu8_epi64, _mm512_loadu_si512, _mm512_maskz_compress_epi8,
    _mm512_maskz_compress_epi64, _mm512_maskz_permutexvar_epi32, _mm512_maskz_set1_epi8,
    _mm512_popcnt_epi32, _mm512_popcnt_epi64, _mm512_set_epi32, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_sllv_epi64, _mm512_storeu_si512, _mm512_sub_epi32,
    _mm512_test_epi8_mask,
};

use exavox_io::Element;

use crate::simd::{Instructions, allows};

use super::{Isa, PairList, RANKS, Row, Work};

/// A value of it means that this CPU has AVX-512 F, BW, DQ, VL, VBMI2 and VPOPCNTDQ, and the bit instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

/// A value of it means that this CPU has AVX2 and the bit instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let found = allows(Instructions::Avx2)
            && is_x86_feature_detected!("avx2")
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
        let found = allows(Instructions::Avx512)
            && Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi2")
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
    enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,avx512vpopcntdq,avx2,bmi1,bmi2,lzcnt,popcnt"
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
    #[allow(unsafe_code)]
    fn paint(self, mask: u64, starts: u64, labels: &[u32], out: &mut [u32; 64]) {
        // SAFETY: a value of this type means that the CPU has AVX2.
        unsafe { paint_avx2(mask, starts, labels, out) }
    }

    #[inline(always)]
    fn pairs(self, marks: u64, later: Row, earlier: Row, pairs: &mut PairList) {
        super::pairs_plain(marks, later, earlier, pairs);
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
    #[allow(unsafe_code)]
    fn same<T: Element>(self, a: &[T; 64], b: &[T; 64]) -> u64 {
        let (a, b) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b));
        // SAFETY: a value of this type means that the CPU has AVX-512 BW.
        unsafe { same_avx512::<T>(a, b) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn paint(self, mask: u64, starts: u64, labels: &[u32], out: &mut [u32; 64]) {
        // SAFETY: a value of this type means that the CPU has AVX-512 F and VPOPCNTDQ.
        unsafe { paint_avx512(mask, starts, labels, out) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn pairs(self, marks: u64, later: Row, earlier: Row, pairs: &mut PairList) {
        // SAFETY: a value of this type means that the CPU has what the function enables.
        unsafe { pairs_avx512(marks, later, earlier, pairs) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn spread(self, bits: u64, value: u8, out: &mut [u8; 64]) {
        // SAFETY: a value of this type means that the CPU has AVX-512 BW.
        unsafe { spread_avx512(bits, value, out) }
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

/// Compares the bytes of values of a type, a vector at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[allow(unsafe_code)]
fn same_avx512<T>(a: &[u8], b: &[u8]) -> u64 {
    let vectors = a.as_chunks::<64>().0.iter().zip(b.as_chunks::<64>().0);
    let mut bits = 0;
    for (n, (a, b)) in vectors.enumerate() {
        // SAFETY: each read takes exactly the 64 bytes.
        let (a, b) = unsafe {
            (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast()))
        };
        let same = match size_of::<T>() {
            1 => _mm512_cmpeq_epi8_mask(a, b),
            2 => _mm512_cmpeq_epi16_mask(a, b).into(),
            4 => _mm512_cmpeq_epi32_mask(a, b).into(),
            _ => _mm512_cmpeq_epi64_mask(a, b).into(),
        };
        bits |= same << (64 / size_of::<T>() * n);
    }
    bits
}

/// Sixteen voxels at a time: each looks up the label of the run that begins last up to it.
#[inline]
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
#[allow(unsafe_code)]
fn paint_avx512(mask: u64, starts: u64, mut labels: &[u32], out: &mut [u32; 64]) {
    let upto = _mm512_set_epi32(
        0xffff, 0x7fff, 0x3fff, 0x1fff, 0xfff, 0x7ff, 0x3ff, 0x1ff, 0xff, 0x7f, 0x3f, 0x1f, 0xf, 7,
        3, 1,
    );
    for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let (mask, starts) = ((mask >> (16 * part)) as u16, (starts >> (16 * part)) as u16);
        // If a run begins right here, none goes on from before: 16 labels are enough.
        let first = i32::from(starts & 1);
        let near = &labels[first as usize..][..16];
        let ranks = _mm512_popcnt_epi32(_mm512_and_si512(upto, _mm512_set1_epi32(starts.into())));
        let ranks = _mm512_sub_epi32(ranks, _mm512_set1_epi32(first));
        // SAFETY: the read takes the 16 labels of `near`, the write the 16 of `out`.
        unsafe {
            let near = _mm512_loadu_si512(near.as_ptr().cast());
            let painted = _mm512_maskz_permutexvar_epi32(mask, ranks, near);
            _mm512_storeu_si512(out.as_mut_ptr().cast(), painted);
        }
        labels = &labels[starts.count_ones() as usize..];
    }
}

/// Eight voxels at a time, see [`paint_avx512`].
#[inline]
#[target_feature(enable = "avx2,popcnt")]
#[allow(unsafe_code)]
fn paint_avx2(mask: u64, starts: u64, mut labels: &[u32], out: &mut [u32; 64]) {
    let bit = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    for (part, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let (mask, starts) = ((mask >> (8 * part)) as u8, (starts >> (8 * part)) as u8);
        let first = i32::from(starts & 1);
        let near = &labels[first as usize..][..8];
        let ranks = i64::from_le_bytes(RANKS[usize::from(starts)]);
        let ranks = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(ranks));
        let ranks = _mm256_sub_epi32(ranks, _mm256_set1_epi32(first));
        let kept = _mm256_and_si256(_mm256_set1_epi32(mask.into()), bit);
        let kept = _mm256_cmpeq_epi32(kept, bit);
        // SAFETY: the read takes the 8 labels of `near`, the write the 8 of `out`.
        unsafe {
            let near = _mm256_loadu_si256(near.as_ptr().cast());
            let painted = _mm256_and_si256(_mm256_permutevar8x32_epi32(near, ranks), kept);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), painted);
        }
        labels = &labels[starts.count_ones() as usize..];
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[allow(unsafe_code)]
fn spread_avx512(bits: u64, value: u8, out: &mut [u8; 64]) {
    let spread = _mm512_maskz_set1_epi8(bits, value.cast_signed());
    // SAFETY: the write takes exactly the 64 bytes.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), spread) }
}

/// Eight marks at a time: their places, which starts come up to them, how many these are.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx512vpopcntdq,popcnt")]
#[allow(unsafe_code)]
fn pairs_avx512(marks: u64, later: Row, earlier: Row, pairs: &mut PairList) {
    // SAFETY: the read takes the 64 bytes of the table.
    let places = unsafe { _mm512_loadu_si512(PLACES.as_ptr().cast()) };
    let mut places = _mm512_maskz_compress_epi8(marks, places);
    let marks = marks.count_ones() as usize;
    let [later_starts, earlier_starts] =
        [later, earlier].map(|row| _mm512_set1_epi64(row.starts.cast_signed()));
    // Each count is at least 1: ranks begin with 0.
    let [later_before, earlier_before] =
        [later, earlier].map(|row| _mm256_set1_epi32(row.before.wrapping_sub(1).cast_signed()));
    for first in (0..marks).step_by(8) {
        let at = pairs.count + first;
        let (later, earlier) = (&mut pairs.later[at..][..8], &mut pairs.earlier[at..][..8]);
        let eight = _mm512_cvtepu8_epi64(_mm512_castsi512_si128(places));
        // All bits up to the place: -2 shifted leaves those above.
        let above = _mm512_sllv_epi64(_mm512_set1_epi64(-2), eight);
        let rank = |starts, before| {
            let count = _mm512_popcnt_epi64(_mm512_andnot_si512(above, starts));
            _mm256_add_epi32(_mm512_cvtepi64_epi32(count), before)
        };
        let ranks = (rank(later_starts, later_before), rank(earlier_starts, earlier_before));
        // SAFETY: each write takes the 8 values of its slice.
        unsafe {
            _mm256_storeu_si256(later.as_mut_ptr().cast(), ranks.0);
            _mm256_storeu_si256(earlier.as_mut_ptr().cast(), ranks.1);
        }
        // The next eight places move to the front.
        places = _mm512_maskz_compress_epi64(0xfe, places);
    }
    pairs.count += marks;
}

/// The numbers of the bits of a word.
static PLACES: [u8; 64] = {
    let mut places = [0; 64];
    let mut bit = 0;
    while bit < 64 {
        places[bit] = bit as u8;
        bit += 1;
    }
    places
};
