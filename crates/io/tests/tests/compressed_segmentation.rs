//! Compressed segmentation against an encoder and a decoder that go voxel by voxel, as the specification
//! says it; and bytes that mean harm.

use exavox_io::compressed_segmentation::{Label, decode, encode};
use proptest::prelude::*;

const WIDTHS: [u32; 7] = [0, 1, 2, 4, 8, 16, 32];

/// Number of a voxel or block in C order.
fn number(at: [usize; 3], shape: [usize; 3]) -> usize {
    (at[0] * shape[1] + at[1]) * shape[2] + at[2]
}

/// All places of a box in C order.
fn places(shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [z, y, x] = shape;
    (0..z * y * x).map(move |i| [i / x / y, i / x % y, i % x])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().unwrap())
}

fn naive_decode(
    bytes: &[u8],
    shape: [usize; 4],
    block: [usize; 3],
    label_bytes: usize,
) -> Vec<u64> {
    let volume = [shape[1], shape[2], shape[3]];
    let counts: [usize; 3] = std::array::from_fn(|a| volume[a].div_ceil(block[a]));
    let mut labels = Vec::new();
    for channel in 0..shape[0] {
        let origin = word(bytes, channel) as usize;
        for at in places(volume) {
            let of = std::array::from_fn(|a| at[a] / block[a]);
            let inside = std::array::from_fn(|a| at[a] % block[a]);
            let header = origin + 2 * number(of, counts);
            let (first, indices) = (word(bytes, header), word(bytes, header + 1) as usize);
            let (table, width) = (first as usize & 0xff_ffff, (first >> 24) as usize);
            let mut index = 0;
            for bit in 0..width {
                let place = width * number(inside, block) + bit;
                let word = word(bytes, origin + indices + place / 32);
                index |= ((word >> (place % 32) & 1) as usize) << bit;
            }
            let words = label_bytes / 4;
            let entry = origin + table + index * words;
            let high = if words == 2 { u64::from(word(bytes, entry + 1)) } else { 0 };
            labels.push(high << 32 | u64::from(word(bytes, entry)));
        }
    }
    labels
}

