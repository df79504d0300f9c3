//! Connected components of 256^3 voxels: a smooth mask, 64 % of it set; a random one, 50 % set; and the
//! labels of smooth noise in steps.
#![allow(missing_docs)]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use exavox_benches::noise;
use exavox_compute::ops::connected_components::{Foreground, label_equal, label_mask};
use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::Voxels;

const EDGE: usize = 256;

fn masks(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, values: Vec<u8>, share: f64) {
    let low = noise::quantile(&values, 1.0 - share);
    let range = ValueRange::of_integers(low.into(), 255).map(Foreground::Range);
    let (Ok(range), Ok(voxels)) = (range, Voxels::from_vec([EDGE; 3], values)) else { return };
    for connectivity in [Connectivity::Six, Connectivity::TwentySix] {
        group.bench_function(format!("{name}_{connectivity}"), |bencher| {
            bencher.iter(|| label_mask(&voxels, range, connectivity));
        });
    }
}

fn labels(group: &mut BenchmarkGroup<'_, WallTime>) {
    let values = noise::smooth(EDGE).into_iter().map(|v| u32::from(v / 16)).collect();
    let Ok(voxels) = Voxels::from_vec([EDGE; 3], values) else { return };
    for connectivity in [Connectivity::Six, Connectivity::TwentySix] {
        group.bench_function(format!("multi_label_{connectivity}"), |bencher| {
            bencher.iter(|| label_equal(&voxels, connectivity));
        });
    }
}

fn components(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("components");
    group.sample_size(10).throughput(Throughput::Elements(EDGE.pow(3) as u64));
    masks(&mut group, "smooth", noise::smooth(EDGE), 0.64);
    masks(&mut group, "random", noise::random(EDGE), 0.5);
    labels(&mut group);
    group.finish();
}

criterion_group!(benches, components);
criterion_main!(benches);
