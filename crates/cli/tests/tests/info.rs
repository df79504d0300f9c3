//! `exavox info`.

use exavox_io::DataType;
use serde_json::json;

use crate::harness::Folder;

#[test]
fn the_table_and_the_object_say_the_same() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [2, 3, 4], DataType::U16);
    folder
        .run(&[
            "convert", "a.npy", "b.zarr", "--ome", "0.5", "--chunk", "1,2,2", "--shard", "2,4,4",
        ])
        .done();
    let convert = ["convert", "b.zarr", "c.zarr", "--voxel-size", "40,4,4.5", "--chunk", "1,2,2"];
    folder.run(&convert).done();

    let table = folder.run(&["info", "b.zarr"]).done().stdout;
    for row in ["2 x 3 x 4 (z, y, x)", "uint16", "1 x 2 x 2", "2 x 4 x 4", "zstd", "48 (48 B)"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    let object = folder.run(&["info", "b.zarr", "--json"]).json();
    assert_eq!(object["name"], "b.zarr");
    assert_eq!(object["shape"], json!([2, 3, 4]));
    assert_eq!(object["dtype"], "uint16");
    assert_eq!(object["chunk_shape"], json!([1, 2, 2]));
    assert_eq!(object["shard_shape"], json!([2, 4, 4]));
    assert_eq!(object["scales"], json!([{"shape": [2, 3, 4], "voxel_size_nm": null}]));
    assert_eq!(object["bytes"], 48);

    let sized = folder.run(&["info", "c.zarr", "--json"]).json();
    assert_eq!(sized["voxel_size_nm"], json!([40.0, 4.0, 4.5]));
    assert_eq!(sized["scales"][0]["voxel_size_nm"], json!([40.0, 4.0, 4.5]));
    let table = folder.run(&["info", "c.zarr"]).done().stdout;
    assert!(table.contains("2 x 3 x 4 of 40 x 4 x 4.5 nm"), "{table}");
    assert_eq!(sized["shard_shape"], serde_json::Value::Null);
    let plain = folder.run(&["info", "a.npy", "--json"]).json();
    assert_eq!(plain["voxel_size_nm"], serde_json::Value::Null);
    assert_eq!(plain["codecs"], json!([]));
    assert_eq!(plain["channels"], json!(["0"]));
}

#[test]
fn the_result_is_all_there_is_on_stdout_and_quiet_keeps_it() {
    let folder = Folder::new();
    folder.write_ramp("a.npy", [2, 3, 4], DataType::F32);
    let loud = folder.run(&["info", "a.npy"]).done();
    assert_eq!(loud.stderr, "");
    assert_eq!(folder.run(&["info", "a.npy", "--quiet"]).done().stdout, loud.stdout);
}

#[test]
fn bad_input_is_one_line_that_names_the_file() {
    let folder = Folder::new();
    folder.write_ramp("whole.npy", [4, 5, 6], DataType::U16);
    let whole = std::fs::read(folder.join("whole.npy")).unwrap();
    std::fs::write(folder.join("truncated.npy"), &whole[..whole.len() - 1]).unwrap();
    std::fs::write(folder.join("header.npy"), &whole[..40]).unwrap();
    let huge = String::from_utf8_lossy(&whole[10..128])
        .replace("(4, 5, 6)", "(1000000, 1000000, 1000000)");
    let mut bomb = whole[..10].to_vec();
    bomb.extend(huge.as_bytes().iter().filter(|b| **b != b'\n').take(117));
    bomb.push(b'\n');
    std::fs::write(folder.join("bomb.npy"), bomb).unwrap();
    std::fs::write(folder.join("text.dat.txt"), "no volume at all").unwrap();
    std::fs::write(folder.join("v.raw"), [0; 10]).unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    for (name, expected) in [
        ("missing.npy", "No such file"),
        ("truncated.npy", "need 368 bytes, found 367"),
        ("header.npy", "truncated in the NPY header"),
        ("bomb.npy", "truncated: uint16 voxels of shape [1000000, 1000000, 1000000]"),
        ("text.dat.txt", "content of unknown format"),
        ("empty", "content of unknown format"),
        ("v.raw", "give type and shape"),
        ("v.raw:uint8:2,3,4", "need 24 bytes, found 10"),
        ("nope://bucket/v.zarr", "nope://"),
    ] {
        let error = folder.run(&["info", name]).error();
        let file = name.split(":uint8").next().unwrap();
        assert!(error.contains(file) && error.contains(expected), "{name}: {error}");
    }
    let error = folder.run(&["info", "whole.npy", "--scale", "3"]).error();
    assert!(error.contains("whole.npy") && error.contains("scale"), "{error}");
}
