//! Damaged and hostile TIFF files: each fault gives a clean error that names page and numbers.

use std::path::PathBuf;

use exavox_io::volume::Codec;
use exavox_io::{
    BoundingBox, DataType, Error, Limits, OpenOptions, Volume, VolumeWriter, Voxels, WriteOptions,
};

use crate::outputs::Disk;
use crate::tiff::noise;
use crate::tiff_builder::{Builder, LONG, LONG8, Layout, Tags};

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("v.tif")
    }

    fn open(&self, bytes: &[u8]) -> Result<Volume, Error> {
        std::fs::write(self.path(), bytes).unwrap();
        Volume::open(self.path().to_str().unwrap())
    }

    /// The message of a format error on opening; every such message names the file.
    fn damage(&self, bytes: &[u8]) -> String {
        let error = self.open(bytes).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("v.tif") && !text.contains('\n'), "{text}");
        text
    }
}

fn whole_file(pages: u64) -> Vec<u8> {
    let voxels = noise(DataType::U16, [pages, 20, 30], 3);
    let mut builder = Builder::new(&Layout::default());
    (0..pages as usize).for_each(|z| builder.page(std::slice::from_ref(&voxels), z));
    builder.finish()
}

/// A file of one page with changed tags.
fn with_tags(layout: &Layout, change: impl Fn(&mut Tags)) -> Vec<u8> {
    let voxels = noise(DataType::U16, [1, 20, 30], 3);
    let mut builder = Builder::new(layout);
    let mut tags = builder.tags(std::slice::from_ref(&voxels), 0);
    change(&mut tags);
    builder.directory(&tags);
    builder.finish()
}

fn set(tags: &mut Tags, tag: u16, values: &[u64]) {
    let entry = tags.iter_mut().find(|(t, ..)| *t == tag).unwrap();
    entry.2 = values.to_vec();
}

#[test]
fn file_cut_anywhere_is_an_error_or_whole() {
    let scratch = Scratch::new();
    let bytes = whole_file(3);
    for length in 0..bytes.len() {
        let error = scratch.open(&bytes[..length]).unwrap_err();
        let known = matches!(error, Error::Format { .. } | Error::Unsupported { .. });
        assert!(known && !error.to_string().contains('\n'), "{length}: {error:?}");
    }
    scratch.open(&bytes).unwrap();
}

#[test]
fn strip_beyond_the_end_is_named_with_page_and_bytes() {
    let scratch = Scratch::new();
    let bytes = with_tags(&Layout::default(), |tags| set(tags, 273, &[8, 488, 5000]));
    let text = scratch.damage(&bytes);
    let expected = format!("truncated: strip 2 ends at byte 5240, file has {}", bytes.len());
    assert!(text.contains(&expected) && text.contains("page 0"), "{text}");
}

#[test]
fn any_byte_changed_is_no_panic() {
    let scratch = Scratch::new();
    for layout in [Layout::default(), Layout { tiled: true, big_tiff: true, ..Layout::default() }] {
        let bytes = with_tags(&layout, |_| ());
        // The header and the directory; what lies between are values.
        let places = (0..16).chain(1200..bytes.len());
        for (place, change) in places.flat_map(|p| [0xFF, 0x01, 0x80].map(|c| (p, c))) {
            let mut bytes = bytes.clone();
            bytes[place] ^= change;
            if let Ok(volume) = scratch.open(&bytes) {
                let [z, y, x] = volume.shape();
                let part = BoundingBox::whole([z.min(2), y.min(50), x.min(50)]);
                let _ = volume.read(0, &part);
            }
        }
    }
}

#[test]
fn claim_of_a_billion_by_a_billion_takes_no_memory() {
    let scratch = Scratch::new();
    let layout = Layout { big_tiff: true, ..Layout::default() };
    let huge = |tags: &mut Tags| {
        set(tags, 256, &[1_000_000_000]);
        set(tags, 257, &[1_000_000_000]);
    };
    let text = scratch.damage(&with_tags(&layout, huge));
    assert!(text.contains("lists 3 strips, expected 125000000"), "{text}");
    let text = scratch.damage(&with_tags(&layout, |tags| {
        huge(tags);
        set(tags, 278, &[1_000_000_000]);
        set(tags, 273, &[16]);
        set(tags, 279, &[1200]);
    }));
    assert!(text.contains("expected 2000000000000000000"), "{text}");
    let compressed = with_tags(&layout, |tags| {
        huge(tags);
        set(tags, 259, &[5]);
        set(tags, 278, &[1_000_000_000]);
        set(tags, 273, &[16]);
        set(tags, 279, &[1200]);
    });
    let volume = scratch.open(&compressed).unwrap();
    let error = volume.read(0, &BoundingBox::new([0; 3], [1, 1, 1])).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error:?}");
}

