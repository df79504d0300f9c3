//! PNG: write -> read, colour as channels, damage.

use exavox_io::{
    BoundingBox, DataType, Error, Limits, OpenOptions, Volume, VolumeWriter, Voxels, WriteOptions,
};
use proptest::prelude::*;

use crate::pattern;
use crate::tiff::{noise, part};

fn write(path: &std::path::Path, voxels: &Voxels) -> Result<(), Error> {
    let shape = voxels.shape().map(|v| v as u64);
    let options = WriteOptions::new(voxels.dtype(), shape);
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options)?;
    writer.write(0, [0; 3], voxels)?;
    writer.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_written_is_read(
        wide in any::<bool>(),
        shape in pattern::any_shape(),
        seeds in any::<[(u64, u64); 3]>(),
    ) {
        let shape = [1, shape[1], shape[2]];
        let whole = noise(if wide { DataType::U16 } else { DataType::U8 }, shape, seeds[0].0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.png");
        write(&path, &whole).unwrap();
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        prop_assert_eq!(volume.shape(), shape);
        let region = pattern::inside(shape, seeds);
        let found = volume.read(0, &region).unwrap();
        prop_assert_eq!(found.bytes(), &part(&whole, &region)[..]);
    }
}

fn colour(path: &std::path::Path, kind: png::ColorType, palette: Option<&[u8]>, values: &[u8]) {
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, 2, 2);
    encoder.set_color(kind);
    encoder.set_depth(png::BitDepth::Eight);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
    }
    encoder.write_header().unwrap().write_image_data(values).unwrap();
}

#[test]
fn colours_are_channels_and_palettes_are_expanded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.png");
    let channels = || {
        let volume = Volume::open(path.to_str().unwrap()).unwrap();
        let whole = BoundingBox::whole(volume.shape());
        let read = |c| volume.read(c, &whole).unwrap().bytes().to_vec();
        (0..volume.metadata().channels.len()).map(read).collect::<Vec<_>>()
    };
    colour(&path, png::ColorType::Rgb, None, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(channels(), [[1, 4, 7, 10], [2, 5, 8, 11], [3, 6, 9, 12]]);
    colour(&path, png::ColorType::GrayscaleAlpha, None, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(channels(), [[1, 3, 5, 7], [2, 4, 6, 8]]);
    colour(&path, png::ColorType::Indexed, Some(&[9, 8, 7, 6, 5, 4]), &[1, 0, 0, 1]);
    assert_eq!(channels(), [[6, 9, 9, 6], [5, 8, 8, 5], [4, 7, 7, 4]]);
}

#[test]
fn three_channels_become_a_picture_in_colour() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("v.png").display().to_string();
    let create = |dtype, channels: usize| {
        let options = WriteOptions::new(dtype, [1, 2, 2])
            .with_channels((0..channels).map(|c| format!("c{c}")).collect());
        VolumeWriter::create(&name, &options)
    };
    let plane = |c: u8| Voxels::from_vec([1, 2, 2], vec![c, c + 3, c + 6, c + 9]).unwrap();
    let writer = create(DataType::U8, 3).unwrap();
    for channel in [2, 0, 1] {
        writer.write(channel, [0; 3], &plane(channel as u8 + 1)).unwrap();
    }
    assert!(writer.write(1, [0; 3], &plane(1)).is_err());
    writer.finish().unwrap();
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&name).unwrap()))
            .read_info()
            .unwrap();
    let mut pixels = [0; 12];
    assert_eq!(reader.next_frame(&mut pixels).unwrap().color_type, png::ColorType::Rgb);
    assert_eq!(pixels, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    std::fs::remove_file(&name).unwrap();
    let writer = create(DataType::U8, 3).unwrap();
    writer.write(1, [0; 3], &plane(1)).unwrap();
    assert!(writer.write(1, [0; 3], &plane(1)).is_err());
    assert!(writer.finish().unwrap_err().to_string().contains("1 of 3"));
    assert!(create(DataType::U16, 3).is_err() && create(DataType::U8, 2).is_err());
}

#[test]
fn damage_and_limits_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.png");
    write(&path, &noise(DataType::U16, [1, 40, 30], 1)).unwrap();
    let name = path.to_str().unwrap();
    let whole = BoundingBox::whole([1, 40, 30]);
    let mut limits = Limits::default();
    limits.max_chunk_bytes = 2399;
    let volume = Volume::open_with(name, &OpenOptions::default().with_limits(limits)).unwrap();
    let error = volume.read(0, &whole).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { needed: 2400, .. }), "{error:?}");
    let bytes = std::fs::read(&path).unwrap();
    for length in 8..bytes.len() - 12 {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let read = Volume::open(name).and_then(|volume| volume.read(0, &whole));
        let error = read.map(|_| length).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{length}: {error:?}");
        assert!(error.to_string().contains("v.png"), "{error}");
    }
}

#[test]
fn outputs_that_cannot_be_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.png");
    for (dtype, shape) in [(DataType::F32, [1, 3, 3]), (DataType::U8, [2, 3, 3])] {
        let options = WriteOptions::new(dtype, shape);
        let error = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    }
    let writer =
        VolumeWriter::create(path.to_str().unwrap(), &WriteOptions::new(DataType::U8, [1, 3, 3]));
    assert!(writer.unwrap().finish().unwrap_err().to_string().contains("0 of 1"));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
