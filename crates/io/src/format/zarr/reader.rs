//! Regions of a Zarr array.

use std::path::Path;

use zarrs::array::{Array, ArrayMetadata, ArraySubset};
use zarrs::filesystem::FilesystemStore;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::format::slabs::read_by_slabs;
use crate::geometry::Axis;
use crate::limits::Limits;
use crate::match_dtype;
use crate::metadata::{Metadata, numbered_channels};
use crate::volume::{OpenOptions, Reader};
use crate::voxels::Voxels;

use super::axes::StoredAxes;
use super::header::ArrayHeader;
use super::node::Node;
use super::{codecs, damage};

/// Channels that an array may claim.
const MAX_CHANNELS: u64 = 1 << 16;
/// Bytes of one entry in a shard's index.
const INDEX_ENTRY_BYTES: usize = 16;

/// An array open for reading, at one time point.
pub(super) struct ZarrReader {
    pub(super) metadata: Metadata,
    pub(super) axes: StoredAxes,
    pub(super) header: ArrayHeader,
    pub(super) array: Array<FilesystemStore>,
    pub(super) place: Place,
    time: u64,
    limits: Limits,
}

impl ZarrReader {
    /// Opens the array `inside` (empty for the directory itself) of the directory `root`.
    pub(super) fn new(
        root: &Path,
        inside: &str,
        node: &Node,
        header: ArrayHeader,
        axes: StoredAxes,
        options: &OpenOptions,
    ) -> Result<Self> {
        codecs::register();
        let place = Place::path(root);
        let times = axes.get(&header.shape, Axis::T).unwrap_or(1);
        let time = options.time as u64;
        if time >= times {
            let message = format!("time {time} does not exist, there are {times}");
            return Err(Error::usage(place.with_axis(Axis::T), message));
        }
        let metadata = describe(&header, &axes, &place)?;
        let array = open_array(root, inside, node, &place)?;
        let limits = options.limits.clone();
        Ok(Self { metadata, axes, header, array, place, time, limits })
    }

    /// Start and shape of a region in stored axes.
    pub(super) fn subset(&self, channel: usize, region: &BoundingBox) -> ArraySubset {
        let (start, shape) = self.axes.subset(self.time, channel as u64, region);
        let ranges: Vec<_> = start.iter().zip(&shape).map(|(s, n)| *s..*s + *n).collect();
        ArraySubset::new_with_ranges(&ranges)
    }

    fn check_chunks(&self) -> Result<()> {
        let header = &self.header;
        self.limits.check_chunk(&header.chunk_shape, header.dtype.size(), &self.place)?;
        if let Some(shard) = &header.shard_shape {
            let counts: Vec<u64> =
                shard.iter().zip(&header.chunk_shape).map(|(s, c)| s / c).collect();
            self.limits.check_chunk(&counts, INDEX_ENTRY_BYTES, &self.place)?;
        }
        Ok(())
    }
}

impl Reader for ZarrReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        self.check_chunks()?;
        read_by_slabs(region, self.metadata.chunk_shape, out, |slab| {
            let subset = self.subset(channel, slab);
            match_dtype!(self.header.dtype, T => {
                match self.array.retrieve_array_subset::<Vec<T>>(&subset) {
                    Ok(values) => Voxels::from_vec(slab.shape().map(|v| v as usize), values),
                    Err(error) => Err(damage::locate(self, channel, slab, error)),
                }
            })
        })
    }
}

fn describe(header: &ArrayHeader, axes: &StoredAxes, place: &Place) -> Result<Metadata> {
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

fn open_array(
    root: &Path,
    inside: &str,
    node: &Node,
    place: &Place,
) -> Result<Array<FilesystemStore>> {
    let place = || if inside.is_empty() { place.clone() } else { place.clone().with_key(inside) };
    let metadata: ArrayMetadata = serde_json::from_value(node.document.clone())
        .map_err(|e| Error::format(place(), format!("array metadata: {e}")))?;
    let store =
        FilesystemStore::new(root).map_err(|e| Error::unsupported(place(), e.to_string()))?;
    // What is left to be wrong here is a codec or a fill value that `zarrs` does not know.
    Array::new_with_metadata(store.into(), &format!("/{inside}"), metadata)
        .map_err(|e| Error::unsupported(place(), e.to_string()))
}
