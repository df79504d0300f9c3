//! TIFF read and written by tifffile, both ways.

use std::path::Path;

use exavox_io::volume::Codec;
use exavox_io::{
    BoundingBox, DataType, Error, OpenOptions, Volume, VolumeWriter, VoxelSize, WriteOptions,
};

use crate::{pattern, peers};

fn written_by_tifffile() -> Option<tempfile::TempDir> {
    let python = peers::python()?;
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "tiff_peers.py", &["write", folder.path().to_str().unwrap()]);
    Some(folder)
}

/// The last time point: files with a time axis have two.
fn open(path: &Path) -> Volume {
    let name = path.to_str().unwrap();
    let options = OpenOptions::default().with_time(1);
    Volume::open_with(name, &options).unwrap_or_else(|_| Volume::open(name).unwrap())
}

fn check_equal(found: &Volume, expected: &Volume) {
    let metadata = found.metadata();
    assert_eq!(metadata.shape, expected.shape(), "{}", found.name());
    assert_eq!(metadata.dtype, expected.metadata().dtype, "{}", found.name());
    assert_eq!(metadata.channels.len(), expected.metadata().channels.len(), "{}", found.name());
    let [z, y, x] = metadata.shape;
    let parts = [
        BoundingBox::whole([z, y, x]),
        BoundingBox::new([z / 2, y / 3, x / 2], [z / 2 + 1, y, x / 2 + 1]),
        BoundingBox::new([z - 1, y - 1, x - 1], [z, y, x]),
        BoundingBox::new([0, y / 2, 0], [z, y / 2 + 1, x]),
    ];
    for (channel, part) in (0..metadata.channels.len()).flat_map(|c| parts.map(|p| (c, p))) {
        let equal = found.read(channel, &part).unwrap() == expected.read(channel, &part).unwrap();
        assert!(equal, "channel {channel} of {} at {part}", found.name());
    }
}

#[test]
fn files_of_tifffile_are_read() {
    let Some(folder) = written_by_tifffile() else { return };
    let mut files = 0;
    for entry in folder.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tif") {
            let expected = Volume::open(path.with_extension("npy").to_str().unwrap()).unwrap();
            check_equal(&open(&path), &expected);
            files += 1;
        }
    }
    assert!(files > 80, "{files} files");
}

#[test]
fn descriptions_of_tifffile_are_understood() {
    let Some(folder) = written_by_tifffile() else { return };
    let open = |name: &str| Volume::open(folder.path().join(name).to_str().unwrap()).unwrap();
    for axes in ["TCZYX", "TZCYX", "ZCTYX", "CZTYX"] {
        let volume = open(&format!("ome_{axes}.ome.tif"));
        let metadata = volume.metadata();
        assert_eq!(metadata.channels, ["DAPI", "Cy5 <α>", "PolyT"]);
        assert_eq!(metadata.voxel_size.unwrap().nm_zyx, [1500.0, 200.0, 100.0]);
        assert_eq!(metadata.stored_axes, axes.to_lowercase());
    }
    for name in ["imagej.tif", "imagej_hidden.tif"] {
        let volume = open(name);
        assert_eq!(volume.metadata().voxel_size.unwrap().nm_zyx, [1500.0, 200.0, 100.0]);
        assert_eq!(volume.metadata().stored_axes, "tzcyx");
    }
    assert_eq!(open("lzw_delta.tif").metadata().codecs, ["delta", "lzw"]);
    assert_eq!(open("rgb.tif").metadata().stored_axes, "zyxc");
    assert_eq!(open("planar.tif").metadata().stored_axes, "zcyx");
    assert_eq!(open("tiled_u2_le.tif").metadata().chunk_shape, [1, 16, 32]);
    let name = folder.path().join("imagej.tif");
    let options = OpenOptions::default().with_time(2);
    let error = Volume::open_with(name.to_str().unwrap(), &options).unwrap_err();
    assert!(error.to_string().contains("time point 2 does not exist, there are 2"), "{error}");
}

#[test]
fn what_is_not_read_is_named() {
    let Some(folder) = written_by_tifffile() else { return };
    let error = |name: &str| {
        Volume::open(folder.path().join("bad").join(name).to_str().unwrap()).unwrap_err()
    };
    for (name, word) in [
        ("lzma.tif", "compression 34925"),
        ("bits.tif", "1 bits per sample"),
        ("half.tif", "16 bits per sample of kind 'f'"),
        ("complex.tif", "sample format 6"),
    ] {
        let error = error(name);
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(word) && error.to_string().contains(name), "{error}");
    }
    for (name, word) in [("shapes.tif", "30 x 45"), ("types.tif", "found uint8")] {
        let error = error(name);
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("page 1") && text.contains(word), "{text}");
        assert!(text.contains("expected uint16 of 37 x 45"), "{text}");
    }
}

#[test]
fn grey_jpeg_is_read_to_the_rounding() {
    let Some(folder) = written_by_tifffile() else { return };
    let read = |name: &str| {
        let volume = Volume::open(folder.path().join("bad").join(name).to_str().unwrap()).unwrap();
        volume.read(0, &BoundingBox::whole(volume.shape())).unwrap().to_f32()
    };
    let (found, expected) = (read("jpeg.tif"), read("jpeg.npy"));
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && worst <= 8.0, "{worst}");
}

fn write(path: &Path, options: &WriteOptions) {
    let writer = VolumeWriter::create(path.to_str().unwrap(), options).unwrap();
    for channel in 0..options.channels.len() {
        for block in BoundingBox::whole(options.shape).tiles([2, u64::MAX, u64::MAX]) {
            let voxels = pattern::region(options.dtype, channel as u64, &block);
            writer.write(channel, block.start, &voxels).unwrap();
        }
    }
    writer.finish().unwrap();
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    pattern::check_all(&volume);
    assert_eq!(volume.metadata().channels, options.channels);
    assert_eq!(volume.metadata().voxel_size, options.voxel_size);
}

#[test]
fn our_files_are_read_by_tifffile() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = ["DAPI", "a<b>&\"é", "c"].map(str::to_owned);
    for dtype in DataType::ALL {
        for codec in [Codec::Raw, Codec::Gzip(6), Codec::Zstd(3)] {
            let mut plain = WriteOptions::new(dtype, [1, 37, 45]);
            plain.codec = codec;
            write(&folder.path().join(format!("plain_{dtype}_{codec:?}.tif")), &plain);
            if matches!(dtype, DataType::U64 | DataType::I64) {
                continue;
            }
            for channels in [1, 3] {
                let mut options = WriteOptions::new(dtype, [5, 37, 45])
                    .with_channels(names[..channels].to_vec())
                    .with_voxel_size(VoxelSize::from_nm_zyx([1500.5, 8.0, 4.13]));
                options.codec = codec;
                let name = format!("{channels}_{dtype}_{codec:?}.ome.tif");
                write(&folder.path().join(name), &options);
            }
        }
    }
    peers::run(&python, "tiff_peers.py", &["check", folder.path().to_str().unwrap()]);
}
