//! Zarr v2 and v3, and OME-Zarr 0.4 and 0.5 on top: <https://ngff.openmicroscopy.org>.
//!
//! The crate `zarrs` decodes and encodes chunks. Everything around it is here: metadata documents are
//! read within limits before `zarrs` sees them, damaged chunks are named, and outputs are staged.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::metadata::Scale;
use crate::store::Directory;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod axes;
mod codecs;
mod damage;
mod header;
mod node;
mod ome;
mod reader;
mod template;
mod writer;

use axes::StoredAxes;
use header::ArrayHeader;
use node::{Node, NodeKind};
use ome::Multiscale;
use reader::ZarrReader;

/// Directories above an array in which its OME metadata is looked for.
const MAX_PARENTS: usize = 3;

fn local(directory: &Directory) -> Result<PathBuf> {
    let path = directory.store().local_path(&directory.key(""));
    path.ok_or_else(|| Error::unsupported(directory.place(""), "Zarr that is not local"))
}

/// Adds a scale.
pub(crate) fn add_scale(
    directory: &Directory,
    _factor: [u64; 3],
    _options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    Err(Error::unsupported(directory.place(""), "scales"))
}

/// Whether a directory is a Zarr array or group.
fn is_zarr(path: &Path) -> bool {
    ["zarr.json", ".zarray", ".zgroup"].iter().any(|name| path.join(name).is_file())
}

/// Opens an OME-Zarr group at a scale, or a plain array.
pub(crate) fn open(directory: &Directory, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let path = &local(directory)?;
    let node = Node::read(path, &options.limits)?
        .ok_or_else(|| Error::unsupported(Place::path(path), "not a Zarr array or group"))?;
    let reader = match node.kind {
        NodeKind::Group => open_group(&node, options)?,
        NodeKind::Array => open_array(&node, options)?,
    };
    Ok(Box::new(reader))
}

/// Creates an OME-Zarr group of one scale.
pub(crate) fn create(directory: &Directory, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    Ok(Box::new(writer::ZarrWriter::create(&local(directory)?, options)?))
}

fn open_group(group: &Node, options: &OpenOptions) -> Result<ZarrReader> {
    let place = Place::path(&group.path);
    let ome = Multiscale::of(group)?.ok_or_else(|| no_multiscales(group))?;
    let dataset = ome.datasets.get(index(options)).ok_or_else(|| {
        let found = ome.datasets.len();
        Error::usage(
            place.clone(),
            format!("scale {} does not exist, there are {found}", index(options)),
        )
    })?;
    let array = dataset_node(group, &dataset.path, options)?;
    let header = ArrayHeader::of(&array)?;
    let axes = ome.stored_axes(header.shape.len(), &place)?;
    let mut reader = ZarrReader::new(&group.path, &dataset.path, &array, header, axes, options)?;
    reader.metadata.format = format!("ome-zarr {}", ome.version);
    reader.metadata.scales = scale_shapes(group, &ome, &reader.axes, options)?;
    ome.describe(index(options), &reader.axes, &mut reader.metadata);
    Ok(reader)
}

fn open_array(array: &Node, options: &OpenOptions) -> Result<ZarrReader> {
    if index(options) != 0 {
        let message = format!("scale {} does not exist, a plain array has one", index(options));
        return Err(Error::usage(Place::path(&array.path), message));
    }
    let header = ArrayHeader::of(array)?;
    let place = Place::path(&array.path);
    let parent = ome_parent(array, options)?;
    let axes = match &parent {
        Some((ome, _)) => ome.stored_axes(header.shape.len(), &place)?,
        None => {
            StoredAxes::of_array(header.dimension_names.as_deref(), header.shape.len(), &place)?
        }
    };
    let mut reader = ZarrReader::new(&array.path, "", array, header, axes, options)?;
    reader.metadata.format = format!("zarr v{}", array.zarr_format);
    if let Some((ome, scale)) = parent {
        ome.describe(scale, &reader.axes, &mut reader.metadata);
    }
    Ok(reader)
}

/// The multiscale above an array that lists it, and its scale there.
fn ome_parent(array: &Node, options: &OpenOptions) -> Result<Option<(Multiscale, usize)>> {
    let path = fs::canonicalize(&array.path).map_err(Error::at(&array.path))?;
    for parent in path.ancestors().skip(1).take(MAX_PARENTS) {
        let Some(group) = Node::read(parent, &options.limits)? else { continue };
        let Some(ome) = Multiscale::of(&group)? else { continue };
        let inside = path.strip_prefix(parent).unwrap_or(&path);
        let scale = ome.datasets.iter().position(|dataset| Path::new(&dataset.path) == inside);
        return Ok(scale.map(|scale| (ome, scale)));
    }
    Ok(None)
}

fn scale_shapes(
    group: &Node,
    ome: &Multiscale,
    axes: &StoredAxes,
    options: &OpenOptions,
) -> Result<Vec<Scale>> {
    let shape = |dataset: &ome::Dataset| {
        let header = ArrayHeader::of(&dataset_node(group, &dataset.path, options)?)?;
        Ok(Scale { shape: axes.zyx(&header.shape, 1), voxel_size: None })
    };
    ome.datasets.iter().map(shape).collect()
}

fn dataset_node(group: &Node, dataset: &str, options: &OpenOptions) -> Result<Node> {
    let place = || Place::path(&group.path).with_key(dataset);
    let inside = |c: Component<'_>| matches!(c, Component::Normal(_));
    if dataset.is_empty() || !Path::new(dataset).components().all(inside) {
        return Err(Error::format(place(), "the path of a scale must stay inside the group"));
    }
    match Node::read(&group.path.join(dataset), &options.limits)? {
        Some(node) if node.kind == NodeKind::Array => Ok(node),
        _ => Err(Error::format(place(), "the multiscales list an array that is not there")),
    }
}

fn no_multiscales(group: &Node) -> Error {
    let mut children: Vec<String> = fs::read_dir(&group.path)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_zarr(path))
        .filter_map(|path: PathBuf| Some(path.file_name()?.to_string_lossy().into_owned()))
        .take(20)
        .collect();
    children.sort();
    let inside = if children.is_empty() { "none".to_owned() } else { children.join(", ") };
    let message =
        format!("Zarr group without OME multiscales; name an array inside it (found: {inside})");
    Error::usage(Place::path(&group.path), message)
}

fn index(options: &OpenOptions) -> usize {
    match options.scale {
        crate::ScaleChoice::Index(index) => index,
        crate::ScaleChoice::VoxelSize(_) => 0,
    }
}
