//! What the fuzz targets share: bytes become a volume, which is opened and read in part. Whatever the
//! bytes are, there must be an answer or an error: no panic, no memory beyond the limits, no endless loop.

use std::io::Write;
use std::sync::Arc;

use exavox_io::store::{Directory, MemoryStore, Store};
use exavox_io::{BoundingBox, Limits, OpenOptions, Volume};

/// Voxels along each axis that are read of whatever opens.
const EDGE: u64 = 40;

/// Limits so small that memory out of bounds is noticed.
fn options(scale: usize) -> OpenOptions {
    let mut limits = Limits::default();
    limits.max_region_bytes = 1 << 20;
    limits.max_chunk_bytes = 1 << 20;
    limits.max_metadata_bytes = 1 << 16;
    OpenOptions::default().with_limits(limits).with_scale(scale)
}

/// Opens and reads a volume of one file.
pub fn file(bytes: &[u8], extension: &str) {
    let mut file = tempfile::Builder::new().suffix(extension).tempfile_in(folder()).unwrap();
    file.write_all(bytes).unwrap();
    let name = file.path().display().to_string();
    for scale in 0..2 {
        if let Ok(volume) = Volume::open_with(&name, &options(scale)) {
            read(&volume);
        }
    }
}

/// In memory where there is such a file system: the disk would be the limit otherwise.
fn folder() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Opens and reads a volume of many objects, whose keys are given and whose bytes are packed.
pub fn objects(bytes: &[u8], keys: &[&str]) {
    let store = Arc::new(MemoryStore::new());
    for (key, object) in keys.iter().zip(unpack(bytes)) {
        store.put(key, object).unwrap();
    }
    let directory = Directory::new(store, "");
    for scale in 0..2 {
        if let Ok(volume) = Volume::open_in(&directory, &options(scale)) {
            read(&volume);
        }
    }
}

fn read(volume: &Volume) {
    let shape = volume.shape();
    let first = BoundingBox::whole(shape.map(|size| size.min(EDGE)));
    let start = shape.map(|size| size - size.min(7));
    let last = BoundingBox::new(start, shape);
    for region in [first, last] {
        let _ = volume.read(volume.metadata().channels.len() - 1, &region);
    }
}

/// Objects one after the other, each with its length (u16, little-endian); an empty one is left out.
fn unpack(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (object, rest) = rest.split_at(length);
        bytes = rest;
        Some(object)
    })
}

/// The opposite of what [`objects`] takes apart.
pub fn pack<'a>(objects: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let length = |object: &[u8]| u16::try_from(object.len()).unwrap().to_le_bytes();
    objects.flat_map(|object| [&length(object)[..], object].concat()).collect()
}

/// Keys of the objects that a Zarr volume is packed from.
pub const ZARR: &[&str] = &[
    "zarr.json",
    ".zgroup",
    ".zattrs",
    ".zarray",
    "0/zarr.json",
    "0/.zarray",
    "1/.zarray",
    "0/0/0/0",
    "0/0/0/1",
    "0/c/0/0/0",
    "0/c/0/0/1",
    "1/0/0/0",
    "c/0/0/0",
    "0.0.0",
];
/// Keys of the objects that an N5 volume is packed from.
pub const N5: &[&str] = &[
    "attributes.json",
    "s0/attributes.json",
    "s1/attributes.json",
    "s0/0/0/0",
    "s0/1/0/0",
    "0/0/0",
    "s1/0/0/0",
];
/// Keys of the objects that a precomputed volume is packed from.
pub const PRECOMPUTED: &[&str] = &[
    "info",
    "8_8_8/0-8_0-8_0-8",
    "8_8_8/8-16_0-8_0-8",
    "8_8_8/0.shard",
    "16_16_16/0-8_0-8_0-8",
    "8_8_8/00.shard",
];