#[test]
fn tags_with_absurd_counts_take_no_memory() {
    let scratch = Scratch::new();
    let mut bytes = whole_file(1);
    let at = bytes.windows(4).rposition(|w| w == [0x11, 0x01, 0x04, 0x00]).unwrap();
    bytes[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(scratch.damage(&bytes).contains("lists 4294967295 strips, expected 3"));
    let samples = with_tags(&Layout::default(), |tags| set(tags, 277, &[60000]));
    assert!(scratch.damage(&samples).contains("page 0"));
}

#[test]
fn many_pages_cannot_share_one_large_table() {
    let scratch = Scratch::new();
    let voxels = noise(DataType::U8, [1, 4000, 1], 3);
    let mut builder = Builder::new(&Layout { chunk: [1, 1], gap: 1, ..Layout::default() });
    let tags = builder.tags(std::slice::from_ref(&voxels), 0);
    builder.directory(&tags);
    let mut bytes = builder.finish();
    // 2000 more directories with the same entries, so the same tables.
    let directory = bytes[bytes.len() - (2 + 11 * 12 + 4)..].to_vec();
    for _ in 0..2000 {
        let end = bytes.len();
        let next = (end as u32).to_le_bytes();
        bytes[end - 4..].copy_from_slice(&next);
        bytes.extend(&directory);
    }
    let text = scratch.damage(&bytes);
    assert!(text.contains("truncated: tag 27"), "{text}");
}

#[test]
fn loop_of_directories_ends() {
    let scratch = Scratch::new();
    let voxels = noise(DataType::U16, [2, 20, 30], 3);
    for big_tiff in [false, true] {
        let mut builder = Builder::new(&Layout { big_tiff, ..Layout::default() });
        (0..2).for_each(|z| builder.page(std::slice::from_ref(&voxels), z));
        let first = builder.first();
        builder.link(first);
        let text = scratch.damage(&builder.finish());
        assert!(text.contains("loops: page 2"), "{text}");
    }
}

#[test]
fn tags_that_contradict_are_named() {
    let scratch = Scratch::new();
    let layout = Layout::default();
    let text =
        |tag, values: &[u64]| scratch.damage(&with_tags(&layout, |tags| set(tags, tag, values)));
    assert!(text(273, &[8, 488]).contains("lists 2 strips, expected 3"));
    assert!(text(279, &[480, 480, 10]).contains("strip 2 has 10 bytes, expected 240"));
    assert!(text(256, &[0]).contains("sizes must be"));
    assert!(text(278, &[0]).contains("sizes must be"));
    let missing = with_tags(&layout, |tags| tags.retain(|(t, ..)| *t != 273));
    assert!(scratch.damage(&missing).contains("StripOffsets is missing"));
    let floats = with_tags(&layout, |tags| tags[0].1 = 11);
    assert!(scratch.damage(&floats).contains("expected an integer"));
    let wide = with_tags(&layout, |tags| {
        tags.iter_mut().filter(|(t, ..)| *t == 256).for_each(|t| *t = (256, LONG8, vec![1 << 40]));
    });
    assert!(scratch.damage(&wide).contains("page 0"));
    let reversed = with_tags(&layout, |tags| tags.insert(5, (266, LONG, vec![2])));
    let error = scratch.open(&reversed).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}

#[test]
fn damaged_compressed_strip_is_named() {
    let scratch = Scratch::new();
    let mut options = WriteOptions::new(DataType::U16, [2, 50, 60]);
    options.codec = Codec::Gzip(6);
    let writer = VolumeWriter::create(scratch.path().to_str().unwrap(), &options).unwrap();
    writer.write(0, [0; 3], &noise(DataType::U16, [2, 50, 60], 1)).unwrap();
    writer.finish().unwrap();
    let mut bytes = std::fs::read(scratch.path()).unwrap();
    let second = bytes.windows(2).rposition(|w| w == [0x78, 0x9C]).unwrap();
    bytes[second..second + 50].fill(0xEE);
    let volume = scratch.open(&bytes).unwrap();
    let plane = |z: u64| BoundingBox::new([z, 0, 0], [z + 1, 50, 60]);
    volume.read(0, &plane(0)).unwrap();
    let error = volume.read(0, &plane(1)).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("page 1") && text.contains("strip 0 cannot be decoded"), "{text}");
}

