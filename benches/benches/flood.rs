//! Seeded flood fill of 256^3 voxels: smooth noise, 64 % of it in the range; and random voxels near
//! percolation, 32.5 % in the range.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_benches::noise;
use exavox_compute::ops::ValueRange;
use exavox_compute::ops::flood_fill::{FloodOptions, Seed, flood_fill};
use exavox_io::Voxels;

const EDGE: usize = 256;

/// The first voxel along the diagonal from the middle whose flood is a large part of the range.
fn seed(voxels: &Voxels, range: ValueRange) -> Option<Seed> {
    let seeds = (EDGE / 2..EDGE).map(|at| Seed::new([at; 3]));
    let large = |seed: &Seed| {
        let found = flood_fill(voxels, range, &[*seed], &FloodOptions::default());
        found.is_ok_and(|flood| flood.voxels > EDGE.pow(3) as u64 / 20)
    };
    seeds.into_iter().find(large)
}

fn flood(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flood");
    group.sample_size(10).throughput(Throughput::Elements(EDGE.pow(3) as u64));
    for (name, values, share) in
        [("smooth", noise::smooth(EDGE), 0.64), ("percolating", noise::random(EDGE), 0.325)]
    {
        let low = noise::quantile(&values, 1.0 - share);
        let Ok(voxels) = Voxels::from_vec([EDGE; 3], values) else { continue };
        let Ok(range) = ValueRange::of_integers(low.into(), 255) else { continue };
        let Some(seed) = seed(&voxels, range) else { continue };
        group.bench_function(name, |bencher| {
            bencher.iter(|| flood_fill(&voxels, range, &[seed], &FloodOptions::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, flood);
criterion_main!(benches);
