//! A new OME-Zarr group: metadata first, then whole chunks or shards in any order, from many threads.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, CodecOptions};
use zarrs::array::{Array, ArrayBytes, ArrayMetadata};
use zarrs::filesystem::FilesystemStore;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::geometry::Axis;
use crate::limits::Limits;
use crate::staging::Staged;
use crate::volume::{Codec, OmeVersion, WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

use super::axes::StoredAxes;
use super::template::Template;
use super::{codecs, damage};

/// Edge of a chunk of a volume with depth, in voxels.
const CHUNK_EDGE: u64 = 64;
/// Edge of a chunk of a single plane, in voxels.
const PLANE_EDGE: u64 = 1024;
/// Name of the one array in the group.
const ARRAY: &str = "0";

/// An OME-Zarr group under construction.
pub(super) struct ZarrWriter {
    staged: Staged,
    place: Place,
    array: Array<FilesystemStore>,
    /// Shape of the files: chunks, or shards where there are any.
    granule: [u64; 3],
    has_channels: bool,
}

impl ZarrWriter {
    /// Makes the directory with all metadata under a temporary name.
    pub(super) fn create(path: &Path, options: &WriteOptions) -> Result<Self> {
        codecs::register();
        let place = Place::path(path);
        let template = template(options, &place)?;
        let staged = Staged::new(path, options.mode)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (file, document) = template.array();
        let array_path = staged.path().join(ARRAY);
        fs::create_dir_all(&array_path).map_err(Error::at(path))?;
        write_json(&array_path.join(file), &document, &place, &format!("{ARRAY}/{file}"))?;
        for (file, document) in template.group(&name) {
            write_json(&staged.path().join(file), &document, &place, file)?;
        }
        let array = open_array(staged.path(), document, &place)?;
        let granule = options.shard_shape.unwrap_or_else(|| chunk_shape(options));
        let has_channels = options.channels.len() > 1;
        Ok(Self { staged, place, array, granule, has_channels })
    }

    /// Encodes and writes one file's worth of voxels, which may end at the volume's end.
    fn write_granule(
        &self,
        channel: usize,
        tile: &BoundingBox,
        block: &Voxels,
        from: &BoundingBox,
    ) -> Result<()> {
        let mut indices: Vec<u64> = (0..3).map(|a| tile.start[a] / self.granule[a]).collect();
        if self.has_channels {
            indices.insert(0, channel as u64);
        }
        let place = || {
            let grid = damage::chunk_place(&self.place, &self.array, &indices);
            grid.with_chunk(&indices)
        };
        let granule = self.granule.map(|v| v as usize);
        let padded;
        let whole = if block.shape() == granule {
            block
        } else {
            let mut copy = Voxels::zeros(block.dtype(), granule)?;
            copy.copy_box([0; 3], block, from)?;
            padded = copy;
            &padded
        };
        let values = whole.bytes();
        if values.iter().all(|byte| *byte == 0) {
            // A chunk that is not there holds the fill value.
            return Ok(());
        }
        let encoded = self.encode(&indices, values).map_err(|m| Error::format(place(), m))?;
        let file = self.staged.path().join(self.array.chunk_key(&indices).as_str());
        write_file(&file, &encoded).map_err(|source| Error::io(place(), source))
    }

    fn encode(&self, indices: &[u64], values: &[u8]) -> Result<Vec<u8>, String> {
        let shape = self.array.chunk_shape(indices).map_err(|e| e.to_string())?;
        let encoded = self.array.codecs().encode(
            ArrayBytes::new_flen(values),
            &shape,
            self.array.data_type(),
            self.array.fill_value(),
            &CodecOptions::default(),
        );
        encoded.map(|bytes| bytes.into_owned()).map_err(|e| e.to_string())
    }
}

impl Writer for ZarrWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let block = BoundingBox::from_start_shape(start, voxels.shape().map(|v| v as u64));
        let tiles: Vec<BoundingBox> = block.tiles(self.granule).collect();
        tiles.par_iter().try_for_each(|tile| {
            self.write_granule(channel, tile, voxels, &tile.relative_to(start))
        })
    }

    fn granule(&self) -> [u64; 3] {
        self.granule
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Any
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.staged.commit()
    }
}

