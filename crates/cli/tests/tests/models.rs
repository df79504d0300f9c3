//! `exavox convert-model`, `exavox info` of checkpoints, and `exavox segment` with networks of JAX.

use std::path::{Path, PathBuf};

use exavox_io::{DataType, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::demo::demo_network;

use crate::harness::{Folder, Run};

/// A network that flax made.
fn golden(name: &str) -> PathBuf {
    // Asked for when the test runs: a clone may use what another one has compiled.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../compute/tests/golden").join(name)
}

/// A folder with a copy of a network.
fn folder(name: &str) -> Folder {
    let folder = Folder::new();
    std::fs::copy(golden(name), folder.join(name)).unwrap();
    folder
}

#[test]
fn a_file_of_flax_becomes_one_that_says_what_it_is() {
    let folder = folder("valid.msgpack");
    let convert =
        ["convert-model", "valid.msgpack", "v.safetensors", "--padding", "valid", "--additive"];
    let report = folder.run(&[&convert[..], &["--fov", "11,9,11", "--json"]].concat()).json();
    assert_eq!(report["architecture"], "ResConvStack");
    assert_eq!((report["depth"].as_u64(), report["parameters"].as_u64()), (Some(1), Some(1557)));
    assert_eq!(report["padding"], "valid");
    assert_eq!(report["lost_zyx"], serde_json::json!([4, 4, 4]));
    assert!(report["found_in"].as_str().unwrap().starts_with("params (there are also ema_params"));
    // 2 * taps * inputs * outputs of each layer, over the voxels that it has left.
    let voxels = [9 * 7 * 9, 7 * 5 * 7, 5 * 3 * 5, 9];
    let flop =
        2 * 27 * (voxels[0] * 8 + (voxels[1] + voxels[2] + voxels[3]) * 16) + 2 * voxels[3] * 4;
    assert_eq!(report["flop_per_fov"].as_u64(), Some(flop));

    let shown = folder.run(&["info", "v.safetensors"]).done().stdout;
    for line in ["padding       valid", "output        change of the seed", "parameters    1557"] {
        assert!(shown.contains(line), "{shown}");
    }
    let error = folder.run(&convert).error();
    assert!(error.contains("v.safetensors") && error.contains("exists"), "{error}");
    folder.run(&[&convert[..], &["--overwrite"]].concat()).done();
}

#[test]
fn a_described_network_of_google_ffn_is_shown() {
    let folder = Folder::new();
    demo_network().save(&folder.join("n.safetensors")).unwrap();
    let report = folder.run(&["info", "n.safetensors", "--json"]).json();
    assert_eq!(
        (report["architecture"].as_str(), report["depth"].as_u64()),
        (Some("ConvStack"), Some(6))
    );
    assert_eq!(report["additive"], true);
}

#[test]
fn what_cannot_be_converted_is_refused_in_one_line() {
    let folder = folder("plain.msgpack");
    let error = folder.run(&["convert-model", "plain.msgpack", "a.npz"]).error();
    assert!(error.contains("a.npz") && error.contains(".safetensors"), "{error}");
    let stack = ["convert-model", "plain.msgpack", "a.safetensors", "--architecture", "ConvStack"];
    let error = folder.run(&stack).error();
    assert!(error.contains("tensor seed_update/conv0_a/weights is missing"), "{error}");
    std::fs::write(folder.join("b.msgpack"), [0xdf, 255, 255, 255, 255]).unwrap();
    let error = folder.run(&["convert-model", "b.msgpack", "a.safetensors"]).error();
    assert!(error.contains("4294967295 entries do not fit into 0 bytes"), "{error}");
    assert!(!folder.entries().iter().any(|name| name.contains("safetensors")));
}

const SHAPE: [usize; 3] = [13, 15, 14];

/// An image of two channels, and a network's settings.
fn two_channels(folder: &Folder) {
    let options = WriteOptions::new(DataType::U8, SHAPE.map(|s| s as u64))
        .with_channels(vec!["a".to_owned(), "b".to_owned()]);
    let path = folder.join("image.zarr");
    let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
    for channel in 0..2 {
        let value = |i: usize| (i * (31 + 12 * channel) % 251) as u8;
        let voxels: Vec<u8> = (0..SHAPE.iter().product()).map(value).collect();
        writer.write(channel, [0; 3], &Voxels::from_vec(SHAPE, voxels).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

fn segment(folder: &Folder, args: &str) -> Run {
    let args: Vec<&str> = args.split_whitespace().collect();
    folder.run(&[&["--device", "cpu", "--quiet", "segment"], &args[..]].concat())
}

/// The object of one seed, whatever it is: these networks are not trained.
const RULES: &str = "--seed 6,7,7 --fov 5,7,5 --deltas 1,1,1 --image-stddev 60 \
    --init-activation 0.99 --move-threshold 0.1 --segment-threshold 0.2 --disco-seed-threshold -1 \
    --min-segment-size 1 --json";

#[test]
fn a_network_of_two_channels_segments_with_both() {
    let folder = folder("widths.msgpack");
    two_channels(&folder);
    let model = format!("image.zarr --model widths.msgpack {RULES}");
    let error = segment(&folder, &format!("{model} one.npy")).error();
    assert!(error.contains("the network takes 2 channels of the image, 1 are given"), "{error}");
    let error = segment(&folder, &format!("{model} one.npy --channels 0,2")).error();
    assert!(error.contains('2'), "{error}");
    let report = segment(&folder, &format!("{model} both.npy --channels 0,1")).json();
    assert!(report["fov_steps"].as_u64().unwrap() >= 1, "{report}");
    segment(&folder, &format!("{model} turned.npy --channels 1,0")).done();
    segment(&folder, &format!("{model} other.npy --channels 0,1 --image-mean 128,90")).done();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(read("both.npy") != read("turned.npy"), "the order of the channels has no effect");
    assert!(read("both.npy") != read("other.npy"), "the mean of the second has no effect");

    let settings = "[model]\ncheckpoint = 'widths.msgpack'\narchitecture = 'ResConvStack'\n\
        features = [3, 5, 6, 5, 2, 5]\nimage_channels = 2\nfov_zyx = [5, 7, 5]\ndeltas_zyx = [1, 1, 1]\n\
        [inference]\nchannels = [0, 1]\nimage_mean = [128, 90]\nimage_stddev = 60\n\
        init_activation = 0.99\nmove_threshold = 0.1\nsegment_threshold = 0.2\n\
        disco_seed_threshold = -1\nmin_segment_size = 1\n";
    std::fs::write(folder.join("s.toml"), settings).unwrap();
    segment(&folder, "image.zarr toml.npy --config s.toml --seed 6,7,7").done();
    assert_eq!(read("toml.npy"), read("other.npy"));
    let wrong = settings.replace("[128, 90]", "[128, 90, 7]");
    std::fs::write(folder.join("s.toml"), wrong).unwrap();
    let error = segment(&folder, "image.zarr x.npy --config s.toml --seed 6,7,7").error();
    assert!(error.contains("image_mean: expected one number or 2"), "{error}");
}

#[test]
fn by_subvolumes_a_network_of_two_channels_sees_both_too() {
    let folder = folder("widths.msgpack");
    two_channels(&folder);
    let model =
        format!("image.zarr --model widths.msgpack {RULES} --channels 0,1 --image-mean 128,90");
    let whole = segment(&folder, &format!("{model} whole.zarr")).json();
    // One subvolume as large as the image.
    let one = segment(&folder, &format!("{model} parts.zarr --subvolume 13,15,14")).json();
    assert_eq!(one["fov_steps"], whole["fov_steps"]);
    assert_eq!(one["labelled_fraction"], whole["labelled_fraction"]);
}

#[test]
fn without_padding_the_field_of_view_must_be_larger() {
    let folder = folder("valid.msgpack");
    two_channels(&folder);
    let model = "image.zarr a.npy --model valid.msgpack --padding valid --additive --seed 6,7,7";
    let error = segment(&folder, &format!("{model} --fov 7,7,7 --deltas 1,1,1")).error();
    assert!(error.contains("expected at least 9, found 7"), "{error}");
    let error = segment(&folder, &format!("{model} --fov 11,11,11 --deltas 2,2,2")).error();
    assert!(error.contains("delta along z") && error.contains("at most 1, found 2"), "{error}");
    let rules = "--fov 11,11,11 --deltas 1,1,1 --min-segment-size 1 --json";
    let report = segment(&folder, &format!("{model} {rules}")).json();
    assert!(report["fov_steps"].as_u64().unwrap() >= 1, "{report}");
}
