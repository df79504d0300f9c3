//! Volumes of more than 2^32 voxels. They are holes on the disk but for a few voxels at their ends.

use std::fs::File;
use std::os::unix::fs::FileExt;

use exavox_io::{BoundingBox, Volume};

use crate::harness::Folder;

/// 4.41e9 voxels; 2^32 are 4.29e9.
const EDGE: u64 = 1640;
const NAME: &str = "v.raw:uint8:1640,1640,1640";

/// 7 at the first voxel and, as one object of four voxels, at the last ones.
fn write_volume(folder: &Folder) {
    let file = File::create(folder.join("v.raw")).unwrap();
    file.set_len(EDGE.pow(3)).unwrap();
    let last = EDGE - 1;
    let corner = [last; 3];
    let beside = (0..3).map(|a| std::array::from_fn(|b| last - u64::from(a == b)));
    for [z, y, x] in [[0; 3], corner].into_iter().chain(beside) {
        file.write_all_at(&[7], (z * EDGE + y) * EDGE + x).unwrap();
    }
}

fn voxels(folder: &Folder, name: &str, start: [u64; 3]) -> Vec<u64> {
    let volume = Volume::open(folder.join(name).to_str().unwrap()).unwrap();
    let end = std::array::from_fn(|a| (start[a] + 2).min(volume.shape()[a]));
    volume.read(0, &BoundingBox { start, end }).unwrap().to_labels().unwrap()
}

#[test]
fn a_flood_beyond_2_to_the_32_voxels() {
    let folder = Folder::new();
    write_volume(&folder);
    let seed = ["--seed", "1639,1639,1639", "--range", "7:7", "--memory", "256MiB", "--json"];
    let run = folder.run(&[&["flood", NAME, "o.zarr"][..], &seed].concat()).json();
    assert_eq!((&run["filled_voxels"], &run["components"]), (&4.into(), &1.into()));
    assert_eq!(voxels(&folder, "o.zarr", [EDGE - 2; 3]), [0, 0, 0, 1, 0, 1, 1, 1]);
    assert_eq!(voxels(&folder, "o.zarr", [0; 3]), [0; 8]);
}

#[test]
fn a_projection_of_more_than_2_to_the_32_voxels() {
    let folder = Folder::new();
    write_volume(&folder);
    folder.run(&["project", NAME, "p.npy", "--kind", "argmax", "--memory", "256MiB"]).done();
    assert_eq!(voxels(&folder, "p.npy", [0, EDGE - 2, EDGE - 2]), [0, 1639, 1639, 1638]);
}

/// Minutes of work: for hands, not for every run.
#[test]
#[ignore = "takes minutes"]
fn components_of_more_than_2_to_the_32_voxels() {
    let folder = Folder::new();
    write_volume(&folder);
    let run = folder.run(&["components", NAME, "o.zarr", "--memory", "256MiB", "--json"]).json();
    assert_eq!((&run["components"], &run["foreground_voxels"]), (&2.into(), &5.into()));
    assert_eq!(run["dtype"], "uint64");
    assert_eq!(voxels(&folder, "o.zarr", [EDGE - 2; 3]), [0, 0, 0, 2, 0, 2, 2, 2]);
}
