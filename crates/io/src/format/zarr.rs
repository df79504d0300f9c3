//! Zarr v2 and v3, and OME-Zarr 0.4 and 0.5 on top: <https://ngff.openmicroscopy.org>.
//!
//! Metadata documents are read within limits before the crate `zarrs` sees them; `zarrs` names the
//! chunks and knows the codecs, of which the most common ones are short-cut.

use crate::chunked::ChunkedReader;
use crate::error::{Error, Result};
use crate::metadata::{Metadata, Scale};
use crate::store::{Directory, check_key};
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod axes;
mod chain;
mod codecs;
mod create;
mod header;
mod node;
mod ome;
mod shard;
mod sink;
mod source;
mod template;

use axes::StoredAxes;
use header::ArrayHeader;
use node::{Node, NodeKind};
use ome::{Dataset, Multiscale};
use source::{ZarrSource, describe};

/// Directories above an array in which its OME metadata is looked for.
const MAX_PARENTS: usize = 3;

/// Opens an OME-Zarr group at a scale, or a plain array.
pub(crate) fn open(directory: &Directory, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let node = Node::read(directory, &options.limits)?
        .ok_or_else(|| Error::unsupported(directory.place(""), "not a Zarr array or group"))?;
    let reader = match node.kind {
        NodeKind::Group => open_group(&node, options)?,
        NodeKind::Array => open_array(&node, options)?,
    };
    Ok(Box::new(reader))
}

/// Creates an OME-Zarr group of one scale.
pub(crate) fn create(directory: &Directory, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    create::create(directory, options)
}

/// Adds a scale to an OME-Zarr group that is there.
pub(crate) fn add_scale(
    directory: &Directory,
    factor: [u64; 3],
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    create::add_scale(directory, factor, options)
}

fn open_group(group: &Node, options: &OpenOptions) -> Result<ChunkedReader> {
    let place = group.place();
    let ome = Multiscale::of(group)?.ok_or_else(|| no_multiscales(group))?;
    let nodes: Vec<Node> = ome
        .datasets
        .iter()
        .map(|dataset| dataset_node(group, dataset, options))
        .collect::<Result<_>>()?;
    let headers: Vec<ArrayHeader> = nodes.iter().map(ArrayHeader::of).collect::<Result<_>>()?;
    let Some(finest) = headers.first() else {
        return Err(Error::format(place, "the multiscales list no scale"));
    };
    let axes = ome.stored_axes(finest.shape.len(), &place)?;
    let scale_of = |(scale, header): (usize, &ArrayHeader)| Scale {
        shape: axes.zyx(&header.shape, 1),
        voxel_size: ome.voxel_size(scale, &axes),
    };
    let scales: Vec<Scale> = headers.iter().enumerate().map(scale_of).collect();
    let scale = options.scale.index_in(&scales, &place)?;
    let mut metadata = describe(&headers[scale], &axes, &place)?;
    metadata.format = format!("ome-zarr {}", ome.version);
    metadata.scales = scales;
    ome.describe(scale, &axes, &mut metadata);
    reader(&nodes[scale], &headers[scale], &axes, metadata, options)
}

fn open_array(array: &Node, options: &OpenOptions) -> Result<ChunkedReader> {
    let header = ArrayHeader::of(array)?;
    let place = array.place();
    let parent = ome_parent(array, options)?;
    let axes = match &parent {
        Some((ome, _)) => ome.stored_axes(header.shape.len(), &place)?,
        None => {
            StoredAxes::of_array(header.dimension_names.as_deref(), header.shape.len(), &place)?
        }
    };
    let mut metadata = describe(&header, &axes, &place)?;
    metadata.format = format!("zarr v{}", array.zarr_format);
    if let Some((ome, scale)) = parent {
        ome.describe(scale, &axes, &mut metadata);
    }
    options.scale.index_in(&metadata.scales, &place)?;
    reader(array, &header, &axes, metadata, options)
}

fn reader(
    node: &Node,
    header: &ArrayHeader,
    axes: &StoredAxes,
    metadata: Metadata,
    options: &OpenOptions,
) -> Result<ChunkedReader> {
    let source = ZarrSource::new(node, header, axes, &options.limits)?;
    ChunkedReader::new(metadata, Box::new(source), options)
}

/// The multiscale above an array that lists it, and its scale there.
fn ome_parent(array: &Node, options: &OpenOptions) -> Result<Option<(Multiscale, usize)>> {
    let (mut directory, mut inside) = (array.directory.clone(), String::new());
    for _ in 0..MAX_PARENTS {
        let Some((parent, name)) = directory.parent() else { break };
        inside = if inside.is_empty() { name } else { format!("{name}/{inside}") };
        let group = Node::read(&parent, &options.limits)?;
        if let Some(ome) = group.as_ref().map(Multiscale::of).transpose()?.flatten() {
            let scale = ome.datasets.iter().position(|dataset| dataset.path == inside);
            return Ok(scale.map(|scale| (ome, scale)));
        }
        directory = parent;
    }
    Ok(None)
}

fn dataset_node(group: &Node, dataset: &Dataset, options: &OpenOptions) -> Result<Node> {
    let place = || group.place().with_key(&dataset.path);
    if check_key("", &dataset.path).is_err() {
        return Err(Error::format(place(), "the path of a scale must stay inside the group"));
    }
    match Node::read(&group.directory.join(&dataset.path), &options.limits)? {
        Some(node) if node.kind == NodeKind::Array => Ok(node),
        _ => Err(Error::format(place(), "the multiscales list an array that is not there")),
    }
}

fn no_multiscales(group: &Node) -> Error {
    let names = group.directory.list().unwrap_or_default();
    let children: Vec<&str> = names.iter().filter_map(|n| n.strip_suffix('/')).take(20).collect();
    let inside = if children.is_empty() { "none".to_owned() } else { children.join(", ") };
    let message =
        format!("Zarr group without OME multiscales; name an array inside it (found: {inside})");
    Error::usage(group.place(), message)
}
