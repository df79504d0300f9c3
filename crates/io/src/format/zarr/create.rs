//! New OME-Zarr groups and new scales in them.

use serde_json::{Value, json};

use crate::chunked::{ChunkedWriter, Output};
use crate::error::{Error, Place, Result};
use crate::geometry::Axis;
use crate::limits::Limits;
use crate::store::Directory;
use crate::volume::{Codec, OmeVersion, WriteMode, WriteOptions, Writer};

use super::axes::StoredAxes;
use super::chain::Chain;
use super::header::ArrayHeader;
use super::node::Node;
use super::ome::Multiscale;
use super::sink::ZarrSink;
use super::template::Template;

/// Edge of a chunk of a volume with depth, in voxels.
const CHUNK_EDGE: u64 = 64;
/// Edge of a chunk of a single plane, in voxels.
const PLANE_EDGE: u64 = 1024;
/// Name of the first array in a group.
const FIRST: &str = "0";

/// Creates an OME-Zarr group of one scale.
pub(super) fn create(directory: &Directory, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    let place = directory.place("");
    let template = template(options, new_axes(options), &place)?;
    let mut output = Output::create(directory, options)?;
    let (file, document) = template.array();
    output.add_document(&format!("{FIRST}/{file}"), document.clone());
    for (file, document) in template.group(&name_of(directory)) {
        output.add_document(file, document);
    }
    // Keys of the sink are relative to the output.
    let sink = sink(&template, &document, FIRST, &place)?;
    Ok(Box::new(ChunkedWriter::new(output, sink)))
}

/// Adds an array to an OME-Zarr group, and its scale to the group's document when it is finished.
pub(super) fn add_scale(
    directory: &Directory,
    factor: [u64; 3],
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    let place = directory.place("");
    let limits = Limits::default();
    let group = Node::read(directory, &limits)?;
    let group = group.ok_or_else(|| Error::unsupported(place.clone(), "not a Zarr group"))?;
    let ome = Multiscale::of(&group)?
        .ok_or_else(|| Error::unsupported(place.clone(), "Zarr without OME multiscales"))?;
    let finest = ome.datasets.first().ok_or_else(|| Error::format(place.clone(), "no scale"))?;
    let array = Node::read(&directory.join(&finest.path), &limits)?.ok_or_else(|| {
        Error::format(directory.place(&finest.path), "the finest scale is missing")
    })?;
    let header = ArrayHeader::of(&array)?;
    let axes = ome.stored_axes(header.shape.len(), &place)?;

    let options = &like_finest(options, &group, &header, &axes);
    let template = template(options, axes.clone(), &place)?;
    let name = ome.datasets.len().to_string();
    let (file, document) = template.array();
    let mut output = scale_output(&directory.join(&name), &document, options)?;
    output.add_document(file, document.clone());
    let (file, listed) = with_scale(&group, &name, factor, &axes)?;
    output.add_document_of(directory, file, listed);
    let sink = sink(&template, &document, "", &place)?;
    Ok(Box::new(ChunkedWriter::new(output, sink)))
}

/// Where the array of a new scale goes. A run that goes on may have been killed between the array's end and
/// its entry in the list: then it is there, whole, and has only to be listed.
fn scale_output(array: &Directory, document: &Value, options: &WriteOptions) -> Result<Output> {
    if options.mode.keeps_parts() {
        let found = Node::read(array, &Limits::default())?;
        if found.is_some_and(|node| node.document == *document) {
            return Ok(Output::extend(array, options));
        }
    }
    Output::create(array, options)
}

/// Version, chunks and shards as the scales that are there have them, where nothing else is asked for.
fn like_finest(
    options: &WriteOptions,
    group: &Node,
    header: &ArrayHeader,
    axes: &StoredAxes,
) -> WriteOptions {
    let mut options = options.clone();
    // An array of this name is in no list: a run ended between the two.
    if options.mode == WriteMode::CreateNew {
        options.mode = WriteMode::Overwrite;
    }
    options.ome = if group.zarr_format == 2 { OmeVersion::V04 } else { OmeVersion::V05 };
    if options.chunk_shape.is_none() {
        options.chunk_shape = Some(axes.zyx(&header.chunk_shape, 1));
        options.shard_shape = header.shard_shape.as_ref().map(|shard| axes.zyx(shard, 1));
    }
    options
}

