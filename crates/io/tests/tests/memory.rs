//! Volumes in a store of one's own, and blocks read ahead.

use std::sync::Arc;

use exavox_io::location::ArrayFormat;
use exavox_io::store::{Directory, MemoryStore, Request, Store};
use exavox_io::volume::WriteMode;
use exavox_io::{
    BlockOrder, BoundingBox, DataType, Error, ReadAhead, Volume, VolumeWriter, WriteOptions,
};

use crate::pattern;

const SHAPE: [u64; 3] = [9, 21, 33];

fn volume_in_memory() -> (Arc<MemoryStore>, Directory) {
    let store = Arc::new(MemoryStore::new());
    let directory = Directory::new(store.clone(), "lab/v");
    let mut options = WriteOptions::new(DataType::U16, SHAPE);
    options.chunk_shape = Some([4, 8, 16]);
    let writer = VolumeWriter::create_in(&directory, ArrayFormat::Zarr, &options).unwrap();
    pattern::write(&writer, DataType::U16, SHAPE, 1, 5);
    writer.finish().unwrap();
    (store, directory)
}

#[test]
fn a_volume_lives_in_memory() {
    let (_, directory) = volume_in_memory();
    pattern::check_all(&Volume::open_in(&directory, &Default::default()).unwrap());
    let options = WriteOptions::new(DataType::U16, SHAPE);
    let again = || VolumeWriter::create_in(&directory, ArrayFormat::Zarr, &options);
    assert!(matches!(again().unwrap_err(), Error::Exists { .. }));
}

#[test]
fn overwriting_in_place_leaves_nothing_of_the_old_volume() {
    let (store, directory) = volume_in_memory();
    let options = WriteOptions::new(DataType::U8, SHAPE).with_mode(WriteMode::Overwrite);
    let writer = VolumeWriter::create_in(&directory, ArrayFormat::Zarr, &options).unwrap();
    assert!(Volume::open_in(&directory, &Default::default()).is_err());
    writer.finish().unwrap();
    assert_eq!(store.list("lab/v/0").unwrap(), [".zarray"]);
    let volume = Volume::open_in(&directory, &Default::default()).unwrap();
    let voxels = volume.read(0, &BoundingBox::whole(SHAPE)).unwrap();
    assert!(voxels.bytes().iter().all(|b| *b == 0));
}

#[test]
fn blocks_come_in_order_and_damaged_ones_in_their_place() {
    let (store, directory) = volume_in_memory();
    store.put("lab/v/0/1/0/0", b"damaged").unwrap();
    let volume = Volume::open_in(&directory, &Default::default()).unwrap();
    for order in [BlockOrder::C, BlockOrder::Morton] {
        for ahead in [0, 1, 7] {
            let blocks = order.blocks(&BoundingBox::whole(SHAPE), [4, 8, 16]);
            let expected: Vec<BoundingBox> = blocks.collect();
            let blocks = order.blocks(&BoundingBox::whole(SHAPE), [4, 8, 16]);
            let read = ReadAhead::new(&volume, 0, blocks, ahead).unwrap();
            let found: Vec<_> = read.collect();
            assert_eq!(found.len(), expected.len());
            for (found, block) in found.iter().zip(&expected) {
                match found {
                    Ok((place, voxels)) => {
                        assert_eq!(place, block);
                        assert!(*voxels == pattern::region(DataType::U16, 0, block));
                    }
                    Err(error) => {
                        assert_eq!(block.start, [4, 0, 0]);
                        assert!(error.to_string().contains("0/1/0/0"), "{error}");
                    }
                }
            }
            assert_eq!(found.iter().filter(|f| f.is_err()).count(), 1);
        }
    }
}

#[test]
fn a_reader_that_is_dropped_early_ends() {
    let (store, directory) = volume_in_memory();
    let volume = Volume::open_in(&directory, &Default::default()).unwrap();
    let blocks = BlockOrder::C.blocks(&BoundingBox::whole(SHAPE), [1; 3]);
    let mut read = ReadAhead::new(&volume, 0, blocks, 2).unwrap();
    read.next().unwrap().unwrap();
    drop((read, volume, directory));
    // Nothing holds the volume any more, and through it the store: the thread is gone.
    assert_eq!(Arc::strong_count(&store), 1);
}

/// Says "access denied" of objects that are not there, as a public bucket does.
#[derive(Debug)]
struct Public {
    objects: MemoryStore,
    is_remote: bool,
}

impl Public {
    fn known(&self, key: &str) -> exavox_io::Result<()> {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        match self.objects.size(key)? {
            Some(_) => Ok(()),
            None => Err(Error::io(self.place(key), denied)),
        }
    }
}

impl Store for Public {
    fn location(&self) -> &str {
        "public"
    }
    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> exavox_io::Result<bool> {
        self.known(request.key).and_then(|()| self.objects.get(request, out))
    }
    fn size(&self, key: &str) -> exavox_io::Result<Option<u64>> {
        self.known(key).and_then(|()| self.objects.size(key))
    }
    fn put(&self, key: &str, bytes: &[u8]) -> exavox_io::Result<()> {
        self.objects.put(key, bytes)
    }
    fn delete(&self, key: &str) -> exavox_io::Result<()> {
        self.objects.delete(key)
    }
    fn list(&self, prefix: &str) -> exavox_io::Result<Vec<String>> {
        self.objects.list(prefix)
    }
    fn is_remote(&self) -> bool {
        self.is_remote
    }
}

#[test]
fn a_local_file_that_may_not_be_read_is_not_taken_for_missing() {
    let store = Public { objects: MemoryStore::new(), is_remote: false };
    store.put("v/.zattrs", b"{}").unwrap();
    let directory = Directory::new(Arc::new(store), "v");
    let error = directory.get_json(".zgroup", &Default::default()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn the_top_of_a_store_is_never_cleared() {
    let (store, _) = volume_in_memory();
    let options = WriteOptions::new(DataType::U8, SHAPE).with_mode(WriteMode::Overwrite);
    let top = Directory::new(store.clone(), "");
    let error = VolumeWriter::create_in(&top, ArrayFormat::Zarr, &options).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }), "{error}");
    assert!(store.size("lab/v/.zgroup").unwrap().is_some());
}

#[test]
fn a_bucket_that_denies_what_it_has_not_is_opened() {
    let directory =
        Directory::new(Arc::new(Public { objects: MemoryStore::new(), is_remote: true }), "v");
    let nothing = Volume::open_in(&directory, &Default::default()).unwrap_err();
    assert!(matches!(nothing, Error::Io { .. }), "{nothing}");
    for format in [ArrayFormat::Zarr, ArrayFormat::N5, ArrayFormat::Precomputed] {
        let directory = directory.join(&format!("{format:?}"));
        let options = WriteOptions::new(DataType::U16, SHAPE);
        let writer = VolumeWriter::create_in(&directory, format, &options).unwrap();
        pattern::write(&writer, DataType::U16, SHAPE, 1, 5);
        writer.finish().unwrap();
        pattern::check_all(&Volume::open_in(&directory, &Default::default()).unwrap());
    }
}
