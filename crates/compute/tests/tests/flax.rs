//! Networks of flax: its own files and its own steps (`peers/flax_networks.py` made `golden/`), and files
//! that are damaged or hostile.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::Precision;
use exavox_compute::ffn::{
    ArchitectureOptions, Family, Layers, ModelConfig, Padding, SeedUpdate, TrainedModel, model_on,
};
use exavox_io::{BoundingBox, Volume};
use proptest::prelude::*;

use crate::golden::device;

fn golden(name: &str) -> PathBuf {
    // Asked for when the test runs: a clone may use what another one has compiled.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("tests/golden").join(name)
}

fn options(padding: Padding, update: SeedUpdate) -> ArchitectureOptions {
    ArchitectureOptions {
        padding: Some(padding),
        update: Some(update),
        ..ArchitectureOptions::default()
    }
}

fn read(path: &Path) -> (Vec<f32>, [usize; 3]) {
    let volume = Volume::open(path.to_str().unwrap()).unwrap();
    let box_of_all = BoundingBox::whole(volume.shape());
    let channels = volume.metadata().channels.len();
    let values = (0..channels).flat_map(|c| volume.read(c, &box_of_all).unwrap().to_f32());
    (values.collect(), volume.shape().map(|s| s as usize))
}

/// Largest difference between a step here and in flax, by a model of the files `PREFIX.*.npy`.
fn largest_error(model: &TrainedModel, prefix: &Path, spec: &str) -> Option<f32> {
    let device = device(spec)?;
    let part = |suffix: &str| PathBuf::from(format!("{}.{suffix}.npy", prefix.display()));
    let (image, _) = read(&part("image"));
    let (seed, fov_zyx) = read(&part("seed"));
    let (expected, kept) = read(&part("logits"));
    let config = ModelConfig { fov_zyx, deltas_zyx: [0; 3] };
    let lost = model.architecture().lost_zyx();
    assert_eq!(kept, [0, 1, 2].map(|a| fov_zyx[a] - 2 * lost[a]));
    let mut network = model_on(model, &config, &device, Precision::Exact).unwrap();
    let mut logits = vec![0.0; seed.len()];
    network.step(&image, &seed, &mut logits).unwrap();
    let said: Vec<f32> = logits.into_iter().filter(|l| !l.is_nan()).collect();
    assert_eq!(said.len(), expected.len());
    Some(said.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max))
}

fn check_golden(name: &str, padding: Padding, update: SeedUpdate, says: &str) {
    let file = golden(&format!("{name}.msgpack"));
    let model = TrainedModel::open(&file, &options(padding, update)).unwrap();
    assert_eq!(model.architecture().to_string(), says);
    // Winograd convolutions alone are off by some 1e-5 of the largest number.
    for spec in ["cpu", "wgpu"] {
        if let Some(error) = largest_error(&model, &golden(name), spec) {
            assert!(error <= 1e-4, "{name} on {spec}: {error:e}");
        }
    }
    // A converted file says all by itself.
    let folder = tempfile::tempdir().unwrap();
    let converted = folder.path().join("a.safetensors");
    model.save(&converted).unwrap();
    let again = TrainedModel::open(&converted, &ArchitectureOptions::default()).unwrap();
    assert_eq!((again.layers(), again.architecture()), (model.layers(), model.architecture()));
}

#[test]
fn a_step_with_layer_norm_is_that_of_flax() {
    check_golden(
        "plain",
        Padding::Same,
        SeedUpdate::Direct,
        "ResConvStack depth=2 num_convs=2 features=4 kernel_zyx=3,3,3 layer_norm=true padding=same update=direct image_channels=1",
    );
}

#[test]
fn an_additive_step_without_layer_norm_is_that_of_flax() {
    check_golden(
        "bare",
        Padding::Same,
        SeedUpdate::Additive,
        "ResConvStack depth=2 num_convs=2 features=4 kernel_zyx=3,3,3 layer_norm=false padding=same update=additive image_channels=1",
    );
}

#[test]
fn a_step_without_padding_is_that_of_flax() {
    check_golden(
        "valid",
        Padding::Valid,
        SeedUpdate::Additive,
        "ResConvStack depth=1 num_convs=2 features=4 kernel_zyx=3,3,3 layer_norm=true padding=valid update=additive image_channels=1",
    );
}

