//! Maximum over z in memory, 4 stacks of 7 planes of 2048^2 u16, beside a plain copy of the same bytes.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::ops::projection::{ProjectionKind, project};
use exavox_io::{Axis, Voxels};

const SHAPE: [usize; 3] = [7, 2048, 2048];

fn stacks() -> Vec<Voxels> {
    let voxels: usize = SHAPE.iter().product();
    let value = |i: usize, seed: usize| ((i ^ seed).wrapping_mul(2_654_435_761) >> 9) as u16;
    let stack = |seed| Voxels::from_vec(SHAPE, (0..voxels).map(|i| value(i, seed)).collect());
    (0..4).filter_map(|seed| stack(seed).ok()).collect()
}

fn maximum(criterion: &mut Criterion) {
    let stacks = stacks();
    let bytes: usize = stacks.iter().map(|s| s.bytes().len()).sum();
    let mut group = criterion.benchmark_group("projection_in_memory");
    group.sample_size(10).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("max_z_u16", |bencher| {
        bencher.iter(|| {
            let planes = stacks.iter().map(|s| project(ProjectionKind::Max, Axis::Z, s));
            planes.filter_map(Result::ok).map(|p| p.len()).sum::<usize>()
        });
    });
    let mut copy = vec![0u8; stacks.iter().map(|s| s.bytes().len()).max().unwrap_or(0)];
    group.bench_function("copy", |bencher| {
        bencher.iter(|| stacks.iter().for_each(|s| copy.copy_from_slice(s.bytes())));
    });
    group.finish();
}

criterion_group!(benches, maximum);
criterion_main!(benches);
