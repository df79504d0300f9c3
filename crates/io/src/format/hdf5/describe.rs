//! Metadata of an HDF5 dataset.

use hdf5_reader::messages::HdfMessage;
use hdf5_reader::{Dataset, Datatype, Hdf5File};

use crate::dtype::{DataType, Element};
use crate::error::{Error, Place, Result};
use crate::geometry::{Axis, VoxelSize};
use crate::match_dtype;
use crate::metadata::{Metadata, numbered_channels};

/// Channels that a dataset may claim.
const MAX_CHANNELS: u64 = 1 << 16;

pub(super) fn metadata(file: &Hdf5File, dataset: &Dataset, place: &Place) -> Result<Metadata> {
    let (channels, shape, axes) = match *dataset.shape() {
        [y, x] => (1, [1, y, x], "yx"),
        [z, y, x] => (1, [z, y, x], "zyx"),
        [c, z, y, x] => (c, [z, y, x], "czyx"),
        _ => {
            let message = format!("dataset of {} axes; expected 2 to 4 (czyx)", dataset.ndim());
            return Err(Error::unsupported(place.clone(), message));
        }
    };
    if !(1..=MAX_CHANNELS).contains(&channels) {
        let message = format!("{channels} channels; expected 1 to {MAX_CHANNELS}");
        return Err(Error::format(place.clone().with_axis(Axis::C), message));
    }
    let mut metadata = Metadata::new("hdf5", dtype(dataset, place)?, shape);
    metadata.channels = numbered_channels(channels as usize);
    metadata.stored_axes = axes.to_owned();
    metadata.chunk_shape = chunk_shape(dataset, metadata.chunk_shape, place)?;
    metadata.codecs = codecs(file, dataset);
    metadata.voxel_size = voxel_size(dataset);
    Ok(metadata)
}

fn dtype(dataset: &Dataset, place: &Place) -> Result<DataType> {
    dtype_of(dataset.dtype()).ok_or_else(|| {
        let known = DataType::ALL.map(DataType::name).join(", ");
        let message = format!("HDF5 type {:?}; known are {known}", dataset.dtype());
        Error::unsupported(place.clone(), message)
    })
}

fn dtype_of(datatype: &Datatype) -> Option<DataType> {
    match datatype {
        Datatype::FixedPoint { size, signed: false, .. } => {
            DataType::from_kind('u', (*size).into())
        }
        Datatype::FixedPoint { size, signed: true, .. } => DataType::from_kind('i', (*size).into()),
        Datatype::FloatingPoint { size, .. } => DataType::from_kind('f', (*size).into()),
        _ => None,
    }
}

/// Chunks along z, y and x; a plane for a dataset without chunks.
fn chunk_shape(dataset: &Dataset, plane: [u64; 3], place: &Place) -> Result<[u64; 3]> {
    let Some(chunk) = dataset.chunks() else { return Ok(plane.map(|v| v.max(1))) };
    if chunk.len() != dataset.ndim() || chunk.contains(&0) {
        let message = format!("chunks of {chunk:?} for a dataset of {:?}", dataset.shape());
        return Err(Error::format(place.clone(), message));
    }
    let from_end = |n: usize| chunk.iter().rev().nth(n).map_or(1, |v| u64::from(*v));
    Ok([from_end(2), from_end(1), from_end(0)])
}

fn codecs(file: &Hdf5File, dataset: &Dataset) -> Vec<String> {
    let Ok(header) = file.get_or_parse_header(dataset.address()) else { return Vec::new() };
    let pipeline = header.messages.iter().find_map(|message| match message {
        HdfMessage::FilterPipeline(pipeline) => Some(pipeline),
        _ => None,
    });
    pipeline.map(|p| p.filters.iter().map(|f| filter_name(f.id)).collect()).unwrap_or_default()
}

fn filter_name(id: u16) -> String {
    let name = match id {
        1 => "deflate",
        2 => "shuffle",
        3 => "fletcher32",
        4 => "szip",
        5 => "nbit",
        6 => "scaleoffset",
        32000 => "lzf",
        32001 => "blosc",
        32004 => "lz4",
        32015 => "zstd",
        _ => return format!("filter {id}"),
    };
    name.to_owned()
}

/// `resolution` in nanometres, as CREMI has it, or `element_size_um` in micrometres.
fn voxel_size(dataset: &Dataset) -> Option<VoxelSize> {
    let numbers = |name: &str| -> Option<[f64; 3]> {
        let attribute = dataset.attribute(name).ok()?;
        if attribute.num_elements().ok()? != 3 {
            return None;
        }
        let values: Vec<f64> = match_dtype!(dtype_of(&attribute.datatype)?, T => {
            attribute.read_1d::<T>().ok()?.into_iter().map(Element::to_f64).collect()
        });
        values.try_into().ok()
    };
    let nm = numbers("resolution");
    let nm = nm.or_else(|| numbers("element_size_um").map(|um| um.map(|v| v * 1e3)));
    VoxelSize::from_nm_zyx(nm?)
}
