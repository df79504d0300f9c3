//! A block of 256^3 made coarser by 2, 2, 2 in memory, beside a plain copy of the same bytes.
#![allow(missing_docs)]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::ops::downsample::{DownsampleMethod, downsample};
use exavox_io::{Element, Voxels};

const EDGE: usize = 256;

/// Blobs of 8 voxels: as smooth as labels, whose borders lie between whole cells and within some.
fn block<T: Element>() -> Option<Voxels> {
    let blob = |i: usize| (i / EDGE / EDGE + 1) / 8 * 49 + (i / EDGE % EDGE) / 8 * 7 + i % EDGE / 8;
    let values = (0..EDGE.pow(3)).map(|i| T::from_f64((blob(i) % 251) as f64)).collect();
    Voxels::from_vec([EDGE; 3], values).ok()
}

fn of<T: Element>(group: &mut BenchmarkGroup<'_, WallTime>, method: DownsampleMethod) {
    let Some(voxels) = block::<T>() else { return };
    group.throughput(Throughput::Bytes(voxels.bytes().len() as u64));
    group.bench_function(format!("{method}_{}", T::DTYPE), |bencher| {
        bencher.iter(|| downsample(&voxels, [2; 3], method));
    });
}

fn twos(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("downsample_2_2_2");
    group.sample_size(10);
    of::<u8>(&mut group, DownsampleMethod::Mean);
    of::<u16>(&mut group, DownsampleMethod::Mean);
    of::<f32>(&mut group, DownsampleMethod::Mean);
    of::<u32>(&mut group, DownsampleMethod::Mode);
    of::<u64>(&mut group, DownsampleMethod::Mode);
    let bytes = vec![7_u8; EDGE.pow(3)];
    let mut copy = bytes.clone();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("copy_uint8", |bencher| {
        bencher.iter(|| copy.copy_from_slice(&bytes));
    });
    group.finish();
}

criterion_group!(benches, twos);
criterion_main!(benches);
