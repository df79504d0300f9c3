//! The engine against a naive twin that looks each voxel up by itself.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::bounding_box::BoundingBox;
use crate::metadata::{Metadata, numbered_channels};
use crate::store::{MemoryStore, Request};
use crate::volume::{OpenOptions, Reader};

/// A memory store that is treated as a remote one.
#[derive(Debug)]
struct Far(MemoryStore);

impl Store for Far {
    fn location(&self) -> &str {
        "far"
    }
    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool> {
        self.0.get(request, out)
    }
    fn size(&self, key: &str) -> Result<Option<u64>> {
        self.0.size(key)
    }
    fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.0.put(key, bytes)
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.0.delete(key)
    }
    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.0.list(prefix)
    }
    fn is_remote(&self) -> bool {
        true
    }
}

/// Chunks stored as they are, or with each byte inverted.
struct Source {
    store: Arc<dyn Store>,
    grid: ChunkGrid,
    plain: bool,
}

impl ChunkSource for Source {
    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
    fn grid(&self) -> &ChunkGrid {
        &self.grid
    }
    fn dtype(&self) -> DataType {
        DataType::U16
    }
    fn fill_value(&self) -> &[u8] {
        &[7, 1]
    }
    fn locate(&self, index: &ChunkIndex) -> Result<Option<ChunkRef>> {
        Ok(Some(ChunkRef { key: key(index), range: ByteRange::All }))
    }
    fn decode(&self, _: &ChunkIndex, encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
        if encoded.len() != out.len() {
            return Err("wrong size".to_owned());
        }
        out.iter_mut().zip(encoded).for_each(|(o, e)| *o = if self.plain { *e } else { !*e });
        Ok(())
    }
    fn is_plain(&self) -> bool {
        self.plain
    }
    fn display_index(&self, index: &ChunkIndex) -> Vec<u64> {
        index.to_vec()
    }
}

fn key(index: &ChunkIndex) -> String {
    index.map(|i| i.to_string()).join("/")
}

/// The value of a voxel, which tells where it is.
fn value(at: [u64; 5]) -> u16 {
    at.iter().fold(3_u64, |n, v| n * 31 + v) as u16
}

fn is_stored(index: &ChunkIndex) -> bool {
    index.iter().sum::<u64>() % 4 != 3
}

fn in_order(shape: [u64; 5]) -> impl Iterator<Item = [u64; 5]> {
    let count = shape.iter().product::<u64>();
    (0..count).map(move |mut n| {
        let mut at = [0; 5];
        for a in (0..5).rev() {
            (at[a], n) = (n % shape[a], n / shape[a]);
        }
        at
    })
}

fn store_chunks(store: &dyn Store, grid: &ChunkGrid, plain: bool) {
    for index in in_order(grid.counts()).filter(is_stored) {
        let voxels = in_order(grid.stored_shape(&index));
        let at = |v: [u64; 5]| std::array::from_fn(|a| index[a] * grid.chunk[a] + v[a]);
        let bytes = voxels.flat_map(|v| value(at(v)).to_ne_bytes());
        let bytes: Vec<u8> = bytes.map(|b| if plain { b } else { !b }).collect();
        store.put(&key(&index), &bytes).unwrap();
    }
}

fn naive(grid: &ChunkGrid, time: u64, channel: u64, region: &BoundingBox) -> Vec<u16> {
    let [z, y, x] = region.shape();
    in_order([1, 1, z, y, x])
        .map(|[_, _, z, y, x]| {
            let [z0, y0, x0] = region.start;
            let at = [time, channel, z0 + z, y0 + y, x0 + x];
            let index = std::array::from_fn(|a| at[a] / grid.chunk[a]);
            if is_stored(&index) { value(at) } else { u16::from_ne_bytes([7, 1]) }
        })
        .collect()
}

