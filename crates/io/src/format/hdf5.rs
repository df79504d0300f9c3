//! HDF5 datasets of 2 to 4 axes (`yx`, `zyx`, `czyx`): <https://docs.hdfgroup.org>. Written with the
//! feature `hdf5-write` alone.
//!
//! The crate `hdf5-reader`, pure Rust, reads only the chunks that a region touches, in parallel.
//! Compression: deflate, shuffle, fletcher32, lz4, szip, nbit, scale-offset; no blosc, no virtual
//! datasets. Voxel size: attribute `resolution` (nm) or `element_size_um` (µm) of the dataset, z, y, x.

use std::path::Path;

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Dataset, H5Type, Hdf5File, SliceInfo, SliceInfoElem};

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::format::slabs::read_by_slabs;
use crate::limits::Limits;
use crate::match_dtype;
use crate::metadata::Metadata;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};
use crate::voxels::Voxels;

mod choose;
mod describe;
#[cfg(feature = "hdf5-write")]
mod write;

/// Opens a dataset; without a name, the only one of 2 to 4 axes that the file has.
pub(crate) fn open(
    path: &Path,
    dataset: Option<&str>,
    options: &OpenOptions,
) -> Result<Box<dyn Reader>> {
    let file = open_file(path, options)?;
    let name = match dataset {
        Some(name) => name.trim_matches('/').to_owned(),
        None => choose::only_dataset(&file, path)?,
    };
    let place = Place::path(path).with_key(&name);
    if options.time > 0 {
        return Err(Error::usage(place, "an HDF5 dataset has one time point here"));
    }
    let dataset = file.dataset(&name).map_err(|error| match root_cause(&error) {
        Hdf5Error::DatasetNotFound(_) | Hdf5Error::GroupNotFound(_) => {
            choose::not_found(&file, path, &name)
        }
        _ => of_hdf5(place.clone(), &error),
    })?;
    let metadata = describe::metadata(&file, &dataset, &place)?;
    let limits = options.limits.clone();
    Ok(Box::new(Hdf5Reader { dataset, metadata, place, limits }))
}

/// Creates a file of one dataset, chunked and with deflate.
#[cfg(feature = "hdf5-write")]
pub(crate) fn create(
    path: &Path,
    dataset: &str,
    options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    Ok(Box::new(write::Hdf5Writer::create(path, dataset, options)?))
}

/// Says which feature is missing.
#[cfg(not(feature = "hdf5-write"))]
pub(crate) fn create(
    path: &Path,
    dataset: &str,
    _options: &WriteOptions,
) -> Result<Box<dyn Writer>> {
    let message = "writing HDF5; build exavox-io with its feature hdf5-write, or write .zarr";
    Err(Error::unsupported(Place::path(path).with_key(dataset), message))
}

fn open_file(path: &Path, options: &OpenOptions) -> Result<Hdf5File> {
    // A stat of our own: the error of the crate has no path.
    path.metadata().map_err(Error::at(path))?;
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let limits = &options.limits;
    let options = hdf5_reader::OpenOptions::default()
        .with_chunk_cache_bytes(bytes(options.cache_bytes))
        .with_max_chunk_bytes(bytes(limits.max_chunk_bytes))
        .with_max_read_bytes(bytes(limits.max_region_bytes))
        .with_max_object_header_bytes(bytes(limits.max_metadata_bytes));
    Hdf5File::open_with_options(path, options).map_err(|e| of_hdf5(Place::path(path), &e))
}

struct Hdf5Reader {
    dataset: Dataset,
    metadata: Metadata,
    place: Place,
    limits: Limits,
}

impl Reader for Hdf5Reader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        if let Some(chunk) = self.stored_chunk() {
            self.limits.check_chunk(&chunk, self.metadata.dtype.size(), &self.place)?;
        }
        let channel = channel as u64;
        read_by_slabs(region, self.metadata.chunk_shape, out, |slab| {
            let selection = selection(self.dataset.ndim(), channel, slab);
            match_dtype!(self.metadata.dtype, T => {
                match read_slice::<T>(&self.dataset, &selection) {
                    Ok(values) => Voxels::from_vec(slab.shape().map(|v| v as usize), values),
                    Err(error) => Err(self.locate(channel, slab, &error)),
                }
            })
        })
    }
}