/// The group's document with one dataset more: `factor` times as coarse as the first.
fn with_scale(
    group: &Node,
    name: &str,
    factor: [u64; 3],
    axes: &StoredAxes,
) -> Result<(&'static str, Value)> {
    let wrong = || Error::format(group.place().with_key("multiscales"), "no scale to go by");
    let mut attributes = Value::Object(group.attributes.clone());
    let inside = if attributes["ome"].is_object() { "/ome" } else { "" };
    let datasets = attributes
        .pointer_mut(&format!("{inside}/multiscales/0/datasets"))
        .and_then(Value::as_array_mut)
        .ok_or_else(wrong)?;
    let finest = scale_of(datasets.first().ok_or_else(wrong)?, axes.len()).ok_or_else(wrong)?;
    let times: Vec<u64> = axes.to_stored(factor);
    let scale: Vec<f64> = finest.iter().zip(&times).map(|(s, f)| s * *f as f64).collect();
    if let Some(same) = datasets.iter().find(|d| scale_of(d, axes.len()).as_ref() == Some(&scale)) {
        let path = same.get("path").and_then(Value::as_str).unwrap_or_default();
        return Err(Error::Exists { place: group.directory.place(path) });
    }
    // The middle of a coarse voxel lies between the middles of the fine ones.
    let shift: Vec<f64> =
        finest.iter().zip(&times).map(|(s, f)| s * (*f as f64 - 1.0) / 2.0).collect();
    datasets.push(json!({
        "path": name,
        "coordinateTransformations": [
            { "type": "scale", "scale": scale },
            { "type": "translation", "translation": shift },
        ],
    }));
    if group.zarr_format == 2 {
        return Ok((".zattrs", attributes));
    }
    let mut document = group.document.clone();
    document["attributes"] = attributes;
    Ok(("zarr.json", document))
}

fn scale_of(dataset: &Value, axes: usize) -> Option<Vec<f64>> {
    let transformations = dataset.get("coordinateTransformations")?.as_array()?;
    let scale = transformations.iter().find_map(|t| t.get("scale")?.as_array())?;
    let scale: Option<Vec<f64>> = scale.iter().map(Value::as_f64).collect();
    scale.filter(|s| s.len() == axes)
}

fn name_of(directory: &Directory) -> String {
    let key = directory.key("");
    let location = directory.store().location();
    let path = if key.is_empty() { location } else { &key };
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".zarr").unwrap_or(name).to_owned()
}

fn new_axes(options: &WriteOptions) -> StoredAxes {
    let zyx = Axis::ZYX.to_vec();
    match options.channels.len() {
        1 => StoredAxes::new(zyx),
        _ => StoredAxes::new([vec![Axis::C], zyx].concat()),
    }
}

fn sink(
    template: &Template<'_>,
    document: &Value,
    path: &str,
    place: &Place,
) -> Result<Box<ZarrSink>> {
    let chain = Chain::new(document, path, place)?;
    let chunk = template.axes.zyx(&template.chunk_shape, 1);
    let granule = template.options.shard_shape.unwrap_or(chunk);
    Ok(Box::new(ZarrSink { chain, axes: template.axes.clone(), granule }))
}

fn template<'a>(
    options: &'a WriteOptions,
    axes: StoredAxes,
    place: &Place,
) -> Result<Template<'a>> {
    check_codec(options, place)?;
    let chunk = chunk_shape(options);
    check_shapes(options, chunk, place)?;
    let [z, y, x] = options.shape;
    let shape = axes.pick(&[1, options.channels.len() as u64, z, y, x]);
    let chunk_shape = axes.to_stored(chunk);
    let shard_shape = options.shard_shape.map(|shard| axes.to_stored(shard));
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
