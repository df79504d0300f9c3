//! HDF5 output: by h5py, or the name of the feature where it is not built in.

use exavox_io::{DataType, Error, VolumeWriter, WriteOptions};

#[cfg(not(feature = "hdf5-write"))]
#[test]
fn without_the_feature_its_name_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("{}/v.h5:raw", folder.path().display());
    let error =
        VolumeWriter::create(&name, &WriteOptions::new(DataType::U8, [1, 2, 3])).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("feature hdf5-write"), "{error}");
}

#[test]
fn file_without_a_dataset_is_refused() {
    let error =
        VolumeWriter::create("v.h5", &WriteOptions::new(DataType::U8, [1, 2, 3])).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    assert!(error.to_string().contains("v.h5:DATASET"), "{error}");
}

#[cfg(feature = "hdf5-write")]
mod written {
    use std::path::Path;

    use exavox_io::volume::{Codec, WriteMode};
    use exavox_io::{BoundingBox, Volume, VoxelSize, Voxels};
    use proptest::prelude::*;

    use super::*;
    use crate::outputs::Disk;
    use crate::{pattern, peers};

    const CODECS: [Codec; 3] = [Codec::Raw, Codec::Gzip(6), Codec::Zstd(3)];

    fn write(path: &Path, options: &WriteOptions, shuffle: u64) -> Volume {
        let name = format!("{}:volumes/raw", path.display());
        let writer = VolumeWriter::create(&name, options).unwrap();
        let channels = options.channels.len() as u64;
        pattern::write(&writer, options.dtype, options.shape, channels, shuffle);
        writer.finish().unwrap();
        Volume::open(&name).unwrap()
    }

    fn options(dtype: DataType, shape: [u64; 3], channels: usize, codec: Codec) -> WriteOptions {
        let names = (0..channels).map(|c| c.to_string()).collect();
        let mut options = WriteOptions::new(dtype, shape).with_channels(names);
        options.codec = codec;
        options.chunk_shape = Some([4, 8, 16]);
        options
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_is_written_is_read(
            dtype in pattern::any_dtype(),
            shape in pattern::any_shape(),
            channels in 1..=3usize,
            codec in proptest::sample::select(CODECS.to_vec()),
            shuffle in any::<u64>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let options = options(dtype, shape, channels, codec);
            let volume = write(&folder.path().join("v.h5"), &options, shuffle);
            prop_assert_eq!((volume.shape(), volume.metadata().dtype), (shape, dtype));
            prop_assert_eq!(volume.metadata().channels.len(), channels);
            pattern::check_all(&volume);
        }
    }

    #[test]
    fn files_are_read_by_h5py() {
        let Some(python) = peers::python() else { return };
        let folder = tempfile::tempdir().unwrap();
        for dtype in DataType::ALL {
            for (codec, channels) in CODECS.into_iter().zip([1, 3, 2]) {
                let options = options(dtype, [9, 21, 33], channels, codec)
                    .with_voxel_size(VoxelSize::from_nm_zyx([40.0, 4.5, 4.0]));
                let path = folder.path().join(format!("{dtype}_{codec:?}.h5"));
                let volume = write(&path, &options, 3);
                assert_eq!(volume.metadata().voxel_size, options.voxel_size);
                assert_eq!(volume.metadata().chunk_shape, [4, 8, 16]);
            }
        }
        peers::run(&python, "hdf5_peers.py", &["check", folder.path().to_str().unwrap()]);
    }

    #[test]
    fn what_cannot_be_is_refused_before_memory_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |dataset: &str, options: &WriteOptions, word: &str| {
            let name = format!("{}/v.h5:{dataset}", folder.path().display());
            let error = VolumeWriter::create(&name, options).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        };
        let small = |codec| options(DataType::U8, [4, 4, 4], 1, codec);
        refused("a//b", &small(Codec::Raw), "not a name");
        refused("a/../b", &small(Codec::Raw), "not a name");
        refused("a", &small(Codec::Blosc(5)), "Blosc");
        refused("a", &small(Codec::Gzip(12)), "expected 0 to 9");
        let huge = WriteOptions::new(DataType::U64, [1 << 20, 1 << 20, 1 << 20]);
        refused("a", &huge, "made in memory");
        let mut empty = small(Codec::Raw);
        empty.chunk_shape = Some([0, 4, 4]);
        refused("a", &empty, "chunks of [0, 4, 4]");
    }

    #[test]
    fn outputs_appear_whole_or_not_at_all() {
        let Some(disk) = Disk::mount("1m") else { return };
        let path = disk.path().join("v.h5");
        let name = format!("{}:raw", path.display());
        let block = |shape: [usize; 3]| Voxels::zeros(DataType::U8, shape).unwrap();
        let mut options = WriteOptions::new(DataType::U8, [200, 100, 100]);
        options.codec = Codec::Raw;
        let writer = VolumeWriter::create(&name, &options).unwrap();
        writer.write(0, [0; 3], &block([200, 100, 100])).unwrap();
        assert!(matches!(writer.finish().unwrap_err(), Error::Io { .. }));
        assert_eq!(disk.path().read_dir().unwrap().count(), 0);
        let small = WriteOptions::new(DataType::U8, [3, 4, 5]);
        drop(VolumeWriter::create(&name, &small).unwrap());
        assert_eq!(disk.path().read_dir().unwrap().count(), 0);
        for mode in [WriteMode::CreateNew, WriteMode::Overwrite] {
            let writer = VolumeWriter::create(&name, &small.clone().with_mode(mode)).unwrap();
            writer.write(0, [0; 3], &block([3, 4, 5])).unwrap();
            writer.finish().unwrap();
        }
        assert!(matches!(VolumeWriter::create(&name, &small).unwrap_err(), Error::Exists { .. }));
        let volume = Volume::open(&name).unwrap();
        assert!(volume.read(0, &BoundingBox::whole([3, 4, 5])).unwrap() == block([3, 4, 5]));
    }
}
