//! Pyramids in TIFF: SubIFDs and reduced pages are scales, and damage of their chains is an error.

use std::path::Path;

use exavox_io::{BoundingBox, DataType, Error, OpenOptions, Volume, VoxelSize};

use crate::peers;
use crate::tiff::{noise, part};
use crate::tiff_builder::{Builder, LONG, LONG8, Layout};

const SUB_IFDS: u16 = 330;
const NEW_SUBFILE_TYPE: u16 = 254;

fn open(path: &Path, scale: usize) -> Result<Volume, Error> {
    let options = OpenOptions::default().with_scale(scale);
    Volume::open_with(path.to_str().unwrap(), &options)
}

/// Compares each scale of a file with NAME.SCALE.npy; the number of scales.
fn check_scales(path: &Path) -> usize {
    let volume = open(path, 0).unwrap();
    let scales = volume.metadata().scales.clone();
    for (number, scale) in scales.iter().enumerate() {
        let found = open(path, number).unwrap();
        let expected = open(&path.with_extension(format!("{number}.npy")), 0).unwrap();
        assert_eq!(found.shape(), expected.shape(), "{}", path.display());
        assert_eq!((found.shape(), found.metadata().voxel_size), (scale.shape, scale.voxel_size));
        assert_eq!(found.metadata().scales, scales);
        let [z, y, x] = found.shape();
        for region in [
            BoundingBox::whole([z, y, x]),
            BoundingBox::new([z / 2, y / 3, x / 2], [z / 2 + 1, y, x / 2 + 1]),
        ] {
            for channel in 0..expected.metadata().channels.len() {
                let values = found.read(channel, &region).unwrap();
                let equal = values == expected.read(channel, &region).unwrap();
                assert!(equal, "scale {number}, channel {channel} of {}", path.display());
            }
        }
    }
    let error = open(path, scales.len()).unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    scales.len()
}

#[test]
fn pyramids_of_tifffile_are_read() {
    let Some(python) = peers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    peers::run(&python, "pyramid_peers.py", &["write", folder.path().to_str().unwrap()]);
    let mut files = 0;
    for entry in folder.path().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "tif") {
            let expected = match path.file_stem().unwrap().to_str().unwrap() {
                "thumbnail" => 1,
                "overview" => 4,
                _ => 3,
            };
            assert_eq!(check_scales(&path), expected, "{}", path.display());
            files += 1;
        }
    }
    assert_eq!(files, 20);
    let name = folder.path().join("ome_u2_zlib.tif");
    let wanted = VoxelSize::from_nm_zyx([30.0, 8.5, 8.5]).unwrap();
    let options = OpenOptions::default().with_scale_of(wanted);
    let volume = Volume::open_with(name.to_str().unwrap(), &options).unwrap();
    assert_eq!(volume.shape(), [3, 38, 45]);
    let size = volume.metadata().voxel_size.unwrap().nm_zyx;
    assert_eq!(size, [30.0, 4.0 * 75.0 / 38.0, 8.0]);
}

#[test]
fn patterns_of_pyramids_have_scales() {
    let folder = tempfile::tempdir().unwrap();
    for z in 0..3 {
        let file = sub_files(&Layout::default(), 1, |_| ());
        std::fs::write(folder.path().join(format!("a{z}.tif")), file).unwrap();
    }
    let pattern = folder.path().join("a{z}.tif");
    let volume = open(&pattern, 0).unwrap();
    let shapes: Vec<_> = volume.metadata().scales.iter().map(|s| s.shape).collect();
    assert_eq!(shapes, [[3, 20, 30], [3, 10, 15]]);
    let coarse = open(&pattern, 1).unwrap();
    let region = BoundingBox::new([1, 2, 3], [3, 9, 15]);
    let values = coarse.read(0, &region).unwrap();
    let plane =
        part(&noise(DataType::U16, [1, 10, 15], 9), &BoundingBox::new([0, 2, 3], [1, 9, 15]));
    assert_eq!(values.bytes(), [plane.clone(), plane].concat());
}

/// A stack of `pages`, each with one SubIFD of half its size. `change` may change the list of the last
/// page's SubIFDs.
fn sub_files(layout: &Layout, pages: usize, change: impl Fn(&mut Vec<u64>)) -> Vec<u8> {
    let full = noise(DataType::U16, [pages as u64, 20, 30], 3);
    let small = noise(DataType::U16, [pages as u64, 10, 15], 9);
    let kind = if layout.big_tiff { LONG8 } else { LONG };
    let mut builder = Builder::new(layout);
    for z in 0..pages {
        let mut tags = builder.tags(std::slice::from_ref(&small), z);
        tags.insert(0, (NEW_SUBFILE_TYPE, LONG, vec![1]));
        let mut subs = vec![builder.unlinked(&tags)];
        if z + 1 == pages {
            change(&mut subs);
        }
        let mut tags = builder.tags(std::slice::from_ref(&full), z);
        tags.push((SUB_IFDS, kind, subs));
        tags.sort();
        builder.directory(&tags);
    }
    builder.finish()
}

