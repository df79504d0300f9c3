//! Sixteen rows of sixteen f32 become columns.

use std::arch::x86_64::*;

use super::LANES;

/// # Safety
/// The CPU has AVX-512F.
#[inline(always)]
pub(super) unsafe fn avx512(rows: &mut [__m512; LANES]) {
    // SAFETY: the caller promises the instructions.
    unsafe {
        for g in 0..4 {
            quarters(rows, 4 * g);
        }
        // Quarter q of row 4g + c is now column 4q + c of rows 4g to 4g + 3.
        for c in 0..4 {
            let [p, q, r, s] = [rows[c], rows[4 + c], rows[8 + c], rows[12 + c]];
            let even = [_mm512_shuffle_f32x4::<0x88>(p, q), _mm512_shuffle_f32x4::<0x88>(r, s)];
            let odd = [_mm512_shuffle_f32x4::<0xdd>(p, q), _mm512_shuffle_f32x4::<0xdd>(r, s)];
            rows[c] = _mm512_shuffle_f32x4::<0x88>(even[0], even[1]);
            rows[4 + c] = _mm512_shuffle_f32x4::<0x88>(odd[0], odd[1]);
            rows[8 + c] = _mm512_shuffle_f32x4::<0xdd>(even[0], even[1]);
            rows[12 + c] = _mm512_shuffle_f32x4::<0xdd>(odd[0], odd[1]);
        }
    }
}

/// Transposes four rows from `first` on within each quarter.
///
/// # Safety
/// The CPU has AVX-512F.
#[inline(always)]
unsafe fn quarters(rows: &mut [__m512; LANES], first: usize) {
    let [a, b, c, d] = [rows[first], rows[first + 1], rows[first + 2], rows[first + 3]];
    // SAFETY: the caller promises the instructions.
    unsafe {
        let low_ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        let low_cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        let high_ab = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        let high_cd = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
        rows[first] = _mm512_castpd_ps(_mm512_unpacklo_pd(low_ab, low_cd));
        rows[first + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low_ab, low_cd));
        rows[first + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high_ab, high_cd));
        rows[first + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high_ab, high_cd));
    }
}

/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn avx2(rows: &mut [[__m256; 2]; LANES]) {
    for (first, part) in [0, 4, 8, 12].into_iter().flat_map(|first| [(first, 0), (first, 1)]) {
        // SAFETY: the caller promises the instructions.
        unsafe { halves(rows, first, part) }
    }
    // Half h of part p of row 4g + c is now column 8p + 4h + c of rows 4g to 4g + 3.
    let parts = *rows;
    for part in 0..2 {
        for c in 0..4 {
            for above in 0..2 {
                let (low, high) = (parts[8 * above + c][part], parts[8 * above + 4 + c][part]);
                // SAFETY: the caller promises the instructions.
                unsafe {
                    rows[8 * part + c][above] = _mm256_permute2f128_ps::<0x20>(low, high);
                    rows[8 * part + 4 + c][above] = _mm256_permute2f128_ps::<0x31>(low, high);
                }
            }
        }
    }
}

/// Transposes four rows from `first` on within each half of a part.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn halves(rows: &mut [[__m256; 2]; LANES], first: usize, part: usize) {
    let (a, b) = (rows[first][part], rows[first + 1][part]);
    let (c, d) = (rows[first + 2][part], rows[first + 3][part]);
    // SAFETY: the caller promises the instructions.
    unsafe {
        let low_ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        let low_cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        let high_ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        let high_cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
        rows[first][part] = _mm256_castpd_ps(_mm256_unpacklo_pd(low_ab, low_cd));
        rows[first + 1][part] = _mm256_castpd_ps(_mm256_unpackhi_pd(low_ab, low_cd));
        rows[first + 2][part] = _mm256_castpd_ps(_mm256_unpacklo_pd(high_ab, high_cd));
        rows[first + 3][part] = _mm256_castpd_ps(_mm256_unpackhi_pd(high_ab, high_cd));
    }
}