impl Hdf5Reader {
    /// The error of a read with the chunk named, by trying the chunks of the region one by one.
    fn locate(&self, channel: u64, region: &BoundingBox, error: &Hdf5Error) -> Error {
        let chunk = self.metadata.chunk_shape;
        let aligned = std::array::from_fn(|a| region.start[a] / chunk[a] * chunk[a]);
        for tile in BoundingBox::new(aligned, region.end).tiles(chunk) {
            let Some(part) = tile.intersect(region) else { continue };
            let selection = selection(self.dataset.ndim(), channel, &part);
            let read = match_dtype!(self.metadata.dtype, T => {
                read_slice::<T>(&self.dataset, &selection).map(|_| ())
            });
            if let Err(error) = read {
                return of_hdf5(self.chunk_place(channel, &part), &error);
            }
        }
        of_hdf5(self.place.clone(), error)
    }

    /// Shape of a chunk in stored axes; `None` for a dataset that is not chunked.
    fn stored_chunk(&self) -> Option<Vec<u64>> {
        Some(self.dataset.chunks()?.into_iter().map(u64::from).collect())
    }

    fn chunk_place(&self, channel: u64, part: &BoundingBox) -> Place {
        let Some(chunk) = self.stored_chunk() else { return self.place.clone() };
        let [z, y, x] = part.start;
        let start = [channel, z, y, x].into_iter().skip(4 - chunk.len().min(4));
        let index: Vec<u64> = start.zip(&chunk).map(|(s, c)| s / c).collect();
        self.place.clone().with_chunk(&index)
    }
}

fn read_slice<T: H5Type>(dataset: &Dataset, selection: &SliceInfo) -> Result<Vec<T>, Hdf5Error> {
    let array = dataset.read_slice_parallel::<T>(selection)?;
    // Arrays of the crate are in C order without gaps.
    Ok(array.into_raw_vec_and_offset().0)
}

fn selection(ndim: usize, channel: u64, region: &BoundingBox) -> SliceInfo {
    let slice = |start: u64, end: u64| SliceInfoElem::Slice { start, end, step: 1 };
    let zyx = (0..3).map(|a| slice(region.start[a], region.end[a]));
    let czyx: Vec<_> = std::iter::once(slice(channel, channel + 1)).chain(zyx).collect();
    SliceInfo { selections: czyx.into_iter().skip(4 - ndim.min(4)).collect() }
}

/// An error of the crate as one of ours.
fn of_hdf5(place: Place, error: &Hdf5Error) -> Error {
    match root_cause(error) {
        Hdf5Error::UnsupportedFilter(_) | Hdf5Error::UnsupportedEncoding(_) => {
            Error::unsupported(place, error.to_string())
        }
        Hdf5Error::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::io(place, std::io::Error::new(source.kind(), source.to_string()))
        }
        cause => Error::format(place, cause.to_string()),
    }
}

fn root_cause(error: &Hdf5Error) -> &Hdf5Error {
    match error {
        Hdf5Error::Context { source, .. } => root_cause(source),
        other => other,
    }
}

#[cfg(all(test, feature = "hdf5-write"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::dtype::DataType;

    #[test]
    fn the_crate_keeps_as_many_decoded_chunks_as_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.h5");
        let mut write = WriteOptions::new(DataType::U8, [64; 3]);
        write.chunk_shape = Some([16; 3]);
        let voxels = Voxels::from_vec([64; 3], (0..64 * 64 * 64).map(|i| i as u8).collect());
        let writer = create(&path, "v", &write).unwrap();
        writer.write(0, [0; 3], &voxels.unwrap()).unwrap();
        writer.finish().unwrap();
        for bound in [0, 10_000, 1 << 20] {
            let options = OpenOptions::default().with_cache_bytes(bound);
            let file = open_file(&path, &options).unwrap();
            let dataset = file.dataset("v").unwrap();
            let whole = selection(3, 0, &BoundingBox::whole([64; 3]));
            assert_eq!(read_slice::<u8>(&dataset, &whole).unwrap().len(), 64 * 64 * 64);
            let kept = dataset.chunk_cache_stats().current_bytes as u64;
            assert!(kept <= bound && (bound == 0 || kept > 0), "{kept} of {bound}");
        }
    }
}