fn damage(bytes: &[u8], scale: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    std::fs::write(&path, bytes).unwrap();
    let error = open(&path, scale).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("v.tif") && !text.contains('\n'), "{text}");
    text
}

#[test]
fn loops_of_sub_directories_are_errors() {
    for big_tiff in [false, true] {
        let layout = Layout { big_tiff, ..Layout::default() };
        let twice = sub_files(&layout, 1, |subs| subs.push(subs[0]));
        assert!(damage(&twice, 0).contains("SubIFDs loop: SubIFD 1 of page 0"));
        let first = std::cell::Cell::new(0);
        sub_files(&layout, 1, |subs| first.set(subs[0]));
        let shared = sub_files(&layout, 2, |subs| subs[0] = first.get());
        assert!(damage(&shared, 1).contains("SubIFDs loop: SubIFD 0 of page 1"));
        let outside = sub_files(&layout, 1, |subs| subs[0] = 1 << 30);
        assert!(damage(&outside, 0).contains("truncated: SubIFD 0 of page 0"));
    }
}

#[test]
fn chain_of_sub_directories_that_loops_is_an_error() {
    let layout = Layout::default();
    let small = noise(DataType::U16, [1, 10, 15], 9);
    let full = noise(DataType::U16, [1, 20, 30], 3);
    let mut builder = Builder::new(&layout);
    let tags = builder.tags(std::slice::from_ref(&small), 0);
    let first = builder.unlinked(&tags);
    builder.link_last(first);
    let mut tags = builder.tags(std::slice::from_ref(&full), 0);
    tags.push((SUB_IFDS, LONG, vec![first]));
    tags.sort();
    builder.directory(&tags);
    let text = damage(&builder.finish(), 0);
    assert!(text.contains("SubIFDs loop: SubIFD 1 of page 0"), "{text}");
}

#[test]
fn absurd_counts_of_sub_directories_are_errors() {
    let layout = Layout::default();
    let many = sub_files(&layout, 1, |subs| *subs = vec![8; 64]);
    assert!(damage(&many, 0).contains("page 0 has 64 SubIFDs, at most 63"));
    let mut claimed = sub_files(&layout, 1, |subs| subs.push(9));
    let at = claimed.windows(4).rposition(|w| w == [0x4A, 0x01, 0x04, 0x00]).unwrap();
    claimed[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(damage(&claimed, 0).contains("page 0 has 4294967295 SubIFDs"));
}

#[test]
fn page_without_the_scale_is_named_when_the_scale_is_opened() {
    let layout = Layout::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    // The second page's list ends before the scale: a pointer to nothing is no directory.
    let bytes = sub_files(&layout, 2, |subs| subs[0] = 0);
    std::fs::write(&path, &bytes).unwrap();
    let volume = open(&path, 0).unwrap();
    let whole = BoundingBox::whole([2, 20, 30]);
    let expected = noise(DataType::U16, [2, 20, 30], 3);
    assert_eq!(volume.read(0, &whole).unwrap().bytes(), part(&expected, &whole));
    let error = open(&path, 1).unwrap_err();
    assert!(
        matches!(error, Error::Format { .. }) && error.to_string().contains("page 1"),
        "{error}"
    );
}

#[test]
fn any_byte_of_a_pyramid_changed_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tif");
    for big_tiff in [false, true] {
        let layout = Layout { big_tiff, tiled: true, ..Layout::default() };
        let bytes = sub_files(&layout, 1, |_| ());
        // The header and the two directories; what lies between are values.
        let places = (0..16).chain(520..800).chain(bytes.len() - 330..bytes.len());
        let changes = places.flat_map(|p| [0xFF, 0x01].map(|c| (p, c)));
        for (place, change) in changes {
            let mut bytes = bytes.clone();
            bytes[place] ^= change;
            std::fs::write(&path, &bytes).unwrap();
            for volume in (0..2).filter_map(|scale| open(&path, scale).ok()) {
                let [z, y, x] = volume.shape();
                let _ = volume.read(0, &BoundingBox::whole([z.min(2), y.min(50), x.min(50)]));
            }
        }
    }
}
