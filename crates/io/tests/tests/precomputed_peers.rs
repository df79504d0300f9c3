//! Precomputed volumes read and written by tensorstore and cloud-volume, both ways.

use std::path::Path;

use exavox_io::volume::{Codec, Encoding};
use exavox_io::{
    BoundingBox, DataType, OpenOptions, Volume, VolumeWriter, VoxelSize, WriteOptions,
};

use crate::{pattern, peers, precomputed};

/// The volumes in a folder with what they hold.
fn with_expected(folder: &Path) -> impl Iterator<Item = (String, Volume, Volume)> {
    folder.read_dir().unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let expected = path.with_extension("npy");
        let open = |path: &Path| Volume::open(path.to_str().unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        path.is_dir().then(|| (name, open(&path), open(&expected)))
    })
}

fn check_equal(found: &Volume, expected: &Volume) {
    let [z, y, x] = expected.shape();
    assert_eq!(found.shape(), expected.shape(), "{}", found.name());
    assert_eq!(found.metadata().dtype, expected.metadata().dtype, "{}", found.name());
    for channel in 0..expected.metadata().channels.len() {
        for part in [
            BoundingBox::whole([z, y, x]),
            BoundingBox::new([3, 5, 7], [4, 30, 40]),
            BoundingBox::new([z - 1, y - 1, x - 1], [z, y, x]),
        ] {
            let equal =
                found.read(channel, &part).unwrap() == expected.read(channel, &part).unwrap();
            assert!(equal, "channel {channel} of {} at {part}", found.name());
        }
    }
}

#[test]
fn volumes_of_peers_are_read() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "precomputed_peers.py", &["write", folder.path().to_str().unwrap()]);
    let (mut exact, mut lossy) = (0, 0);
    for (name, found, expected) in with_expected(folder.path()) {
        assert_eq!(found.metadata().voxel_size.unwrap().nm_zyx, [40.0, 8.0, 4.0], "{name}");
        assert_eq!(found.metadata().channels.len(), expected.metadata().channels.len(), "{name}");
        if name.starts_with("jpeg") {
            check_near(&found, &expected);
            lossy += 1;
        } else {
            check_equal(&found, &expected);
            exact += 1;
        }
    }
    assert!(exact > 50 && lossy == 3, "{exact} and {lossy} volumes");
}

fn check_near(found: &Volume, expected: &Volume) {
    let whole = BoundingBox::whole(expected.shape());
    for channel in 0..expected.metadata().channels.len() {
        let [a, b] = [found, expected].map(|v| v.read(channel, &whole).unwrap().to_f32());
        let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let mean = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32;
        assert!(worst <= 40.0 && mean <= 3.0, "{}: {worst}, mean {mean}", found.name());
    }
}

#[test]
fn our_volumes_are_read_by_peers() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (labels, grey) = ([DataType::U32, DataType::U64], [DataType::U8, DataType::U16]);
    let encodings = precomputed::TYPES
        .map(|dtype| (dtype, Encoding::Raw))
        .into_iter()
        .chain(labels.map(|dtype| (dtype, Encoding::CompressedSegmentation)))
        .chain(grey.map(|dtype| (dtype, Encoding::Png)));
    let mut volumes = 0;
    for (dtype, encoding) in encodings {
        for (codec, shard) in [
            (Codec::Zstd(3), None),
            (Codec::Gzip(6), None),
            (Codec::Raw, Some([8, 32, 32])),
            (Codec::Zstd(3), Some([16, 32, 32])),
            (Codec::Gzip(1), Some([u64::MAX; 3])),
        ] {
            if (encoding, codec, dtype) == (Encoding::Png, Codec::Gzip(6), DataType::U16) {
                // tensorstore does not read `.gz` files, cloud-volume no PNG of 16 bits.
                continue;
            }
            let mut options = WriteOptions::new(dtype, [21, 37, 45]);
            options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 4.5]);
            (options.encoding, options.codec) = (encoding, codec);
            (options.chunk_shape, options.shard_shape) = (Some([8, 16, 16]), shard);
            let name = format!("{volumes}_{dtype}_{encoding:?}.precomputed");
            precomputed::write(folder.path(), &name, &options);
            volumes += 1;
        }
    }
    volumes += pyramid(folder.path());
    let found =
        peers::run(&python, "precomputed_peers.py", &["check", folder.path().to_str().unwrap()]);
    assert_eq!(found.trim(), volumes.to_string());
}

/// A volume of three scales.
fn pyramid(folder: &Path) -> usize {
    let mut options = WriteOptions::new(DataType::U64, [21, 37, 45]);
    options.voxel_size = VoxelSize::from_nm_zyx([40.0, 8.0, 8.0]);
    options.encoding = Encoding::CompressedSegmentation;
    options.chunk_shape = Some([8; 3]);
    let name = precomputed::write(folder, "pyramid.precomputed", &options);
    // The coarser one first: `info` lists them by size.
    for (factor, shape) in [([1, 4, 4], [21, 10, 12]), ([1, 2, 2], [21, 19, 23])] {
        let mut coarser = options.clone();
        (coarser.shape, coarser.shard_shape) = (shape, Some([u64::MAX; 3]));
        let writer = VolumeWriter::add_scale(&name, factor, &coarser).unwrap();
        pattern::write(&writer, DataType::U64, shape, 1, 0);
        writer.finish().unwrap();
    }
    for (scale, shape) in [[21, 37, 45], [21, 19, 23], [21, 10, 12]].into_iter().enumerate() {
        let options = OpenOptions::default().with_scale(scale);
        let volume = Volume::open_with(&name, &options).unwrap();
        assert_eq!(volume.shape(), shape);
        pattern::check_all(&volume);
    }
    3
}
