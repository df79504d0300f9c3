//! Finds the chunk that made a read fail, so that the error can name it. Runs after errors only.

use zarrs::array::{Array, ArrayError};
use zarrs::filesystem::FilesystemStore;
use zarrs::storage::StorageError;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::match_dtype;

use super::reader::ZarrReader;

/// The error of a read with the chunk named, by trying the chunks of the region one by one.
pub(super) fn locate(
    reader: &ZarrReader,
    channel: usize,
    region: &BoundingBox,
    error: ArrayError,
) -> Error {
    match try_chunks(reader, channel, region) {
        Err(located) => located,
        // The damage is gone again, or not in a chunk.
        Ok(()) => of_zarrs(reader.place.clone(), error),
    }
}

fn try_chunks(reader: &ZarrReader, channel: usize, region: &BoundingBox) -> Result<()> {
    let chunk = reader.metadata.chunk_shape;
    let aligned = std::array::from_fn(|a| region.start[a] / chunk[a] * chunk[a]);
    for tile in BoundingBox::new(aligned, region.end).tiles(chunk) {
        let Some(part) = tile.intersect(region) else { continue };
        let subset = reader.subset(channel, &part);
        let read = match_dtype!(reader.header.dtype, T => {
            reader.array.retrieve_array_subset::<Vec<T>>(&subset).map(|_| ())
        });
        let index = |unit: &[u64]| -> Vec<u64> {
            subset.start().iter().zip(unit).map(|(s, u)| s / u).collect()
        };
        if let Err(error) = read {
            let header = &reader.header;
            let file = index(header.shard_shape.as_ref().unwrap_or(&header.chunk_shape));
            let place = chunk_place(&reader.place, &reader.array, &file);
            return Err(of_zarrs(place.with_chunk(&index(&header.chunk_shape)), error));
        }
    }
    Ok(())
}

/// The place of the file that holds a chunk or shard.
pub(super) fn chunk_place(place: &Place, array: &Array<FilesystemStore>, indices: &[u64]) -> Place {
    place.clone().with_key(array.chunk_key(indices).to_string())
}

/// An error of `zarrs` as one of ours.
fn of_zarrs(place: Place, error: ArrayError) -> Error {
    match &error {
        ArrayError::StorageError(StorageError::IOError(source)) => {
            Error::io(place, std::io::Error::new(source.kind(), source.to_string()))
        }
        _ => Error::format(place, error.to_string()),
    }
}
