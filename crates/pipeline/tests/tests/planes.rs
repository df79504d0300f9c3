//! Colour by depth and extended focus of volumes on disk, against the same of blocks in memory.

use std::num::NonZeroUsize;

use exavox_compute::ops::projection::depth_colour::{depth_colour as coloured, value_range};
use exavox_compute::ops::projection::focus::{FocusOptions, extended_focus as focused};
use exavox_compute::ops::projection::{ProjectionKind, project};
use exavox_io::volume::WriteMode;
use exavox_io::{
    Axis, BoundingBox, DataType, Element, Volume, VolumeWriter, Voxels, WriteOptions, match_dtype,
};
use exavox_pipeline::project::{depth_colour, extended_focus};
use exavox_pipeline::{ProjectOptions, Silent};
use proptest::prelude::*;

fn noise(dtype: DataType, shape: [u64; 3], seed: u64) -> Voxels {
    let mut state = seed | 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % 50
    };
    let count = shape.iter().product::<u64>();
    match_dtype!(dtype, T => {
        let values: Vec<T> = (0..count).map(|_| T::from_f64(random() as f64)).collect();
        Voxels::from_vec(shape.map(|v| v as usize), values).unwrap()
    })
}

fn write(name: &str, channels: &[Voxels], chunk: Option<[u64; 3]>) {
    let shape = channels[0].shape().map(|v| v as u64);
    let mut options = WriteOptions::new(channels[0].dtype(), shape)
        .with_channels((0..channels.len()).map(|c| format!("ch{c}")).collect());
    options.chunk_shape = chunk;
    let writer = VolumeWriter::create(name, &options).unwrap();
    for (c, voxels) in channels.iter().enumerate() {
        writer.write(c, [0; 3], voxels).unwrap();
    }
    writer.finish().unwrap();
}

fn read(name: &str, channel: usize) -> Voxels {
    let volume = Volume::open(name).unwrap();
    volume.read(channel, &BoundingBox::whole(volume.shape())).unwrap()
}

fn dtypes() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![DataType::U8, DataType::U16, DataType::I32, DataType::F32])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiles_threads_and_formats_do_not_change_the_result(
        dtype in dtypes(), axis in prop::sample::select(Axis::ZYX.to_vec()),
        shape in [1..9u64, 1..30u64, 1..30u64], chunk in [1..9u64, 3..17u64, 3..17u64],
        zarr in any::<bool>(), channels in 1..3usize, threads in 1..5usize,
        memory in prop::option::of(1000..20_000u64), seed in any::<u64>(),
        radius in 1..4usize, smooth in 0..3usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let name = |file: &str| folder.path().join(file).display().to_string();
        let source = name(if zarr { "v.zarr" } else { "v.npy" });
        let channels = if zarr { channels } else { 1 };
        let all: Vec<Voxels> = (0..channels as u64).map(|c| noise(dtype, shape, seed ^ c)).collect();
        write(&source, &all, zarr.then_some(chunk));
        let volume = Volume::open(&source).unwrap();
        let mut options = ProjectOptions::default();
        (options.axis, options.memory_bytes) = (axis, memory);
        options.threads = NonZeroUsize::new(threads).unwrap();
        let mut focus = FocusOptions::default();
        (focus.radius, focus.smooth_radius) = (radius, smooth);

        let (colours, image, heights) = (name("c.zarr"), name("i.zarr"), name("h.zarr"));
        depth_colour(&volume, &colours, None, &options, &Silent).unwrap();
        extended_focus(&volume, &image, Some(&heights), &focus, &options, &Silent).unwrap();
        for (c, stack) in all.iter().enumerate() {
            let (expected_image, expected_heights) = focused(stack, axis, &focus).unwrap();
            prop_assert_eq!(read(&image, c), expected_image);
            prop_assert_eq!(read(&heights, c), expected_heights);
            let maxima = project(ProjectionKind::Max, axis, stack).unwrap();
            let depths = project(ProjectionKind::Argmax, axis, stack).unwrap();
            let depth = stack.shape()[axis.zyx_index().unwrap()];
            let expected = coloured(&maxima, &depths, depth, value_range(&maxima)).unwrap();
            for (part, expected) in expected.iter().enumerate() {
                prop_assert_eq!(&read(&colours, c * 3 + part), expected);
            }
        }
    }
}

