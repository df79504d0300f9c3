//! Sets from edges in files: between neighbouring blocks in their order, and between any two of half as
//! many ids as there are edges, which is as bad for caches as it can be. `EXAVOX_BENCH_EDGES` sets the
//! number of edges (10^7), `EXAVOX_BENCH_MEMORY` the bytes of memory (8 GiB), `TMPDIR` where files go.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use exavox_pipeline::Silent;
use exavox_pipeline::records::RecordWriter;
use exavox_pipeline::union::{Edge, union};

/// Links of a block to its three neighbours of higher number.
const LINKS: u64 = 3_000;
/// Labels of a block.
const LABELS: u64 = 2_000;

/// A 64-bit number that looks random (splitmix64).
fn mixed(value: u64) -> u64 {
    let a = value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let b = (a ^ a >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let c = (b ^ b >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    c ^ c >> 31
}

/// Links of labels to ones in the next block along x, y or z: blocks of a cube in C order.
fn of_faces(edges: u64) -> impl Fn(u64) -> Edge {
    let side = ((edges / LINKS) as f64).cbrt().ceil() as u64 + 1;
    let id = |block: u64, n: u64| block << 24 | (mixed(n) % LABELS + 1);
    move |n| {
        let (block, step) = (n / LINKS, [1, side, side * side][(n % LINKS * 3 / LINKS) as usize]);
        Edge { a: id(block, 2 * n), b: id(block + step, 2 * n + 1) }
    }
}

/// Links between any two of `edges / 2` ids, which are spread over all numbers.
fn random(edges: u64) -> impl Fn(u64) -> Edge {
    let id = move |n: u64| (mixed(mixed(n) % (edges / 2)) >> 1).max(1);
    move |n| Edge { a: id(2 * n), b: id(2 * n + 1) }
}

fn write(path: &Path, edges: u64, edge: impl Fn(u64) -> Edge) -> anyhow::Result<PathBuf> {
    let mut writer = RecordWriter::create(path)?;
    for n in 0..edges {
        writer.push(edge(n))?;
    }
    writer.finish()?;
    Ok(path.to_owned())
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn of(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    edges: u64,
    edge: impl Fn(u64) -> Edge,
) {
    let memory = number("EXAVOX_BENCH_MEMORY", 8 << 30);
    let Ok(folder) = tempfile::tempdir() else { return };
    let (input, output) = (folder.path().join("edges"), folder.path().join("map"));
    // Made only if this benchmark is chosen.
    let mut file = None;
    group.throughput(Throughput::Elements(edges));
    group.bench_function(format!("{name}_{edges}"), |bencher| {
        let Ok(file) = file.get_or_insert_with(|| write(&input, edges, &edge)) else { return };
        bencher.iter(|| {
            union(std::slice::from_ref(file), folder.path(), &output, memory, &Silent).ok()
        });
    });
}

fn unions(criterion: &mut Criterion) {
    let edges = number("EXAVOX_BENCH_EDGES", 10_000_000);
    let mut group = criterion.benchmark_group("union");
    group.sample_size(10);
    of(&mut group, "faces", edges, of_faces(edges));
    of(&mut group, "random", edges, random(edges));
    group.finish();
}

criterion_group!(benches, unions);
criterion_main!(benches);