#[test]
fn file_cut_after_opening_is_an_error() {
    let scratch = Scratch::new();
    let volume = scratch.open(&whole_file(2)).unwrap();
    std::fs::OpenOptions::new().write(true).open(scratch.path()).unwrap().set_len(100).unwrap();
    let error = volume.read(0, &BoundingBox::whole([2, 20, 30])).unwrap_err();
    assert!(error.to_string().contains("truncated") && error.to_string().contains("page 0"));
}

#[test]
fn limits_on_a_chunk_hold() {
    let scratch = Scratch::new();
    let mut options = WriteOptions::new(DataType::U16, [1, 50, 60]);
    options.codec = Codec::Gzip(6);
    let writer = VolumeWriter::create(scratch.path().to_str().unwrap(), &options).unwrap();
    writer.write(0, [0; 3], &Voxels::zeros(DataType::U16, [1, 50, 60]).unwrap()).unwrap();
    writer.finish().unwrap();
    let mut limits = Limits::default();
    limits.max_chunk_bytes = 5999;
    let options = OpenOptions::default().with_limits(limits.clone());
    let open = |o: &OpenOptions| Volume::open_with(scratch.path().to_str().unwrap(), o).unwrap();
    let part = BoundingBox::new([0; 3], [1, 1, 1]);
    let error = open(&options).read(0, &part).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { needed: 6000, limit: 5999, .. }), "{error:?}");
    limits.max_chunk_bytes = 6000;
    open(&OpenOptions::default().with_limits(limits)).read(0, &part).unwrap();
}

#[test]
fn wrong_descriptions_are_errors() {
    let scratch = Scratch::new();
    let text = |description: &str| {
        let values = description.bytes().map(u64::from).collect::<Vec<_>>();
        let mut bytes = with_tags(&Layout::default(), |_| ());
        let at = bytes.len() as u32;
        bytes.extend(values.iter().map(|v| *v as u8));
        let directory = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        // NewSubfileType is not there: the description takes the place of PhotometricInterpretation.
        let entry = (0..11).map(|i| directory + 2 + 12 * i);
        let entry = entry.into_iter().find(|e| bytes[*e..*e + 2] == [0x06, 0x01]).unwrap();
        bytes[entry..entry + 4].copy_from_slice(&[0x0E, 0x01, 2, 0]);
        bytes[entry + 4..entry + 8].copy_from_slice(&(values.len() as u32).to_le_bytes());
        bytes[entry + 8..entry + 12].copy_from_slice(&at.to_le_bytes());
        scratch.damage(&bytes)
    };
    let ome = |pixels: &str| format!("<OME><Image><Pixels {pixels}/></Image></OME>");
    assert!(text("<OME><Image></Pixels></OME>").contains("OME-XML: "));
    assert!(text(&ome("SizeX='30'")).contains("DimensionOrder"));
    let sizes = "DimensionOrder='XYZCT' SizeX='30' SizeY='20' SizeC='2' SizeZ='3' SizeT='1'";
    assert!(text(&ome(sizes)).contains("the file has 1 pages"));
    let shape = "DimensionOrder='XYZCT' SizeX='31' SizeY='20' SizeC='1' SizeZ='1' SizeT='1'";
    assert!(text(&ome(shape)).contains("[31, 20] (x, y), the pages have [30, 20]"));
    assert!(text("ImageJ=1.0\nimages=7\nslices=7\n").contains("the file has 1 pages"));
}

#[test]
fn output_below_a_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let path = folder.path().join("file/v.tif");
    let options = WriteOptions::new(DataType::U8, [1, 2, 2]);
    let error = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn full_disk_is_an_error_that_leaves_nothing() {
    let Some(disk) = Disk::mount("64k") else { return };
    let voxels = noise(DataType::U8, [1, 300, 300], 1);
    for name in ["v.tif", "v_{channel}.tif", "v_{z}.tif", "v.png", "v_{z}.png"] {
        let path = disk.path().join(name);
        let options = WriteOptions::new(DataType::U8, [1, 300, 300]);
        let writer = VolumeWriter::create(path.to_str().unwrap(), &options).unwrap();
        let error = writer.write(0, [0; 3], &voxels).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("space"), "{error}");
        writer.write(0, [0; 3], &voxels).unwrap_err();
        assert!(writer.finish().is_err(), "{name}");
        assert_eq!(disk.path().read_dir().unwrap().count(), 0, "{name}");
    }
}
