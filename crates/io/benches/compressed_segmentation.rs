//! Compressed segmentation on one core, in bytes of labels: a real segmentation where `EXAVOX_DATA` names
//! the test data, a synthetic one of cells, and noise, which is the worst case.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_io::compressed_segmentation::{Label, decode, encode};
use exavox_io::{BoundingBox, Volume};

const BLOCK: [usize; 3] = [8, 8, 8];
const EDGE: usize = 128;

/// Nearest of points on a jittered grid: cells of about 30 voxels.
fn cells() -> Vec<u64> {
    let hash = |z: i64, y: i64, x: i64| {
        let seed = (z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791);
        (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let label = |voxel: [i64; 3]| {
        let mut nearest = (i64::MAX, 0);
        for n in 0..27 {
            let [z, y, x] = [n / 9, n / 3 % 3, n % 3];
            let cell = [voxel[0] / 30 + z - 1, voxel[1] / 30 + y - 1, voxel[2] / 30 + x - 1];
            let label = hash(cell[0], cell[1], cell[2]);
            let jitter = [label >> 8, label >> 24, label >> 40].map(|bits| (bits % 30) as i64);
            let distance = (0..3).map(|a| (cell[a] * 30 + jitter[a] - voxel[a]).pow(2)).sum();
            nearest = nearest.min((distance, label));
        }
        nearest.1
    };
    voxels().map(|voxel| label(voxel.map(|v| v as i64))).collect()
}

fn voxels() -> impl Iterator<Item = [usize; 3]> {
    (0..EDGE.pow(3)).map(|i| [i / EDGE / EDGE, i / EDGE % EDGE, i % EDGE])
}

fn noise() -> Vec<u64> {
    (0..EDGE.pow(3) as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

/// Part of the labels of the test data.
fn real() -> Option<Vec<u64>> {
    let folder = std::path::PathBuf::from(std::env::var_os("EXAVOX_DATA")?);
    let file = folder.join("fib25/training_sample2_groundtruth.h5");
    let volume = Volume::open(&format!("{}:labels", file.display())).unwrap();
    let region = BoundingBox::from_start_shape([60; 3], [EDGE as u64; 3]);
    Some(volume.read(0, &region).unwrap().to_labels().unwrap())
}

fn measure<T: Label>(criterion: &mut Criterion, name: &str, labels: &[T]) {
    let shape = [1, EDGE, EDGE, EDGE];
    let encoded = encode(labels, shape, BLOCK).unwrap();
    let mut decoded = vec![T::default(); labels.len()];
    let mut group = criterion.benchmark_group("compressed_segmentation");
    group.throughput(Throughput::Bytes(size_of_val(labels) as u64));
    group.bench_function(format!("decode/{name}"), |bencher| {
        bencher.iter(|| decode(&encoded, shape, BLOCK, &mut decoded).unwrap());
    });
    assert!(decoded == labels);
    group.bench_function(format!("encode/{name}"), |bencher| {
        bencher.iter(|| encode(labels, shape, BLOCK).unwrap());
    });
    group.finish();
}

fn both_types(criterion: &mut Criterion, name: &str, labels: &[u64]) {
    measure(criterion, &format!("{name}/uint64"), labels);
    let short: Vec<u32> = labels.iter().map(|label| *label as u32).collect();
    measure(criterion, &format!("{name}/uint32"), &short);
}

fn compressed_segmentation(criterion: &mut Criterion) {
    if let Some(labels) = real() {
        both_types(criterion, "fib25", &labels);
    }
    both_types(criterion, "cells", &cells());
    both_types(criterion, "noise", &noise());
}

criterion_group!(benches, compressed_segmentation);
criterion_main!(benches);
