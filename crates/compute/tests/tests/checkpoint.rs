//! Checkpoints, whole and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_compute::ffn::{Layer, Weights};
use proptest::prelude::*;

use crate::golden::{checkpoint, data};
use crate::network::weights;

/// Tensors as TensorFlow names and shapes them.
type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn tensors(weights: &Weights) -> Tensors {
    let mut all = Tensors::new();
    let mut add = |name: String, layer: &Layer| {
        all.push((format!("{name}/biases"), vec![layer.biases.len()], layer.biases.clone()));
        all.push((format!("{name}/weights"), layer.shape.to_vec(), layer.weights.clone()));
    };
    for (i, (a, b)) in std::iter::once(&weights.first).chain(&weights.modules).enumerate() {
        add(format!("seed_update/conv{i}_a"), a);
        add(format!("seed_update/conv{i}_b"), b);
    }
    add("seed_update/conv_lom".into(), &weights.update);
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A block of a table with its trailer; returns its handle.
fn put_block(file: &mut Vec<u8>, entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let (offset, mut block) = (file.len() as u64, Vec::new());
    for (key, value) in entries {
        varint(0, &mut block);
        varint(key.len() as u64, &mut block);
        varint(value.len() as u64, &mut block);
        block.extend_from_slice(key);
        block.extend_from_slice(value);
    }
    block.extend(0u32.to_le_bytes());
    block.extend(1u32.to_le_bytes());
    let size = block.len() as u64;
    block.push(0);
    let checksum = masked(&block);
    file.extend(block);
    file.extend(checksum.to_le_bytes());
    let mut handle = Vec::new();
    varint(offset, &mut handle);
    varint(size, &mut handle);
    handle
}

fn entry(shape: &[usize], offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut dims = Vec::new();
    for size in shape {
        let mut dim = vec![0x08];
        varint(*size as u64, &mut dim);
        dims.push(0x12);
        varint(dim.len() as u64, &mut dims);
        dims.extend(dim);
    }
    let mut out = vec![0x08, 1, 0x12];
    varint(dims.len() as u64, &mut out);
    out.extend(dims);
    out.push(0x20);
    varint(offset, &mut out);
    out.push(0x28);
    varint(bytes.len() as u64, &mut out);
    out.push(0x35);
    out.extend(masked(bytes).to_le_bytes());
    out
}

/// Writes a tensor bundle of one shard as TensorFlow does, without compression.
fn write_bundle(prefix: &Path, tensors: &Tensors) {
    let (mut data, mut entries) = (Vec::new(), vec![(Vec::new(), vec![0x08, 1])]);
    for (name, shape, values) in tensors {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        entries.push((name.clone().into_bytes(), entry(shape, data.len() as u64, &bytes)));
        data.extend(bytes);
    }
    let mut index = Vec::new();
    let block = put_block(&mut index, &entries);
    let metaindex = put_block(&mut index, &[]);
    let table = put_block(&mut index, &[(b"z".to_vec(), block)]);
    let mut footer = [metaindex, table].concat();
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    index.extend(footer);
    fs::write(with(prefix, ".index"), index).unwrap();
    fs::write(with(prefix, ".data-00000-of-00001"), data).unwrap();
}

fn with(prefix: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", prefix.display()).into()
}

/// What `Weights::open` says of a bundle of these tensors; one line, with the file's name.
fn complaint(tensors: &Tensors, depth: Option<usize>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("model.ckpt-1");
    write_bundle(&prefix, tensors);
    let message = Weights::open(&prefix, depth).unwrap_err().to_string();
    assert!(message.contains("model.ckpt-1") && !message.contains('\n'), "{message}");
    message
}

#[test]
fn a_bundle_is_read_by_prefix_and_by_index() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("model.ckpt-1");
    let expected = weights(3, 4, 7);
    write_bundle(&prefix, &tensors(&expected));
    assert_eq!(Weights::open(&prefix, Some(3)).unwrap(), expected);
    assert_eq!(Weights::open(&with(&prefix, ".index"), None).unwrap(), expected);
}

#[test]
fn safetensors_come_back_as_they_were_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("w.safetensors");
    let expected = weights(2, 5, 8);
    expected.save(&path).unwrap();
    assert_eq!(Weights::open(&path, None).unwrap(), expected);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let message = Weights::open(&path, None).unwrap_err().to_string();
    assert!(message.contains("w.safetensors") && message.contains("not a whole"), "{message}");
}

#[test]
fn a_missing_tensor_is_named() {
    for name in ["seed_update/conv1_b/weights", "seed_update/conv_lom/biases"] {
        let mut all = tensors(&weights(3, 4, 7));
        all.retain(|(n, ..)| n != name);
        let message = complaint(&all, None);
        assert!(message.contains(&format!("tensor {name} is missing")), "{message}");
    }
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let mut all = tensors(&weights(2, 4, 7));
    let at = all.iter().position(|(n, ..)| n == "seed_update/conv1_a/weights").unwrap();
    all[at].1 = vec![3, 3, 3, 2, 8];
    let message = complaint(&all, None);
    assert!(message.contains("conv1_a/weights"), "{message}");
    assert!(
        message.contains("[3, 3, 3, 4, 4]") && message.contains("[3, 3, 3, 2, 8]"),
        "{message}"
    );
}

#[test]
fn another_depth_and_values_that_are_not_finite_are_refused() {
    let mut all = tensors(&weights(2, 4, 7));
    let message = complaint(&all, Some(12));
    assert!(message.contains("expected a network of depth 12, found 2"), "{message}");
    all[0].2[1] = f32::NAN;
    assert!(complaint(&all, None).contains("not finite"));
}

#[test]
fn truncated_and_changed_data_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("model.ckpt-1");
    write_bundle(&prefix, &tensors(&weights(2, 4, 7)));
    let data = with(&prefix, ".data-00000-of-00001");
    let bytes = fs::read(&data).unwrap();
    fs::write(&data, &bytes[..bytes.len() / 2]).unwrap();
    let message = Weights::open(&prefix, None).unwrap_err().to_string();
    assert!(message.contains("is truncated: expected"), "{message}");
    let mut changed = bytes;
    changed[100] ^= 1;
    fs::write(&data, changed).unwrap();
    let message = Weights::open(&prefix, None).unwrap_err().to_string();
    assert!(message.contains("checksum"), "{message}");
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let message = Weights::open(&directory.path().join("nothing"), None).unwrap_err().to_string();
    assert!(message.contains("found neither"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Whatever is wrong with an index, it is an error or the right weights, never a panic.
    #[test]
    fn a_damaged_index_never_panics(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("model.ckpt-1");
        let expected = weights(1, 2, 7);
        write_bundle(&prefix, &tensors(&expected));
        let index = with(&prefix, ".index");
        let mut bytes = fs::read(&index).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = value;
        }
        fs::write(&index, bytes).unwrap();
        if let Ok(found) = Weights::open(&prefix, None) {
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn the_published_checkpoint_with_a_byte_changed_is_refused() {
    let Some(data) = data() else { return };
    let directory = tempfile::tempdir().unwrap();
    for suffix in [".index", ".data-00000-of-00001"] {
        let name = format!("model.ckpt-27465036{suffix}");
        fs::copy(with(&checkpoint(&data), suffix), directory.path().join(name)).unwrap();
    }
    let prefix = directory.path().join("model.ckpt-27465036");
    assert!(Weights::open(&prefix, Some(12)).is_ok());
    let path = with(&prefix, ".data-00000-of-00001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000_000] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    assert!(Weights::open(&prefix, Some(12)).is_err());
}
