//! A volume of chunks under construction: whole chunks or shards in any order, from many threads.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde_json::Value;

use crate::bounding_box::BoundingBox;
use crate::codec;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::staging::{Staged, WriteMode};
use crate::store::{Directory, Durability, LocalStore};
use crate::volume::{WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

use super::ChunkSink;

/// Where a volume of many objects is being written. It is seen by readers when [`Output::commit`] has
/// put its documents (and, for a new local volume, its directory) into place.
#[derive(Debug)]
pub(crate) struct Output {
    /// Where the objects go.
    pub(crate) directory: Directory,
    staged: Option<(Staged, Durability)>,
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

    /// More objects for a volume that is there, in place; nothing lists them before the documents do.
    pub(crate) fn extend(target: &Directory, options: &WriteOptions) -> Self {
        Self::new(target.with_durability(options.durability), None)
    }

    fn new(directory: Directory, staged: Option<(Staged, Durability)>) -> Self {
        Self { directory, staged, documents: Vec::new(), last: Vec::new() }
    }

    fn staged(path: &Path, options: &WriteOptions) -> Result<Self> {
        let staged = Staged::new(path, options.mode)?;
        // A target that cannot be written shows now, not after the first chunk.
        std::fs::create_dir_all(staged.path()).map_err(Error::at(path))?;
        // Nobody sees the objects before the end, which is early enough to have them on the disk,
        // unless a later run goes on with them.
        let durability = match options.mode {
            mode if mode.keeps_parts() => options.durability,
            _ => Durability::Buffered,
        };
        let mut store = LocalStore::new(staged.path())
            .with_name(&path.display().to_string())
            .with_durability(durability);
        if durability != options.durability {
            store = store.with_early_writing();
        }
        let directory = Directory::new(Arc::new(store), "");
        Ok(Self::new(directory, Some((staged, options.durability))))
    }

    fn in_place(target: &Directory, mode: WriteMode) -> Result<Self> {
        if mode == WriteMode::CreateNew && !target.list()?.is_empty() {
            return Err(Error::Exists { place: target.place("") });
        }
        if mode == WriteMode::Overwrite {
            // Chunks of the old volume that the new one leaves out must not show through.
            target.clear()?;
        }
        Ok(Self::new(target.clone(), None))
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
        let durability = self.staged.as_ref().map_or_else(Durability::default, |(_, d)| *d);
        match self.staged {
            Some((staged, Durability::Synced)) => staged.commit_synced()?,
            Some((staged, Durability::Buffered)) => staged.commit()?,
            None => {}
        }
        self.last.iter().try_for_each(|(directory, name, document)| {
            directory.with_durability(durability).put_json(name, document)
        })
    }
}

/// A chunked volume under construction.
pub(crate) struct ChunkedWriter {
    output: Output,
    sink: Box<dyn ChunkSink>,
    /// Blocks for granules that were cut out of larger blocks: one for each thread at most.
    parts: Mutex<Vec<Voxels>>,
}

impl ChunkedWriter {
    /// A writer of the granules of a sink; keys are relative to the output's directory.
    pub(crate) fn new(output: Output, sink: Box<dyn ChunkSink>) -> Self {
        Self { output, sink, parts: Mutex::default() }
    }

    fn write_granule(
        &self,
        channel: usize,
        tile: &BoundingBox,
        block: &Voxels,
        from: &BoundingBox,
    ) -> Result<()> {
        let granule = self.sink.granule();
        let index: Vec<u64> = (0..3).map(|a| tile.start[a] / granule[a]).collect();
        if from.shape().map(|v| v as usize) == block.shape() {
            return self.write_voxels(channel, tile.start, &index, block);
        }
        let mut part = self.part(block.dtype(), from.shape().map(|v| v as usize))?;
        part.copy_box([0; 3], block, from)?;
        self.write_voxels(channel, tile.start, &index, &part)?;
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        Ok(())
    }

    /// A block for one granule: one that was used before, if it has the shape.
    fn part(&self, dtype: DataType, shape: [usize; 3]) -> Result<Voxels> {
        let used = self.parts.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match used {
            Some(used) if used.shape() == shape && used.dtype() == dtype => Ok(used),
            _ => Voxels::zeros(dtype, shape),
        }
    }

    fn write_voxels(
        &self,
        channel: usize,
        start: [u64; 3],
        index: &[u64],
        voxels: &Voxels,
    ) -> Result<()> {
        let place = || self.output.directory.place("").with_chunk(index);
        let encoded = self.sink.encode(channel, start, voxels);
        let (name, bytes) = encoded.map_err(|message| Error::format(place(), message))?;
        let Some(bytes) = bytes else { return Ok(()) };
        self.output.directory.put(&name, &bytes).map_err(|error| error.in_chunk(index))?;
        if let Cow::Owned(bytes) = bytes {
            codec::recycle(bytes);
        }
        Ok(())
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