#[test]
fn channels_of_colours_and_files_of_channels_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let name = |file: &str| folder.path().join(file).display().to_string();
    let stacks = [noise(DataType::U16, [4, 20, 30], 1), noise(DataType::U16, [4, 20, 30], 2)];
    write(&name("v.zarr"), &stacks, None);
    let volume = Volume::open(&name("v.zarr")).unwrap();
    let options = ProjectOptions::default();
    depth_colour(&volume, &name("c.tif"), None, &options, &Silent).unwrap();
    let channels = Volume::open(&name("c.tif")).unwrap().metadata().channels.clone();
    assert_eq!(channels, ["ch0 red", "ch0 green", "ch0 blue", "ch1 red", "ch1 green", "ch1 blue"]);
    depth_colour(&volume, &name("c_{channel}.png"), None, &options, &Silent).unwrap();
    for (channel, c) in [("ch0", 0), ("ch1", 1)] {
        let file = name(&format!("c_{channel}.png"));
        assert_eq!(Volume::open(&file).unwrap().metadata().channels.len(), 3);
        assert_eq!(read(&file, 1), read(&name("c.tif"), c * 3 + 1));
    }
    let focus = FocusOptions::default();
    let (image, heights) = (name("i_{channel}.tif"), name("h_{channel}.tif"));
    extended_focus(&volume, &image, Some(&heights), &focus, &options, &Silent).unwrap();
    assert_eq!(read(&name("h_ch1.tif"), 0), focused(&stacks[1], Axis::Z, &focus).unwrap().1);
}

#[test]
fn a_channel_that_cannot_be_read_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let name = |file: &str| folder.path().join(file).display().to_string();
    let stacks = [noise(DataType::U16, [4, 20, 30], 1), noise(DataType::U16, [4, 20, 30], 2)];
    for (c, stack) in stacks.iter().enumerate() {
        for z in 0..4_u64 {
            let plane = BoundingBox::new([z, 0, 0], [z + 1, 20, 30]);
            let mut block = Voxels::zeros(DataType::U16, [1, 20, 30]).unwrap();
            block.copy_box([0; 3], stack, &plane).unwrap();
            write(&name(&format!("v_ch{c}_z{z}.tif")), &[block], None);
        }
    }
    let source = name("v_{channel}_z{z}.tif");
    let damaged = name("v_ch0_z2.tif");
    let bytes = std::fs::read(&damaged).unwrap();
    let volume = Volume::open(&source).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let (options, focus) = (ProjectOptions::default(), FocusOptions::default());
    let report =
        extended_focus(&volume, &name("i.zarr"), Some(&name("h.zarr")), &focus, &options, &Silent)
            .unwrap();
    let error = report.channels[0].error.as_ref().unwrap();
    assert!(error.contains("v_ch0_z2.tif"), "{error}");
    assert_eq!(Volume::open(&name("i.zarr")).unwrap().metadata().channels, ["ch1"]);
    assert_eq!(read(&name("i.zarr"), 0), focused(&stacks[1], Axis::Z, &focus).unwrap().0);
    // The output is there: refused before anything is read, and left alone.
    let again = depth_colour(&volume, &name("i.zarr"), None, &options, &Silent).unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
    let mut options = ProjectOptions::default();
    options.mode = WriteMode::Overwrite;
    depth_colour(&volume, &name("i.zarr"), None, &options, &Silent).unwrap();
    assert_eq!(Volume::open(&name("i.zarr")).unwrap().metadata().channels.len(), 3);
}
