//! Tiled TIFF as the output of a large volume: tiles are written as they come, in any order and from
//! many threads; the directories follow at the end, when all places are known.
//!
//! The encoder of the `tiff` crate writes neither tiles nor Zstandard, so that the container is made
//! here. Memory of a write: 12 bytes per tile of the volume, and for each thread one tile as it is and
//! one compressed.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::ome;
use super::sink::{TiffSink, is_described};
use crate::error::{Error, Place, Result};
use crate::staging::Staged;
use crate::volume::{WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

mod directories;
mod encode;
mod layout;

use directories::{Directories, HEADER_BYTES};
use encode::{Encoder, Scratch};
use layout::TileLayout;

/// Voxels of a plane above which tiles are written: smaller planes are read whole anyway.
const TILED_FROM: u64 = 1 << 20;
/// Bytes above which the file is BigTIFF: offsets of plain TIFF have 32 bits.
const BIG_FROM: u64 = u32::MAX as u64;

/// Whether a volume is written in tiles: a chunk shape is asked for, or planes are large.
pub(super) fn are_wanted(options: &WriteOptions) -> bool {
    let [_, y, x] = options.shape;
    options.chunk_shape.is_some() || y.saturating_mul(x) > TILED_FROM
}

/// A volume of one or more channels in one file of tiles.
pub(super) struct TiledWriter {
    path: PathBuf,
    staged: Staged,
    file: File,
    layout: TileLayout,
    encoder: Encoder,
    description: Option<String>,
    /// First byte that no tile has yet.
    end: AtomicU64,
    table: Mutex<Table>,
    big_from: u64,
}

/// Where the tiles are, in order of (channel, z, y, x).
struct Table {
    offsets: Vec<u64>,
    /// 0 for a tile that has not been written.
    counts: Vec<u32>,
}

impl TiledWriter {
    /// Creates the file under its temporary name.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if TIFF cannot hold such a volume or compression; [`Error::Usage`] if
    /// the chunk shape is none of tiles; [`Error::Exists`]; [`Error::LimitExceeded`] if the volume has
    /// too many tiles.
    pub(super) fn create(path: &Path, options: &WriteOptions) -> Result<Self> {
        TiffSink::check(path, options)?;
        let layout = TileLayout::new(path, options)?;
        let encoder = Encoder::new(path, options)?;
        let tiles = layout.num_tiles(path)?;
        let staged = Staged::new(path, options.mode)?;
        let file = File::create(staged.path()).map_err(Error::at(path))?;
        let table = Table { offsets: vec![0; tiles], counts: vec![0; tiles] };
        Ok(Self {
            path: path.to_owned(),
            staged,
            file,
            layout,
            encoder,
            description: is_described(options).then(|| ome::document(options)).flatten(),
            end: AtomicU64::new(HEADER_BYTES),
            table: Mutex::new(table),
            big_from: BIG_FROM,
        })
    }

    /// Encodes and writes one tile; `at` are z, row and column of tiles within the block.
    fn write_tile(
        &self,
        first: usize,
        at: [usize; 3],
        voxels: &Voxels,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let encoded = self.encoder.encode(voxels, at, &self.layout, scratch);
        let bytes = encoded.map_err(Error::at(&self.path))?;
        let count = u32::try_from(bytes.len()).map_err(|_| {
            Error::unsupported(Place::path(&self.path), "a tile of more than 4 GiB")
        })?;
        // Tiles begin at even bytes, as all values of TIFF.
        let length = u64::from(count).next_multiple_of(2);
        let offset = self.end.fetch_add(length, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset).map_err(Error::at(&self.path))?;
        let index = self.layout.index_from(first, at);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.offsets[index] = offset;
        table.counts[index] = count;
        Ok(())
    }

    /// Writes directories and header behind the tiles.
    fn write_directories(&self, table: &Table, end: u64) -> std::io::Result<()> {
        let description = self.description.as_deref();
        let (layout, encoder) = (&self.layout, &self.encoder);
        let mut directories = Directories {
            layout,
            encoder,
            description,
            table,
            first: end.next_multiple_of(16),
            big: false,
        };
        directories.big = directories.largest_end() > self.big_from;
        let mut out = BufWriter::new(&self.file);
        out.seek(SeekFrom::Start(directories.first))?;
        directories.write(&mut out)?;
        out.flush()?;
        self.file.write_all_at(&directories.header(), 0)?;
        self.file.sync_all()
    }
}

impl Writer for TiledWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let first = self.layout.index(channel as u64, start);
        let [z, down, across] = self.layout.tiles_of(voxels.shape());
        (0..z * down * across).into_par_iter().try_for_each_init(Scratch::default, |scratch, n| {
            let at = [n / (down * across), n / across % down, n % across];
            self.write_tile(first, at, voxels, scratch)
        })
    }

    fn granule(&self) -> [u64; 3] {
        let [rows, columns] = self.layout.tile;
        [1, rows, columns]
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let written = table.counts.iter().filter(|count| **count > 0).count();
        if written < table.counts.len() {
            let message = format!("{written} of {} tiles have been written", table.counts.len());
            return Err(Error::usage(Place::path(&self.path), message));
        }
        let end = self.end.load(Ordering::Relaxed);
        self.write_directories(&table, end).map_err(Error::at(&self.path))?;
        drop(table);
        self.staged.commit()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::bounding_box::BoundingBox;
    use crate::dtype::DataType;
    use crate::volume::{Codec, Volume};

    #[test]
    fn both_containers_hold_the_same_volume() {
        let folder = tempfile::tempdir().unwrap();
        let values: Vec<u16> = (0..2 * 37 * 45).collect();
        let voxels = Voxels::from_vec([2, 37, 45], values).unwrap();
        for (big_from, magic) in [(0, 43), (BIG_FROM, 42)] {
            let path = folder.path().join(format!("{magic}.tif"));
            let mut options = WriteOptions::new(DataType::U16, [2, 37, 45]);
            options.chunk_shape = Some([1, 16, 32]);
            options.codec = Codec::Gzip(6);
            let mut writer = TiledWriter::create(&path, &options).unwrap();
            writer.big_from = big_from;
            writer.write(0, [0; 3], &voxels).unwrap();
            Box::new(writer).finish().unwrap();
            assert_eq!(
                std::fs::read(&path).unwrap()[if cfg!(target_endian = "big") { 3 } else { 2 }],
                magic
            );
            let volume = Volume::open(path.to_str().unwrap()).unwrap();
            assert_eq!(volume.metadata().chunk_shape, [1, 16, 32]);
            assert!(volume.read(0, &BoundingBox::whole([2, 37, 45])).unwrap() == voxels);
        }
    }
}
