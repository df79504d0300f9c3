//! MurmurHash3_x86_128 of one 64-bit number, which spreads chunks over shards.

const C: [u32; 4] = [0x239b_961b, 0xab0e_9789, 0x38b3_4ae5, 0xa1e3_8b93];

/// The low 64 bits of the hash of a number in little-endian order, seed 0.
pub(super) fn murmurhash3_x86_128(number: u64) -> u64 {
    // Eight bytes are the tail of the algorithm: no whole block of sixteen comes before.
    let [low, high] = [number as u32, (number >> 32) as u32];
    let h2 = high.wrapping_mul(C[1]).rotate_left(16).wrapping_mul(C[2]);
    let h1 = low.wrapping_mul(C[0]).rotate_left(15).wrapping_mul(C[1]);
    let mut h = [h1, h2, 0, 0].map(|h| h ^ 8);
    mix(&mut h);
    h = h.map(finish);
    mix(&mut h);
    u64::from(h[1]) << 32 | u64::from(h[0])
}

fn mix(h: &mut [u32; 4]) {
    h[0] = h.iter().fold(0, |sum, h| sum.wrapping_add(*h));
    for i in 1..4 {
        h[i] = h[i].wrapping_add(h[0]);
    }
}

fn finish(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the `mmh3` of cloud-volume.
    #[test]
    fn known_hashes() {
        for (number, hash) in [
            (0, 0x4772_b084_e028_ae41),
            (1, 0xe8bd_67d6_16d4_ce9a),
            (0x0123_4567_89ab_cdef, 0x7080_3626_4c10_9d93),
            (u64::MAX, 0x574f_66bd_212b_5d1a),
        ] {
            assert_eq!(murmurhash3_x86_128(number), hash, "{number:x}");
        }
    }
}
