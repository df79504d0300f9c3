//! Filters of 256^3 volumes in memory.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use exavox_compute::ops::filter::{
    Boundary, ClaheOptions, Dimensions, Filter, Gradient, Normalization,
};
use exavox_io::{Element, Voxels};

const EDGE: usize = 256;

fn image<T: Element>() -> Option<Voxels> {
    let hash = |i: usize| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
    let value = |i: usize| T::from_f64((hash(i) + (i >> 3 & 127)) as f64);
    Voxels::from_vec([EDGE; 3], (0..EDGE.pow(3)).map(value).collect()).ok()
}

fn filters(criterion: &mut Criterion) {
    let boundary = Boundary::Reflect;
    let gaussian = |sigma| Filter::Gaussian { sigma_zyx: [sigma; 3], boundary };
    let median = |radius| Filter::Median { radius_zyx: [radius; 3], boundary };
    let mut clahe = ClaheOptions::default();
    clahe.dimensions = Dimensions::Three;
    let cases = [
        ("gaussian_8.17_f32", image::<f32>(), gaussian(8.17)),
        ("gaussian_1_u8", image::<u8>(), gaussian(1.0)),
        ("median_3x3x3_u8", image::<u8>(), median(1)),
        ("median_3x3x3_f32", image::<f32>(), median(1)),
        ("median_5x5x5_u16", image::<u16>(), median(2)),
        ("sobel_u8", image::<u8>(), Filter::Sobel(Gradient::Magnitude)),
        ("clahe_2d_u8", image::<u8>(), Filter::Clahe(ClaheOptions::default())),
        ("clahe_3d_u8", image::<u8>(), Filter::Clahe(clahe)),
        ("normalize_u16", image::<u16>(), Filter::Normalize(Normalization::MeanStd)),
    ];
    let mut group = criterion.benchmark_group("filters");
    group.sample_size(10).throughput(Throughput::Elements(EDGE.pow(3) as u64));
    for (name, image, filter) in cases {
        let Some(image) = image else { continue };
        group.bench_function(name, |bencher| bencher.iter(|| filter.run(&image)));
    }
    group.finish();
}

criterion_group!(benches, filters);
criterion_main!(benches);