fn reader(grid: &ChunkGrid, far: bool, plain: bool, cache_bytes: u64, time: u64) -> ChunkedReader {
    let store: Arc<dyn Store> = match far {
        true => Arc::new(Far(MemoryStore::new())),
        false => Arc::new(MemoryStore::new()),
    };
    store_chunks(store.as_ref(), grid, plain);
    let mut metadata = Metadata::new("test", DataType::U16, grid.shape_zyx());
    metadata.channels = numbered_channels(grid.shape[1] as usize);
    let source = Source { store, grid: grid.clone(), plain };
    let options = OpenOptions::default().with_cache_bytes(cache_bytes).with_time(time as usize);
    ChunkedReader::new(metadata, Box::new(source), &options).unwrap()
}

proptest! {
    #[test]
    fn regions_are_as_voxel_by_voxel(
        shape in [1..3u64, 1..4u64, 1..7u64, 1..7u64, 1..9u64],
        chunk in [1..3u64, 1..3u64, 1..5u64, 1..5u64, 1..6u64],
        padded: bool, far: bool, plain: bool,
        cache_bytes in prop::sample::select(vec![0, 400, 1 << 20]),
        picks in prop::collection::vec([0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0], 1..5),
        at in [0.0..1.0, 0.0..1.0],
    ) {
        let edges = if padded { EdgeChunks::Padded } else { EdgeChunks::Truncated };
        let grid = ChunkGrid { shape, chunk, edges };
        let pick = |size: u64, part: f64| ((size as f64 * part) as u64).min(size - 1);
        let (time, channel) = (pick(shape[0], at[0]), pick(shape[1], at[1]));
        let reader = reader(&grid, far, plain, cache_bytes, time);
        for part in picks {
            let start = [0, 1, 2].map(|a| pick(shape[a + 2], part[a]));
            let size = [0, 1, 2].map(|a| 1 + pick(shape[a + 2] - start[a], part[a + 3]));
            let region = BoundingBox::from_start_shape(start, size);
            let mut out = Voxels::zeros(DataType::U16, size.map(|v| v as usize)).unwrap();
            reader.read_into(channel as usize, &region, &mut out).unwrap();
            prop_assert_eq!(out.as_slice::<u16>().unwrap(), naive(&grid, time, channel, &region));
        }
    }
}

#[test]
fn a_part_of_a_chunk_of_the_wrong_size_is_refused() {
    let grid =
        ChunkGrid { shape: [1, 1, 4, 2, 2], chunk: [1, 1, 4, 2, 2], edges: EdgeChunks::Padded };
    for size in [16, 31, 33, 64] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        store.put("0/0/0/0/0", &vec![1; size]).unwrap();
        let source = Source { store, grid: grid.clone(), plain: true };
        let metadata = Metadata::new("test", DataType::U16, [4, 2, 2]);
        let reader =
            ChunkedReader::new(metadata, Box::new(source), &OpenOptions::default()).unwrap();
        let mut out = Voxels::zeros(DataType::U16, [1, 2, 2]).unwrap();
        let plane = BoundingBox::new([1, 0, 0], [2, 2, 2]);
        let error = reader.read_into(0, &plane, &mut out).unwrap_err().to_string();
        assert!(error.contains("chunk [0, 0, 0, 0, 0]"), "{size}: {error}");
    }
}

#[test]
fn a_damaged_chunk_is_named_near_and_far() {
    for far in [false, true] {
        let grid =
            ChunkGrid { shape: [1, 1, 4, 4, 6], chunk: [1, 1, 2, 2, 2], edges: EdgeChunks::Padded };
        let store: Arc<dyn Store> = match far {
            true => Arc::new(Far(MemoryStore::new())),
            false => Arc::new(MemoryStore::new()),
        };
        store.put("0/0/1/0/2", &[1; 15]).unwrap();
        let source = Source { store, grid, plain: true };
        let metadata = Metadata::new("test", DataType::U16, [4, 4, 6]);
        let reader =
            ChunkedReader::new(metadata, Box::new(source), &OpenOptions::default()).unwrap();
        let mut out = Voxels::zeros(DataType::U16, [4, 4, 6]).unwrap();
        let region = BoundingBox::whole([4, 4, 6]);
        let error = reader.read_into(0, &region, &mut out).unwrap_err().to_string();
        assert!(
            error.contains("chunk [0, 0, 1, 0, 2]") && error.contains("(0/0/1/0/2)"),
            "{error}"
        );
    }
}