/// Tables in the order of appearance, none shared, indices of at least `least` bits.
fn naive_encode(
    labels: &[u64],
    shape: [usize; 4],
    block: [usize; 3],
    label_bytes: usize,
    least: u32,
) -> Vec<u8> {
    let volume = [shape[1], shape[2], shape[3]];
    let counts: [usize; 3] = std::array::from_fn(|a| volume[a].div_ceil(block[a]));
    let mut file = vec![0_u32; shape[0]];
    for channel in 0..shape[0] {
        file[channel] = file.len() as u32;
        let labels = &labels[channel * volume.iter().product::<usize>()..];
        let mut words = vec![0_u32; 2 * counts.iter().product::<usize>()];
        for of in places(counts) {
            let mut table: Vec<u64> = Vec::new();
            let mut indices = vec![0_u64; block.iter().product()];
            for inside in places(block) {
                let at: [usize; 3] = std::array::from_fn(|a| of[a] * block[a] + inside[a]);
                if (0..3).all(|a| at[a] < volume[a]) {
                    let label = labels[number(at, volume)];
                    if !table.contains(&label) {
                        table.push(label);
                    }
                    let index = table.iter().position(|known| *known == label).unwrap();
                    indices[number(inside, block)] = index as u64;
                }
            }
            let enough = |w: &u32| *w >= least && 1_u64 << w >= table.len() as u64;
            let width = WIDTHS.into_iter().find(enough).unwrap();
            let header = 2 * number(of, counts);
            words[header + 1] = words.len() as u32;
            let mut packed = vec![0_u32; (indices.len() * width as usize).div_ceil(32)];
            for (i, index) in indices.iter().enumerate() {
                let place = i * width as usize;
                if width > 0 {
                    packed[place / 32] |= (*index as u32) << (place % 32);
                }
            }
            words.extend(packed);
            words[header] = words.len() as u32 | width << 24;
            for label in table {
                words.push(label as u32);
                if label_bytes == 8 {
                    words.push((label >> 32) as u32);
                }
            }
        }
        file.extend(words);
    }
    file.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn any_block() -> impl Strategy<Value = [usize; 3]> {
    let fixed = prop_oneof![Just([8, 8, 8]), Just([1, 8, 8]), Just([8, 8, 1]), Just([1, 1, 1])];
    prop_oneof![2 => fixed, 1 => [1..11usize, 1..11usize, 1..11usize]]
}

fn any_shape() -> impl Strategy<Value = [usize; 4]> {
    let edge = || prop_oneof![Just(1usize), 2..20usize];
    [1..3usize, 1..20usize, 1..20usize, 1..20usize].prop_flat_map(move |[c, ..]| {
        (edge(), edge(), edge()).prop_map(move |(z, y, x)| [c, z, y, x])
    })
}

/// Labels of a shape in runs, of which there are about so many different ones.
fn labels(shape: [usize; 4], different: u64, run: usize, seed: u64) -> Vec<u64> {
    let label = |i: usize| {
        let mixed = ((i / run) as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 20) % different).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    (0..shape.iter().product()).map(label).collect()
}

fn decoded<T: Label>(bytes: &[u8], shape: [usize; 4], block: [usize; 3]) -> Vec<T> {
    let mut out = vec![T::default(); shape.iter().product()];
    decode(bytes, shape, block, &mut out).unwrap();
    out
}

fn short(labels: &[u64]) -> Vec<u32> {
    labels.iter().map(|label| *label as u32).collect()
}

proptest! {
    #[test]
    fn encoded_is_what_the_naive_decoder_reads(
        (shape, block) in (any_shape(), any_block()),
        different in prop_oneof![1..5u64, 10..40u64, 200..400u64, Just(u64::MAX)],
        run in 1..30usize,
        seed: u64,
    ) {
        let labels = labels(shape, different, run, seed);
        let bytes = encode(&labels, shape, block).unwrap();
        prop_assert!(naive_decode(&bytes, shape, block, 8) == labels);
        prop_assert!(decoded::<u64>(&bytes, shape, block) == labels);
        let short = short(&labels);
        let bytes = encode(&short, shape, block).unwrap();
        let expected: Vec<u64> = short.iter().map(|label| u64::from(*label)).collect();
        prop_assert!(naive_decode(&bytes, shape, block, 4) == expected);
        prop_assert!(decoded::<u32>(&bytes, shape, block) == short);
    }

    #[test]
    fn decoded_is_what_the_naive_encoder_wrote(
        (shape, block) in (any_shape(), any_block()),
        least in proptest::sample::select(WIDTHS.to_vec()),
        different in prop_oneof![1..5u64, 10..40u64, 200..400u64],
        run in 1..30usize,
        seed: u64,
    ) {
        let labels = labels(shape, different, run, seed);
        let bytes = naive_encode(&labels, shape, block, 8, least);
        prop_assert!(decoded::<u64>(&bytes, shape, block) == labels);
        let bytes = naive_encode(&labels, shape, block, 4, least);
        prop_assert!(decoded::<u32>(&bytes, shape, block) == short(&labels));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        (shape, block) in (any_shape(), any_block()),
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        width in proptest::sample::select(WIDTHS.to_vec()),
    ) {
        let mut out = vec![0_u64; shape.iter().product()];
        let _ = decode(&bytes, shape, block, &mut out);
        // The first header is right as far as it goes: offsets are what is tried.
        let mut words = vec![shape[0] as u32; shape[0]];
        words.extend(bytes.as_chunks::<4>().0.iter().enumerate().map(|(i, b)| {
            let value = u32::from_le_bytes(*b) % 120;
            if i % 2 == 0 { value | width << 24 } else { value }
        }));
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let _ = decode(&bytes, shape, block, &mut out);
        let _ = decode(&bytes, shape, block, &mut vec![0_u32; shape.iter().product()]);
    }

    #[test]
    fn cut_off_bytes_are_refused_or_not_needed(
        (shape, block) in (any_shape(), any_block()),
        seed: u64,
        keep in 0.0..1.0,
    ) {
        let labels = labels(shape, 30, 3, seed);
        let bytes = encode(&labels, shape, block).unwrap();
        let cut = (bytes.len() as f64 * keep) as usize;
        let mut out = vec![0_u64; labels.len()];
        if decode(&bytes[..cut], shape, block, &mut out).is_ok() {
            prop_assert!(out == labels);
        }
    }
}

#[test]
fn every_width_is_written() {
    for (different, width) in [(1, 0), (2, 1), (3, 2), (16, 4), (17, 8), (257, 16), (65_537, 32)] {
        let shape = [1, 32, 64, 64];
        let labels: Vec<u64> = (0..shape.iter().product::<usize>() as u64)
            .map(|i| u64::MAX - i.wrapping_mul(7) % different)
            .collect();
        let bytes = encode(&labels, shape, [32, 64, 64]).unwrap();
        assert_eq!(word(&bytes, 1) >> 24, width, "{different}");
        assert!(decoded::<u64>(&bytes, shape, [32, 64, 64]) == labels);
        assert!(naive_decode(&bytes, shape, [32, 64, 64], 8) == labels);
    }
}

#[test]
fn equal_tables_are_stored_once() {
    let shape = [1, 8, 8, 64];
    let labels: Vec<u64> = (0..4096).map(|i| 5 + (i % 2)).collect();
    // Channel offset, eight headers, 16 words of indices each, one table.
    let bytes = encode(&labels, shape, [8, 8, 8]).unwrap();
    assert_eq!(bytes.len(), 4 * (1 + 16 + 8 * 16 + 4));
}

#[test]
fn what_cannot_be_is_refused() {
    let message = |e: exavox_io::Error| e.to_string();
    let mut out = [0_u32; 8];
    let error = message(decode(&[1, 0, 0], [1, 2, 2, 2], [8; 3], &mut out).unwrap_err());
    assert!(error.contains("3 bytes"), "{error}");
    let error = message(decode(&[], [1, 2, 2, 2], [8; 3], &mut out).unwrap_err());
    assert!(error.contains("channel 0"), "{error}");
    let error = message(decode(&[1, 0, 0, 0], [1, 2, 2, 2], [8; 3], &mut out).unwrap_err());
    assert!(error.contains("1 block headers"), "{error}");
    let bytes: Vec<u8> = [1_u32, 3 << 24, 2].into_iter().flat_map(u32::to_le_bytes).collect();
    let error = message(decode(&bytes, [1, 2, 2, 2], [8; 3], &mut out).unwrap_err());
    assert!(error.contains("3 bits per voxel"), "{error}");
    for (shape, block) in [([1, 2, 2, 3], [8; 3]), ([1, 2, 2, 2], [8, 0, 8])] {
        encode(&out, shape, block).unwrap_err();
        decode(&bytes, shape, block, &mut out).unwrap_err();
    }
    encode(&out, [1, 2, 2, 2], [usize::MAX, 2, 1]).unwrap_err();
    encode(&out, [usize::MAX, 2, 2, 2], [8; 3]).unwrap_err();
}

#[test]
fn tables_out_of_reach_are_refused() {
    // The headers of 2^23 blocks alone take the 2^24 words that a table can start in.
    let shape = [1, 1, 1, 1 << 23];
    let labels = vec![7_u32; 1 << 23];
    let error = encode(&labels, shape, [1; 3]).unwrap_err().to_string();
    assert!(error.contains("smaller chunks"), "{error}");
}
