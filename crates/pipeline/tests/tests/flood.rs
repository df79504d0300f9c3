//! Floods of volumes in files against the operation in memory.

use exavox_compute::ops::Connectivity;
use exavox_compute::ops::flood_fill::{Seed, flood_fill};
use exavox_io::{BoundingBox, Volume, VoxelSize};
use exavox_pipeline::Silent;
use exavox_pipeline::flood::{FloodOptions, FloodSeed, flood, memory_needed, seeds_from_csv};

use crate::components::{whole, write};

fn seed(position_zyx: [u64; 3], label: u32) -> FloodSeed {
    FloodSeed { position_zyx, label }
}

#[test]
fn floods_are_those_of_the_operation() {
    let folder = tempfile::tempdir().unwrap();
    let source = Volume::open(&write::<i16>(&folder, "a.zarr", 1)).unwrap();
    let region: BoundingBox = "1:11,2:23,0:71".parse().unwrap();
    let image = source.read(0, &region).unwrap();
    for (connectivity, label) in Connectivity::ALL.into_iter().zip([1, 255, 70_000]) {
        let positions = [[3, 7, 30], [10, 22, 70], [1, 2, 0], [5, 5, 5]];
        let seeds = positions.map(|at| seed(at, label));
        let mut options = FloodOptions::new("1:4".parse().unwrap(), seeds.to_vec());
        options.labelling.region = Some("1:,2:,:".parse().unwrap());
        options.spread.connectivity = connectivity;
        let target = folder.path().join(format!("{connectivity}.zarr")).display().to_string();
        let report = flood(&source, &target, &options, &Silent).unwrap();
        let inside = positions.map(|[z, y, x]| Seed {
            position_zyx: [z as usize - 1, y as usize - 2, x as usize],
            label,
        });
        let expected = flood_fill(&image, options.range, &inside, &options.spread).unwrap();
        let (volume, labels) = whole(&target);
        assert!(labels == expected.labels && expected.voxels > 0);
        assert_eq!(volume.metadata().voxel_size, VoxelSize::from_nm_zyx([40.0, 4.0, 5.0]));
        assert_eq!(
            (report.filled_voxels, report.components),
            (expected.voxels, expected.components)
        );
        assert_eq!((report.seeds, report.seeds_out_of_range), (4, expected.seeds_out_of_range));
        assert_eq!(report.dtype, if label > 255 { "uint32" } else { "uint8" });
        assert!(report.memory_needed_bytes == memory_needed(&source, &options).unwrap());
    }
}

#[test]
fn what_cannot_be_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = Volume::open(&write::<u8>(&folder, "a.npy", 1)).unwrap();
    let target = folder.path().join("f.npy").display().to_string();
    let run = |seeds: Vec<FloodSeed>, change: fn(&mut FloodOptions)| {
        let mut options = FloodOptions::new("0:5".parse().unwrap(), seeds);
        change(&mut options);
        flood(&source, &target, &options, &Silent).unwrap_err().to_string()
    };
    let good = || vec![seed([1, 1, 1], 1)];
    for (error, expected) in [
        (run(vec![], |_| ()), "no seed to flood from"),
        (run(vec![seed([11, 0, 0], 1)], |_| ()), "seed 11,0,0 lies outside of 0:11,0:23,0:71"),
        (run(vec![seed([1, 1, 1], 0)], |_| ()), "label 0 is background"),
        (run(good(), |o| o.spread.max_voxels = Some(100)), "the flood leaks"),
        (
            run(good(), |o| o.range = "-9:-1".parse().unwrap()),
            "range -9:-1 holds no value of uint8",
        ),
        (run(good(), |o| o.labelling.memory_bytes = Some(5)), "5 may be used"),
        (
            run(good(), |o| o.labelling.region = Some("2:3,:,:".parse().unwrap())),
            "seed 1,1,1 lies outside",
        ),
    ] {
        assert!(error.contains(expected) && error.contains("a.npy"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn seeds_are_read_from_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seeds.csv");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        seeds_from_csv(&path).map_err(|error| error.to_string())
    };
    let expected = vec![seed([1, 2, 3], 1), seed([4, 5, 6], 7)];
    for text in ["1,2,3\n4,5,6,7\n", "z,y,x,label\n1, 2, 3\n\n4,5,6,7", "1,2,3\r\n4,5,6,7\r\n"] {
        assert_eq!(read(text).unwrap(), expected, "{text:?}");
    }
    for (text, expected) in [
        ("", "no seeds in this file"),
        ("z,y,x\n", "no seeds in this file"),
        ("1,2,3\n4,5\n", "seeds.csv:2: expected z,y,x or z,y,x,label, found '4,5'"),
        ("1,2,3\n\n4,5,-6\n", "seeds.csv:3: expected"),
        ("1,2,3,0\n", "seeds.csv:1: expected"),
        ("1,2,3,4,5\n", "seeds.csv:1: expected"),
        ("1.5,2,3\n", "seeds.csv:1: expected"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let missing = seeds_from_csv(&folder.path().join("none.csv")).unwrap_err().to_string();
    assert!(missing.contains("none.csv"), "{missing}");
}
