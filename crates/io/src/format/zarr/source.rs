//! Chunks of a Zarr array that is read.

use std::sync::Arc;

use crate::chunked::{ChunkGrid, ChunkIndex, ChunkRef, ChunkSource, EdgeChunks};
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::geometry::Axis;
use crate::limits::Limits;
use crate::metadata::{Metadata, numbered_channels};
use crate::store::{ByteRange, Store};

use super::axes::StoredAxes;
use super::chain::Chain;
use super::header::{ArrayHeader, sharding_of};
use super::node::Node;
use super::shard::{Sharding, inner_document};

/// Channels that an array may claim.
const MAX_CHANNELS: u64 = 1 << 16;

/// An array open for reading.
pub(super) struct ZarrSource {
    store: Arc<dyn Store>,
    grid: ChunkGrid,
    dtype: DataType,
    axes: StoredAxes,
    chain: Chain,
    /// Names of the objects; the same as `chain` where there are no shards.
    objects: Option<(Chain, Sharding)>,
    limits: Limits,
}

impl ZarrSource {
    /// Prepares the codecs of an array; reads nothing.
    pub(super) fn new(
        node: &Node,
        header: &ArrayHeader,
        axes: &StoredAxes,
        limits: &Limits,
    ) -> Result<Self> {
        let (place, path) = (node.place(), node.directory.key(""));
        let document = &node.document;
        let (chain, objects) = match sharding_of(document).zip(header.shard_shape.as_ref()) {
            None => (Chain::new(document, &path, &place)?, None),
            Some((configuration, shard)) => {
                let counts = shard.iter().zip(&header.chunk_shape).map(|(s, c)| s / c).collect();
                let sharding = Sharding::new(configuration, counts, &place)?;
                let inner = Chain::new(&inner_document(document, configuration), &path, &place)?;
                (inner, Some((Chain::new(document, &path, &place)?, sharding)))
            }
        };
        let grid = ChunkGrid {
            shape: axes.spread(&header.shape),
            chunk: axes.spread(&header.chunk_shape),
            edges: EdgeChunks::Padded,
        };
        Ok(Self {
            store: node.directory.store().clone(),
            grid,
            dtype: header.dtype,
            axes: axes.clone(),
            chain,
            objects,
            limits: limits.clone(),
        })
    }
}

impl ChunkSource for ZarrSource {
    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn grid(&self) -> &ChunkGrid {
        &self.grid
    }

    fn dtype(&self) -> DataType {
        self.dtype
    }

    fn fill_value(&self) -> &[u8] {
        self.chain.fill_value()
    }

    fn locate(&self, index: &ChunkIndex) -> Result<Option<ChunkRef>> {
        let chunk = self.axes.pick(index);
        let Some((objects, sharding)) = &self.objects else {
            return Ok(Some(ChunkRef { key: self.chain.key(&chunk), range: ByteRange::All }));
        };
        let key = objects.key(&sharding.shard_of(&chunk));
        let range = sharding.locate(self.store.as_ref(), &key, &chunk, &self.limits);
        // The chunk is known by whoever asks, the shard by its key.
        let range = range.map_err(|e| e.in_chunk(&chunk))?;
        Ok(range.map(|range| ChunkRef { key, range }))
    }

    fn decode(&self, _: &ChunkIndex, encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
        self.chain.decode(encoded, out)
    }

    fn is_plain(&self) -> bool {
        self.chain.is_plain()
    }

    fn display_index(&self, index: &ChunkIndex) -> Vec<u64> {
        self.axes.pick(index)
    }
}

/// What an array's header says of the volume.
pub(super) fn describe(header: &ArrayHeader, axes: &StoredAxes, place: &Place) -> Result<Metadata> {
    let channels = axes.get(&header.shape, Axis::C).unwrap_or(1);
    if !(1..=MAX_CHANNELS).contains(&channels) {
        let message = format!("{channels} channels; expected 1 to {MAX_CHANNELS}");
        return Err(Error::format(place.clone().with_axis(Axis::C), message));
    }
    let mut metadata = Metadata::new("zarr", header.dtype, axes.zyx(&header.shape, 1));
    metadata.channels = numbered_channels(channels as usize);
    metadata.stored_axes = axes.letters();
    metadata.chunk_shape = axes.zyx(&header.chunk_shape, 1);
    metadata.shard_shape = header.shard_shape.as_ref().map(|shard| axes.zyx(shard, 1));
    metadata.codecs.clone_from(&header.codecs);
    Ok(metadata)
}
