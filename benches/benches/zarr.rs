//! Reading and writing OME-Zarr 0.5 in 128^3 chunks; bytes of voxels a second. The peers' side and the
//! comparison are in `benches/peers/zarr_rates.py`.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use exavox_io::volume::{Codec, OmeVersion, WriteMode};
use exavox_io::{BoundingBox, DataType, Volume, VolumeWriter, Voxels, WriteOptions};

const SHAPE: [u64; 3] = [256; 3];

/// Noise that zstd compresses a little, as it does electron microscopy.
fn voxels() -> Voxels {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 58) as u8
    };
    let count = SHAPE.iter().product::<u64>();
    let values = (0..count).map(|_| 96 + noise() / 2 + noise() / 2).collect();
    Voxels::from_vec(SHAPE.map(|v| v as usize), values).unwrap()
}

fn write(voxels: &Voxels, name: &str, codec: Codec) {
    let mut options = WriteOptions::new(DataType::U8, SHAPE).with_mode(WriteMode::Overwrite);
    (options.codec, options.ome) = (codec, OmeVersion::V05);
    options.chunk_shape = Some([128; 3]);
    let writer = VolumeWriter::create(name, &options).unwrap();
    writer.write(0, [0; 3], voxels).unwrap();
    writer.finish().unwrap();
}

fn zarr(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let voxels = voxels();
    let mut group = criterion.benchmark_group("zarr");
    group.throughput(Throughput::Bytes(voxels.bytes().len() as u64)).sample_size(20);
    for (label, codec) in
        [("raw", Codec::Raw), ("zstd3", Codec::Zstd(3)), ("gzip6", Codec::Gzip(6))]
    {
        let name = folder.path().join(format!("{label}.zarr")).display().to_string();
        group.bench_function(BenchmarkId::new("write", label), |b| {
            b.iter(|| write(&voxels, &name, codec));
        });
        let volume = Volume::open(&name).unwrap();
        group.bench_function(BenchmarkId::new("read", label), |b| {
            b.iter(|| volume.read(0, &BoundingBox::whole(SHAPE)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, zarr);
criterion_main!(benches);
