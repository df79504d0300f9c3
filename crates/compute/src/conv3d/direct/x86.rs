//! The inner tile, for AVX-512 and for AVX2 with FMA.

use std::arch::x86_64::{
    __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_storeu_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::{CHANNELS, LENGTH, Sums};

/// Instruction set of the tile; a value of it means that this CPU has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::conv3d) struct Tile(Isa);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isa {
    Avx512,
    Avx2,
}

impl Tile {
    /// The best that this CPU has.
    pub(in crate::conv3d) fn detect() -> Option<Self> {
        Self::all().next()
    }

    /// All that this CPU has, best first.
    pub(in crate::conv3d) fn all() -> impl Iterator<Item = Self> {
        let avx512 = is_x86_feature_detected!("avx512f").then_some(Self(Isa::Avx512));
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        avx512.into_iter().chain(avx2.then_some(Self(Isa::Avx2)))
    }

    /// `sums[o][i]` = sum over channels c and taps t of
    /// `weights[c][t][o] * lines[c * stride + start + offsets[t] + i]`.
    ///
    /// # Panics
    /// If a read would go past the end of `lines`: a mistake of ours.
    #[allow(unsafe_code)]
    pub(super) fn compute(
        self,
        lines: &[f32],
        start: usize,
        stride: usize,
        offsets: &[usize; 27],
        weights: &[f32],
        sums: &mut Sums,
    ) {
        let channels = weights.len() / (27 * CHANNELS);
        let last = (channels.max(1) - 1) * stride + start + offsets[26] + LENGTH;
        assert!(last <= lines.len(), "a tile reads past the padded volume");
        assert!(offsets.is_sorted(), "the last tap reaches farthest");
        let input = Input { lines: &lines[start..], stride, offsets, weights };
        match self.0 {
            // SAFETY: `Tile::all` gives this value only where the CPU has AVX-512F; all reads end
            // before `last`, which lies inside `lines`.
            Isa::Avx512 => unsafe { tile_avx512(&input, sums) },
            // SAFETY: as above, with AVX2 and FMA.
            Isa::Avx2 => unsafe { tile_avx2(&input, sums) },
        }
    }
}

struct Input<'a> {
    lines: &'a [f32],
    stride: usize,
    offsets: &'a [usize; 27],
    weights: &'a [f32],
}

/// 8 channels x 3 vectors of 16: 24 of 32 registers hold sums.
///
/// # Safety
/// The CPU has AVX-512F, and `Tile::compute` has checked the bounds.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
unsafe fn tile_avx512(input: &Input<'_>, sums: &mut Sums) {
    let mut total: [[__m512; 3]; CHANNELS] = [[_mm512_setzero_ps(); 3]; CHANNELS];
    for (channel, weights) in input.weights.chunks_exact(27 * CHANNELS).enumerate() {
        for (offset, weights) in input.offsets.iter().zip(weights.chunks_exact(CHANNELS)) {
            let at = channel * input.stride + offset;
            // SAFETY: the caller has checked that a tile from here ends inside the line.
            let x: [__m512; 3] = unsafe {
                let at = input.lines.as_ptr().add(at);
                [_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16)), _mm512_loadu_ps(at.add(32))]
            };
            for o in 0..CHANNELS {
                let weight = _mm512_set1_ps(weights[o]);
                for v in 0..3 {
                    total[o][v] = _mm512_fmadd_ps(weight, x[v], total[o][v]);
                }
            }
        }
    }
    for (sums, total) in sums.iter_mut().zip(&total) {
        for (sums, total) in sums.chunks_exact_mut(16).zip(total) {
            // SAFETY: the chunk has 16 values.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *total) };
        }
    }
}

/// Four quarters of 4 channels x 3 vectors of 8: 12 of 16 registers hold sums.
///
/// # Safety
/// The CPU has AVX2 and FMA, and `Tile::compute` has checked the bounds.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_avx2(input: &Input<'_>, sums: &mut Sums) {
    for (first, shift) in [(0, 0), (4, 0), (0, 24), (4, 24)] {
        let mut total: [[__m256; 3]; 4] = [[_mm256_setzero_ps(); 3]; 4];
        for (channel, weights) in input.weights.chunks_exact(27 * CHANNELS).enumerate() {
            for (offset, weights) in input.offsets.iter().zip(weights.chunks_exact(CHANNELS)) {
                let at = channel * input.stride + offset + shift;
                // SAFETY: the caller has checked that a tile from here ends inside the line.
                let x: [__m256; 3] = unsafe {
                    let at = input.lines.as_ptr().add(at);
                    [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8)), _mm256_loadu_ps(at.add(16))]
                };
                for o in 0..4 {
                    let weight = _mm256_set1_ps(weights[first + o]);
                    for v in 0..3 {
                        total[o][v] = _mm256_fmadd_ps(weight, x[v], total[o][v]);
                    }
                }
            }
        }
        for (sums, total) in sums[first..].iter_mut().zip(&total) {
            for (sums, total) in sums[shift..].chunks_exact_mut(8).zip(total) {
                // SAFETY: the chunk has 8 values.
                unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), *total) };
            }
        }
    }
}
