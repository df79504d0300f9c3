//! Files in which the stages of a step hand things to each other: one for each block, or for the stage.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use exavox_io::Place;
use exavox_io::staging::{Staged, WriteMode};
use exavox_io::store::Durability;

use crate::blocks::Digest;
use crate::error::{Error, Result};
use crate::records::{Record, RecordFile, RecordWriter, Written};

/// Blocks whose files share a folder.
const FOLDER: u64 = 4096;

/// The file of a block: `FOLDER/0/17.surface`.
pub(super) fn of_block(folder: &Path, block: u64, extension: &str) -> PathBuf {
    folder.join((block / FOLDER).to_string()).join(format!("{block}.{extension}"))
}

/// Writes a file that appears, or replaces another, whole.
pub(super) fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let staged = Staged::new(path, WriteMode::Overwrite)?;
    let written = File::create(staged.path()).and_then(|mut file| file.write_all(bytes));
    written.map_err(io_error(staged.path()))?;
    match durability {
        Durability::Synced => staged.commit_synced()?,
        Durability::Buffered => staged.commit()?,
    }
    Ok(())
}

/// Whether a file is there; a disk that does not answer does not say no.
pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(io_error(path))
}

/// Reads a file that has at most so many bytes.
pub(super) fn read(path: &Path, most: usize) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(io_error(path))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() > most {
        let message = format!("expected at most {most} bytes");
        return Err(Error::settings(path.display().to_string(), message));
    }
    Ok(bytes)
}

/// Writes records as a file that appears whole.
pub(super) fn write_records<T: Record>(
    path: &Path,
    records: &[T],
    durability: Durability,
) -> Result<Written> {
    let mut writer = RecordWriter::create(path)?;
    writer.extend(records)?;
    match durability {
        Durability::Synced => writer.finish(),
        Durability::Buffered => writer.finish_unsynced(),
    }
}

/// Digest of records, as they were written.
pub(super) fn written_digest(written: Written) -> Digest {
    digest_of(written.count, written.digest)
}

/// Digest of the records of a file, all of which are read.
pub(super) fn records_digest<T: Record>(path: &Path) -> Result<Digest> {
    let file = RecordFile::<T>::open(path)?;
    let digest = digest_of(file.len(), file.digest());
    file.reader().try_for_each(|record| record.map(drop))?;
    Ok(digest)
}

fn digest_of(count: u64, digest: u32) -> Digest {
    Digest::of_parts([&count.to_le_bytes()[..], &digest.to_le_bytes()[..]])
}

/// Removes a file that is of no use any more; it is in nobody's way if it stays.
pub(super) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| exavox_io::Error::io(Place::path(path), source).into()
}