#[test]
fn a_step_of_two_image_channels_and_many_widths_is_that_of_flax() {
    check_golden(
        "widths",
        Padding::Same,
        SeedUpdate::Direct,
        "ResConvStack depth=2 num_convs=2 features=3,5,6,5,2,5 kernel_zyx=3,3,3 layer_norm=true padding=same update=direct image_channels=2",
    );
}

#[test]
fn a_step_of_flat_kernels_from_arrays_in_pieces_is_that_of_flax() {
    check_golden(
        "three",
        Padding::Valid,
        SeedUpdate::Direct,
        "ResConvStack depth=1 num_convs=3 features=4 kernel_zyx=1,3,3 layer_norm=true padding=valid update=direct image_channels=1",
    );
}

/// A large network made by the same script: `EXAVOX_FLAX` names its prefix.
#[test]
fn a_step_of_a_large_network_is_that_of_flax() {
    let Some(prefix) = std::env::var_os("EXAVOX_FLAX").map(PathBuf::from) else {
        eprintln!("skipped: EXAVOX_FLAX does not name a network");
        return;
    };
    let file = PathBuf::from(format!("{}.msgpack", prefix.display()));
    let model = TrainedModel::open(&file, &ArchitectureOptions::default()).unwrap();
    let error = largest_error(&model, &prefix, "cpu").unwrap();
    eprintln!("largest error {error:e}");
    let config = ModelConfig::default();
    let mut network = model_on(&model, &config, &device("cpu").unwrap(), Precision::Exact).unwrap();
    let (image, seed) = (vec![0.5; config.fov_voxels()], vec![-1.0; config.fov_voxels()]);
    let mut logits = seed.clone();
    let started = std::time::Instant::now();
    (0..20).for_each(|_| network.step(&image, &seed, &mut logits).unwrap());
    eprintln!("{:.1} ms a step", started.elapsed().as_secs_f64() * 50.0);
    assert!(error <= 1e-3);
}

fn resconv(model: &TrainedModel) -> &exavox_compute::ffn::ResConvStackWeights {
    match model.layers() {
        Layers::ResConvStack(weights) => weights,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_are_found_in_a_training_state() {
    let file = golden("valid.msgpack");
    let open = |parameters: Option<&str>| {
        let parameters = parameters.map(str::to_owned);
        TrainedModel::open(&file, &ArchitectureOptions { parameters, ..Default::default() })
    };
    let model = open(None).unwrap();
    let place = "params (there are also ema_params, opt_state/0/mu, opt_state/0/nu)";
    assert_eq!(model.found_in(), Some(place));
    let averaged = open(Some("ema_params")).unwrap();
    let first = |model| resconv(model).first[0].weights[0];
    assert!((first(&averaged) - first(&model) - 1.0).abs() < 1e-5);
    let error = open(Some("best")).unwrap_err().to_string();
    assert!(error.contains("expected one of [params, ema_params") && error.contains("'best'"));
    let nested = TrainedModel::open(&golden("widths.msgpack"), &Default::default()).unwrap();
    assert_eq!(nested.found_in(), Some("optimizer/target/params"));
}

#[test]
fn a_prefix_of_a_checkpoint_of_clu_means_its_flax_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("plain.msgpack"), folder.path().join("ckpt-7.flax")).unwrap();
    fs::write(folder.path().join("ckpt-7.index"), b"of the input pipeline").unwrap();
    let prefix = folder.path().join("ckpt-7");
    assert!(TrainedModel::open(&prefix, &Default::default()).is_ok());
    assert_eq!(TrainedModel::files(&prefix), [folder.path().join("ckpt-7.flax")]);
}

#[test]
fn bfloat16_is_read_as_what_it_is() {
    let open = |name: &str| TrainedModel::open(&golden(name), &Default::default()).unwrap();
    let (exact, short) = (open("bare.msgpack"), open("bare.bfloat16.msgpack"));
    let all = |model| resconv(model).modules[1][0].weights.clone();
    for (exact, short) in all(&exact).iter().zip(all(&short)) {
        assert!((exact - short).abs() <= exact.abs() / 256.0, "{exact} {short}");
        assert_eq!(short.to_bits() & 0xffff, 0);
    }
}

