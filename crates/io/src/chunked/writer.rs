//! A volume of chunks under construction: whole chunks or shards in any order, from many threads.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Result};
use crate::staging::{Staged, WriteMode};
use crate::store::{Directory, LocalStore};
use crate::volume::{WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

use super::ChunkSink;

/// Where a volume of many objects is being written. It is seen by readers when [`Output::commit`] has
/// put its documents (and, for a new local volume, its directory) into place.
#[derive(Debug)]
pub(crate) struct Output {
    /// Where the objects go.
    pub(crate) directory: Directory,
    staged: Option<Staged>,
    /// Documents that make the objects a volume, in the order in which they are written: last of all.
    documents: Vec<(String, Value)>,
    /// Documents elsewhere that are written after that: the list of scales above a new scale.
    last: Vec<(Directory, String, Value)>,
}

impl Output {
    /// A new volume at a directory. A local one is written beside it under a temporary name; elsewhere
    /// it has no documents until the end.
    pub(crate) fn create(target: &Directory, options: &WriteOptions) -> Result<Self> {
        match target.store().local_path(&target.key("")) {
            Some(path) => Self::staged(&path, options),
            None => Self::in_place(target, options.mode),
        }
    }

    fn staged(path: &Path, options: &WriteOptions) -> Result<Self> {
        let staged = Staged::new(path, options.mode)?;
        // A target that cannot be written shows now, not after the first chunk.
        std::fs::create_dir_all(staged.path()).map_err(Error::at(path))?;
        let store = LocalStore::new(staged.path())
            .with_name(&path.display().to_string())
            .with_durability(options.durability);
        let directory = Directory::new(Arc::new(store), "");
        Ok(Self { directory, staged: Some(staged), documents: Vec::new(), last: Vec::new() })
    }

    fn in_place(target: &Directory, mode: WriteMode) -> Result<Self> {
        if mode == WriteMode::CreateNew && !target.list()?.is_empty() {
            return Err(Error::Exists { place: target.place("") });
        }
        if mode == WriteMode::Overwrite {
            // Chunks of the old volume that the new one leaves out must not show through.
            target.clear()?;
        }
        Ok(Self {
            directory: target.clone(),
            staged: None,
            documents: Vec::new(),
            last: Vec::new(),
        })
    }

    /// A document for [`Output::commit`] to write.
    pub(crate) fn add_document(&mut self, name: &str, document: Value) {
        self.documents.push((name.to_owned(), document));
    }

    /// A document of another directory, for [`Output::commit`] to write when all else is in place.
    pub(crate) fn add_document_of(&mut self, directory: &Directory, name: &str, document: Value) {
        self.last.push((directory.clone(), name.to_owned(), document));
    }

    /// Writes the documents and makes the volume visible.
    pub(crate) fn commit(self) -> Result<()> {
        for (name, document) in &self.documents {
            self.directory.put_json(name, document)?;
        }
        self.staged.map_or(Ok(()), Staged::commit)?;
        self.last
            .iter()
            .try_for_each(|(directory, name, document)| directory.put_json(name, document))
    }
}

/// A chunked volume under construction.
pub(crate) struct ChunkedWriter {
    output: Output,
    sink: Box<dyn ChunkSink>,
}

impl ChunkedWriter {
    /// A writer of the granules of a sink; keys are relative to the output's directory.
    pub(crate) fn new(output: Output, sink: Box<dyn ChunkSink>) -> Self {
        Self { output, sink }
    }

    fn write_granule(
        &self,
        channel: usize,
        tile: &BoundingBox,
        block: &Voxels,
        from: &BoundingBox,
    ) -> Result<()> {
        let count = from.shape().map(|v| v as usize);
        let part;
        let voxels = if count == block.shape() {
            block
        } else {
            let mut copy = Voxels::zeros(block.dtype(), count)?;
            copy.copy_box([0; 3], block, from)?;
            part = copy;
            &part
        };
        let granule = self.sink.granule();
        let index: Vec<u64> = (0..3).map(|a| tile.start[a] / granule[a]).collect();
        let place = || self.output.directory.place("").with_chunk(&index);
        let encoded = self.sink.encode(channel, tile.start, voxels);
        let (name, bytes) = encoded.map_err(|message| Error::format(place(), message))?;
        let Some(bytes) = bytes else { return Ok(()) };
        self.output.directory.put(&name, &bytes).map_err(|error| error.in_chunk(&index))
    }
}

impl Writer for ChunkedWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let block = BoundingBox::from_start_shape(start, voxels.shape().map(|v| v as u64));
        let tiles: Vec<BoundingBox> = block.tiles(self.sink.granule()).collect();
        tiles.par_iter().try_for_each(|tile| {
            self.write_granule(channel, tile, voxels, &tile.relative_to(start))
        })
    }

    fn granule(&self) -> [u64; 3] {
        self.sink.granule()
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.output.commit()
    }
}
