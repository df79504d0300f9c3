//! The exact distance transform of 256^3 masks: noise, few zeros, one zero voxel, a face of zeros.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::ops::distance_transform::{DistanceOptions, distance_transform};
use exavox_io::Voxels;

const EDGE: usize = 256;

fn mask(is_zero: impl Fn(usize) -> bool) -> Option<Voxels> {
    let values = (0..EDGE.pow(3)).map(|i| u8::from(!is_zero(i))).collect();
    Voxels::from_vec([EDGE; 3], values).ok()
}

fn distances(criterion: &mut Criterion) {
    let hash = |i: usize| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let cell = |i: usize| i >> 19 << 10 | (i >> 11 & 31) << 5 | i >> 3 & 31;
    let masks = [
        ("cells_of_8", mask(|i| hash(cell(i)) % 3 == 0)),
        ("noise", mask(|i| hash(i).is_multiple_of(2))),
        ("few_zeros", mask(|i| hash(i).is_multiple_of(100_003))),
        ("one_zero", mask(|i| i == EDGE.pow(3) / 3)),
        ("face", mask(|i| i.is_multiple_of(EDGE))),
    ];
    let mut group = criterion.benchmark_group("distance_transform");
    group.sample_size(10).throughput(Throughput::Elements(EDGE.pow(3) as u64));
    for (name, mask) in masks {
        let Some(mask) = mask else { continue };
        group.bench_function(name, |bencher| {
            bencher.iter(|| distance_transform(&mask, &DistanceOptions::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, distances);
criterion_main!(benches);
