//! A dataset as chunks that are read.

use std::sync::Arc;

use serde_json::Value;

use crate::chunked::{ChunkGrid, ChunkIndex, ChunkRef, ChunkSource, ChunkedReader, EdgeChunks};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::metadata::{Metadata, numbered_channels};
use crate::store::{ByteRange, Directory, Store};
use crate::volume::{OpenOptions, Reader};

use super::attributes::ATTRIBUTES;
use super::axes::StoredAxes;
use super::block::BlockCodec;
use super::compression::Compression;
use super::node::{self, Dataset, Node};
use super::search;

/// Most channels of a volume.
const MAX_CHANNELS: u64 = 1 << 16;

/// Opens a dataset, a pyramid, or the only one of these below a group.
pub(super) fn open(directory: &Directory, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let limits = &options.limits;
    let node = match node::read(directory, limits)? {
        Some(node) => node,
        None => {
            let inside = directory.join(&search::only_volume(directory, limits)?);
            node::read(&inside, limits)?.ok_or_else(|| {
                Error::format(inside.place(ATTRIBUTES), "neither dataset nor pyramid")
            })?
        }
    };
    open_node(node, directory, options)
}

fn open_node(node: Node, directory: &Directory, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let Node { mut scales, group } = node;
    let all = scales.iter().map(|dataset| dataset.scale).collect::<Vec<_>>();
    let index = options.scale.index_in(&all, &directory.place(""))?;
    let dataset = scales.swap_remove(index);
    let mut metadata = metadata(&dataset, &group)?;
    metadata.scales = all;
    let source = Blocks::new(dataset);
    Ok(Box::new(ChunkedReader::new(metadata, Box::new(source), options)?))
}

fn metadata(dataset: &Dataset, group: &Value) -> Result<Metadata> {
    let Dataset { attributes, axes, scale, .. } = dataset;
    let mut metadata = Metadata::new("n5", attributes.dtype, scale.shape);
    let channels = axes.to_tczyx(&attributes.dimensions)[1];
    if !(1..=MAX_CHANNELS).contains(&channels) {
        let message = format!("{channels} channels; expected 1 to {MAX_CHANNELS}");
        return Err(Error::format(dataset.directory.place(ATTRIBUTES), message));
    }
    let names: Option<Vec<String>> = group["channels"]
        .as_array()
        .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    let names = names.filter(|names| names.len() as u64 == channels);
    metadata.channels = names.unwrap_or_else(|| numbered_channels(channels as usize));
    metadata.voxel_size = scale.voxel_size;
    metadata.stored_axes = axes.slowest_first();
    let [_, _, z, y, x] = axes.to_tczyx(&attributes.block_size);
    metadata.chunk_shape = [z, y, x];
    metadata.codecs = match attributes.compression {
        Compression::Raw => Vec::new(),
        other => vec![other.name().to_owned()],
    };
    Ok(metadata)
}

/// The blocks of a dataset.
struct Blocks {
    directory: Directory,
    grid: ChunkGrid,
    dtype: DataType,
    axes: StoredAxes,
    codec: BlockCodec,
}

impl Blocks {
    fn new(dataset: Dataset) -> Self {
        let Dataset { directory, attributes, axes, .. } = dataset;
        let grid = ChunkGrid {
            shape: axes.to_tczyx(&attributes.dimensions),
            chunk: axes.to_tczyx(&attributes.block_size),
            edges: EdgeChunks::Truncated,
        };
        let dtype = attributes.dtype;
        let (compression, block_size) = (attributes.compression, attributes.block_size);
        let codec = BlockCodec { compression, block_size, size: dtype.size() };
        Self { directory, grid, dtype, axes, codec }
    }
}

impl ChunkSource for Blocks {
    fn store(&self) -> &Arc<dyn Store> {
        self.directory.store()
    }

    fn grid(&self) -> &ChunkGrid {
        &self.grid
    }

    fn dtype(&self) -> DataType {
        self.dtype
    }

    fn fill_value(&self) -> &[u8] {
        &[0; 8][..self.dtype.size()]
    }

    fn locate(&self, index: &ChunkIndex) -> Result<Option<ChunkRef>> {
        let key = self.directory.key(&block_key(&self.display_index(index)));
        Ok(Some(ChunkRef { key, range: ByteRange::All }))
    }

    fn decode(&self, index: &ChunkIndex, encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
        let shape = self.axes.to_stored(&self.grid.stored_shape(index));
        self.codec.decode(encoded, &shape, out)
    }

    fn display_index(&self, index: &ChunkIndex) -> Vec<u64> {
        self.axes.to_stored(index)
    }
}

/// Name of a block in its dataset: its index in the order on disk, fastest axis first.
pub(super) fn block_key(index: &[u64]) -> String {
    index.iter().map(u64::to_string).collect::<Vec<_>>().join("/")
}