fn complaint(name: &str, options: &ArchitectureOptions) -> String {
    let message = TrainedModel::open(&golden(name), options).unwrap_err().to_string();
    assert!(message.contains(name) && !message.contains('\n'), "{message}");
    message
}

#[test]
fn another_architecture_names_the_first_tensor_that_differs() {
    let with = |change: fn(&mut ArchitectureOptions)| {
        let mut options = ArchitectureOptions::default();
        change(&mut options);
        complaint("widths.msgpack", &options)
    };
    let message = with(|o| o.family = Some(Family::ConvStack));
    assert!(message.contains("expected a ConvStack, found a ResConvStack: tensor seed_update/conv0_a/weights is missing, there is pre_a/kernel"), "{message}");
    let message = with(|o| o.depth = Some(3));
    assert!(
        message.contains("expected a network of depth 3, found 2: tensor res2a/kernel is missing"),
        "{message}"
    );
    let message = with(|o| o.depth = Some(1));
    assert!(message.contains("tensor res1a/kernel is one too many"), "{message}");
    let message = with(|o| o.features = Some(vec![3, 5, 6, 5, 4, 5]));
    assert!(message.contains("tensor res1a/kernel: expected 4 features, found 2"), "{message}");
    let message = with(|o| o.features = Some(vec![3, 5]));
    assert!(message.contains("expected 6 numbers or one, found 2"), "{message}");
    let message = with(|o| o.image_channels = Some(1));
    assert!(
        message.contains("tensor pre_a/kernel: channels of the image: expected 1, found 2"),
        "{message}"
    );
    let message = with(|o| o.layer_norm = Some(false));
    assert!(message.contains("tensor LayerNorm_0/scale"), "{message}");
}

#[test]
fn a_described_file_is_not_overruled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let valid = options(Padding::Valid, SeedUpdate::Direct);
    TrainedModel::open(&golden("valid.msgpack"), &valid).unwrap().save(&path).unwrap();
    let same = options(Padding::Same, SeedUpdate::Direct);
    let message = TrainedModel::open(&path, &same).unwrap_err().to_string();
    assert!(message.contains("padding: expected same, found valid"), "{message}");
    // A file whose metadata were changed contradicts itself.
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b" depth=1").unwrap();
    bytes[at + 7] = b'7';
    fs::write(&path, bytes).unwrap();
    let message = TrainedModel::open(&path, &Default::default()).unwrap_err().to_string();
    assert!(message.contains("depth: its metadata says 7, its tensors are of 1"), "{message}");
}

#[test]
fn a_fov_that_padding_uses_up_is_refused() {
    let file = golden("valid.msgpack");
    let model = TrainedModel::open(&file, &options(Padding::Valid, SeedUpdate::Direct)).unwrap();
    let device = device("cpu").unwrap();
    let refused = |fov_zyx, deltas_zyx| {
        let config = ModelConfig { fov_zyx, deltas_zyx };
        model_on(&model, &config, &device, Precision::Exact).err().unwrap().to_string()
    };
    let message = refused([11, 7, 11], [0; 3]);
    assert!(message.contains("along y") && message.contains("at least 9, found 7"), "{message}");
    let message = refused([13; 3], [2, 2, 3]);
    assert!(
        message.contains("delta along x") && message.contains("at most 2, found 3"),
        "{message}"
    );
}

fn open_bytes(bytes: &[u8]) -> Result<TrainedModel, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.msgpack");
    fs::write(&path, bytes).unwrap();
    let opened = TrainedModel::open(&path, &Default::default());
    opened.map_err(|e| {
        let message = e.to_string();
        assert!(message.contains("a.msgpack") && !message.contains('\n'), "{message}");
        message
    })
}

