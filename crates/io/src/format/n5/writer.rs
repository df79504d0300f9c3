//! New pyramids and new scales.

use serde_json::{Map, Value, json};

use crate::chunked::{ChunkedWriter, Output};
use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::staging::WriteMode;
use crate::store::Directory;
use crate::volume::{WriteOptions, Writer};

use super::attributes::ATTRIBUTES;
use super::axes::StoredAxes;
use super::block::BlockCodec;
use super::compression::Compression;
use super::node::{self, scale_name};
use super::sink::BlockSink;

/// Version of the specification that new containers follow; Java refuses a higher major than its own.
const VERSION: &str = "2.5.1";
/// Blocks of new volumes, and of single planes.
const BLOCK: [u64; 3] = [64; 3];
const PLANE_BLOCK: [u64; 3] = [1, 1024, 1024];
/// A block must be smaller than this: Java's arrays end there.
const MAX_BLOCK_BYTES: u64 = 1 << 31;

/// Creates a pyramid with one scale.
pub(super) fn create(directory: &Directory, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let place = directory.place("");
    let is_local = directory.store().local_path("").is_some();
    let is_new = is_local || options.mode == WriteMode::CreateNew;
    let sink = sink(options, 0, is_new, &place)?;
    let mut output = Output::create(directory, options)?;
    let mut group = Map::new();
    group.insert("n5".to_owned(), VERSION.into());
    group.insert("scales".to_owned(), json!([[1, 1, 1]]));
    if let Some(resolution) = pixel_resolution(options) {
        group.insert("pixelResolution".to_owned(), resolution);
    }
    if options.channels != ["0"] {
        group.insert("channels".to_owned(), json!(options.channels));
    }
    if !options.attributes.is_empty() {
        group.insert("exavox".to_owned(), json!(options.attributes));
    }
    let dataset = dataset(options, &sink, pixel_resolution(options), [1; 3]);
    output.add_document(&format!("{}/{ATTRIBUTES}", sink.dataset), dataset);
    output.add_document(ATTRIBUTES, group.into());
    Ok(Box::new(ChunkedWriter::new(output, Box::new(sink))))
}

/// Adds a scale of voxels `factor` (`[z, y, x]`) times as large to a pyramid.
pub(super) fn add_scale(
    directory: &Directory,
    factor: [u64; 3],
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    let place = directory.place("");
    let limits = Limits::default();
    let mut group = node::document(directory, &limits)?;
    let scales = match node::read(directory, &limits)? {
        Some(node) if node.scales.iter().all(|s| s.directory.key("") != directory.key("")) => {
            node.scales
        }
        _ => return Err(Error::unsupported(place, "not an N5 pyramid (no dataset s0)")),
    };
    let wanted = factor.map(|f| f as f64);
    if let Some(index) = scales.iter().position(|scale| scale.factors == Some(wanted)) {
        return Err(Error::Exists { place: directory.place(&scale_name(index)) });
    }
    let index = scales.len();
    // Blocks of a scale that was never finished may be there.
    let is_new = directory.join(&scale_name(index)).list().is_ok_and(|names| names.is_empty());
    let sink = sink(options, index, is_new, &place)?;
    let mut output = Output::extend(directory, options);
    let resolution = group.get("pixelResolution").cloned();
    let dataset = dataset(options, &sink, resolution, factor);
    output.add_document(&format!("{}/{ATTRIBUTES}", sink.dataset), dataset);
    if let Some(listed) = group.get_mut("scales").and_then(Value::as_array_mut)
        && listed.len() == index
    {
        listed.push(json!([factor[2], factor[1], factor[0]]));
        output.add_document(ATTRIBUTES, group);
    }
    Ok(Box::new(ChunkedWriter::new(output, Box::new(sink))))
}

fn sink(options: &WriteOptions, scale: usize, is_new: bool, place: &Place) -> Result<BlockSink> {
    let usage = |message: String| Error::usage(place.clone(), message);
    let compression = Compression::for_writing(options.codec).map_err(usage)?;
    if options.shard_shape.is_some() {
        return Err(Error::unsupported(place.clone(), "shards in N5; OME-Zarr 0.5 has them"));
    }
    let default = if options.shape[0] == 1 { PLANE_BLOCK } else { BLOCK };
    let wanted = options.chunk_shape.unwrap_or(default);
    let granule: [u64; 3] = std::array::from_fn(|a| wanted[a].min(options.shape[a]));
    let size = options.dtype.size();
    let bytes = granule.iter().fold(size as u64, |n, s| n.saturating_mul(*s));
    if granule.contains(&0) || bytes >= MAX_BLOCK_BYTES {
        let message = format!("blocks of shape {wanted:?}: the limit of N5 is 2 GiB");
        return Err(usage(message));
    }
    let axes = StoredAxes::for_channels(options.channels.len());
    let [z, y, x] = granule;
    let block_size = axes.to_stored(&[1, 1, z, y, x]);
    let codec = BlockCodec { compression, block_size, size };
    Ok(BlockSink { dataset: scale_name(scale), axes, codec, granule, is_new })
}

/// The attributes of a dataset. N5 Viewer multiplies the resolution, which is that of the finest scale,
/// with the factors.
fn dataset(
    options: &WriteOptions,
    sink: &BlockSink,
    resolution: Option<Value>,
    factor: [u64; 3],
) -> Value {
    let [z, y, x] = options.shape;
    let dimensions = sink.axes.to_stored(&[1, options.channels.len() as u64, z, y, x]);
    let mut attributes = json!({
        "dimensions": dimensions,
        "blockSize": sink.codec.block_size,
        "dataType": options.dtype.name(),
        "compression": sink.codec.compression.attribute(),
        "axes": sink.axes.names(),
        "downsamplingFactors": [factor[2], factor[1], factor[0]],
    });
    if let Some(resolution) = resolution {
        attributes["pixelResolution"] = resolution;
    }
    attributes
}

fn pixel_resolution(options: &WriteOptions) -> Option<Value> {
    let [z, y, x] = options.voxel_size?.nm_zyx;
    Some(json!({ "unit": "nm", "dimensions": [x, y, z] }))
}
