//! `exavox evaluate` on small labels.

use crate::harness::Folder;

#[test]
fn figures_of_a_split_object_are_known() {
    let folder = Folder::new();
    folder.write("truth.npy", [1, 2, 4], vec![1u8, 1, 1, 1, 1, 1, 1, 1]);
    folder.write("labels.npy", [1, 2, 4], vec![1u32, 1, 1, 1, 2, 2, 2, 2]);
    let found = folder.run(&["--json", "evaluate", "labels.npy", "truth.npy"]).json();
    assert_eq!(found["voi_split"], 1.0);
    assert_eq!(found["voi_merge"], 0.0);
    assert_eq!(found["rand_split"], 0.5);
    assert_eq!(found["rand_merge"], 1.0);
    let error = found["adapted_rand_error"].as_f64().unwrap();
    assert!((error - 1.0 / 3.0).abs() < 1e-12);
    let args = ["--json", "evaluate", "labels.npy", "truth.npy", "--roi", "0:1,0:1,:"];
    assert_eq!(folder.run(&args).json()["voi_split"], 0.0);
}

#[test]
fn shapes_that_differ_and_labels_that_are_no_integers_are_refused() {
    let folder = Folder::new();
    folder.write("a.npy", [2, 2, 4], vec![1u8; 16]);
    folder.write("b.npy", [2, 2, 5], vec![1u8; 20]);
    folder.write("c.npy", [2, 2, 4], vec![1f32; 16]);
    folder.write("d.npy", [2, 2, 4], vec![-1i32; 16]);
    folder.write("e.npy", [2, 2, 4], vec![0u8; 16]);
    for (labels, truth, expected) in [
        ("a.npy", "b.npy", "axis x: expected 5 voxels as in b.npy, found 4"),
        ("c.npy", "a.npy", "c.npy"),
        ("a.npy", "d.npy", "d.npy"),
        ("a.npy", "e.npy", "no voxel to compare"),
    ] {
        let error = folder.run(&["--quiet", "evaluate", labels, truth]).error();
        assert!(error.contains(expected), "{error}");
    }
}