fn template<'a>(options: &'a WriteOptions, place: &Place) -> Result<Template<'a>> {
    check_codec(options, place)?;
    let chunk = chunk_shape(options);
    check_shapes(options, chunk, place)?;
    let mut axes = Axis::ZYX.to_vec();
    if options.channels.len() > 1 {
        axes.insert(0, Axis::C);
    }
    let names: Vec<String> = axes.iter().map(|axis| axis.name().to_owned()).collect();
    let stored = StoredAxes::from_names(&names, place)?;
    let mut shape = stored.to_stored(options.shape);
    if options.channels.len() > 1 {
        shape[0] = options.channels.len() as u64;
    }
    let chunk_shape = stored.to_stored(chunk);
    let shard_shape = options.shard_shape.map(|shard| stored.to_stored(shard));
    Ok(Template { options, axes, shape, chunk_shape, shard_shape })
}

/// The chunk shape asked for, or about 64 voxels along each axis; whole planes up to 1024 x 1024.
fn chunk_shape(options: &WriteOptions) -> [u64; 3] {
    let edges = match options.shape[0] {
        1 => [1, PLANE_EDGE, PLANE_EDGE],
        _ => [CHUNK_EDGE; 3],
    };
    let within = options.shard_shape.unwrap_or(options.shape);
    options.chunk_shape.unwrap_or_else(|| std::array::from_fn(|a| edges[a].min(within[a])))
}

fn check_codec(options: &WriteOptions, place: &Place) -> Result<()> {
    let wrong = match options.codec {
        Codec::Zstd(level) if !(1..=22).contains(&level) => {
            format!("zstd level {level}: not 1 to 22")
        }
        Codec::Gzip(level) if level > 9 => format!("gzip level {level}: not 0 to 9"),
        Codec::Blosc(level) if level > 9 => format!("blosc level {level}: not 0 to 9"),
        _ => return Ok(()),
    };
    Err(Error::usage(place.clone(), wrong))
}

fn check_shapes(options: &WriteOptions, chunk: [u64; 3], place: &Place) -> Result<()> {
    let usage = |message: String| Err(Error::usage(place.clone(), message));
    if chunk.contains(&0) {
        return usage(format!("chunks of shape {chunk:?}"));
    }
    let mut file = chunk;
    if let Some(shard) = options.shard_shape {
        if options.ome == OmeVersion::V04 {
            let message = "shards in OME-Zarr 0.4; they need version 0.5";
            return Err(Error::unsupported(place.clone(), message));
        }
        if (0..3).any(|a| shard[a] == 0 || !shard[a].is_multiple_of(chunk[a])) {
            return usage(format!("shards of {shard:?} are not multiples of chunks of {chunk:?}"));
        }
        file = shard;
    }
    Limits::default().check_chunk(&file, options.dtype.size(), place).map(|_| ())
}

fn open_array(root: &Path, document: Value, place: &Place) -> Result<Array<FilesystemStore>> {
    let wrong = |message: String| Error::unsupported(place.clone(), message);
    let metadata: ArrayMetadata =
        serde_json::from_value(document).map_err(|e| wrong(e.to_string()))?;
    let store = FilesystemStore::new(root).map_err(|e| wrong(e.to_string()))?;
    Array::new_with_metadata(store.into(), &format!("/{ARRAY}"), metadata)
        .map_err(|e| wrong(e.to_string()))
}

fn write_json(file: &Path, document: &Value, place: &Place, key: &str) -> Result<()> {
    let place = || place.clone().with_key(key);
    let text =
        serde_json::to_vec_pretty(document).map_err(|e| Error::usage(place(), e.to_string()))?;
    fs::write(file, text).map_err(|source| Error::io(place(), source))
}

/// Writes a chunk; makes its directory if it is not there.
fn write_file(file: &PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    match fs::write(file, bytes) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, bytes)
        }
        other => other,
    }
}