#[test]
fn bombs_are_refused_before_they_take_memory() {
    // 2^32 - 1 entries, or bytes, that are not there.
    for marker in [0xdf_u8, 0xdd, 0xdb, 0xc6] {
        let message = open_bytes(&[marker, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
        assert!(message.contains("do not fit") || message.contains("truncated"), "{message}");
    }
    // Maps, lists, and arrays inside the shapes of arrays.
    let nested: [(Vec<u8>, &str); 3] = [
        (b"\x81\xa1a".repeat(100_000), "maps inside each other"),
        (b"\x91".repeat(100_000), "maps inside each other"),
        (shapes_in_shapes(1000), "arrays inside each other"),
    ];
    for (bytes, why) in nested {
        let message = open_bytes(&bytes).unwrap_err();
        assert!(message.contains(why), "{message}");
    }
    // Many entries of a byte each, which would take a hundred times the file's size.
    let mut many = vec![0xdd, 0x00, 0x20, 0x00, 0x00];
    many.extend([0xc0; 1 << 21]);
    assert!(open_bytes(&many).unwrap_err().contains("more than 1048576 entries"));
}

/// An array whose shape is an array, and so on.
fn shapes_in_shapes(depth: usize) -> Vec<u8> {
    let mut bytes = vec![0xc0];
    for _ in 0..depth {
        let mut outer = vec![0xc9];
        outer.extend((bytes.len() as u32 + 1).to_be_bytes());
        outer.extend([1, 0x93]);
        outer.extend(&bytes);
        bytes = outer;
    }
    bytes
}

#[test]
fn damaged_files_say_what_is_wrong() {
    let whole = fs::read(golden("plain.msgpack")).unwrap();
    assert!(open_bytes(&whole).is_ok());
    assert!(open_bytes(&whole[..whole.len() / 2]).unwrap_err().contains("truncated"));
    assert!(open_bytes(&[&whole[..], b"x"].concat()).unwrap_err().contains("end of the file"));
    assert!(open_bytes(b"\x81\xa1a\xc1").unwrap_err().contains("not msgpack"));
    let message = open_bytes(b"\x81\xa4step\x05").unwrap_err();
    assert!(
        message.contains("expected the tensor pre_a/kernel of a ResConvStack, found []"),
        "{message}"
    );

    let changed = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|w| w == from).unwrap();
        open_bytes(&[&whole[..at], to, &whole[at + from.len()..]].concat()).unwrap_err()
    };
    let message = changed(b"res1b", b"res1c");
    assert!(message.contains("tensor res1b/kernel is missing"), "{message}");
    let message = changed(b"float32", b"complex");
    assert!(message.contains("expected type float32") && message.contains("complex"), "{message}");
    // The kernel of a layer gets another shape, of as many numbers: 3, 3, 3, 4, 4 as 3, 3, 3, 2, 8.
    let message = changed(b"\x95\x03\x03\x03\x04\x04", b"\x95\x03\x03\x03\x02\x08");
    assert!(
        message.contains("expected shape [3, 3, 3, 4, 4], found shape [3, 3, 3, 2, 8]")
            || message.contains("expected shape [3, 3, 3, 4, 4], found [3, 3, 3, 2, 8]"),
        "{message}"
    );
    let message = changed(b"\x95\x03\x03\x03\x04\x04", b"\x95\x03\x03\x03\x04\x05");
    assert!(message.contains("does not take 1728 bytes"), "{message}");
}

#[test]
fn a_value_that_is_not_finite_is_named() {
    let mut bytes = fs::read(golden("plain.msgpack")).unwrap();
    let after = |text: &[u8], from: usize| {
        from + bytes[from..].windows(text.len()).position(|w| w == text).unwrap() + text.len()
    };
    // The type, then marker and length of the numbers.
    let numbers = after(b"float32", after(b"kernel", after(b"res0a", 0))) + 3;
    bytes[numbers + 8..numbers + 12].copy_from_slice(&f32::NAN.to_le_bytes());
    let message = open_bytes(&bytes).unwrap_err();
    assert!(message.contains("tensor res0a/kernel: value 2 is NaN: not finite"), "{message}");
    let model = open_bytes(&fs::read(golden("plain.msgpack")).unwrap()).unwrap();
    let mut weights = resconv(&model).clone();
    weights.norms[1].bias[2] = f32::INFINITY;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    TrainedModel::from(weights).save(&path).unwrap();
    let message = TrainedModel::open(&path, &Default::default()).unwrap_err().to_string();
    assert!(message.contains("tensor LayerNorm_1/bias: value 2 is inf"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Whatever is wrong with a file, it is an error or a network, never a panic.
    #[test]
    fn a_damaged_file_never_panics(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = fs::read(golden("bare.bfloat16.msgpack")).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = value;
        }
        let _ = open_bytes(&bytes);
    }
}
