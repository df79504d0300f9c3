//! Files of the ledger: a journal to which one attempt appends what it has done, and the seal of a page
//! of blocks that are all done.
//!
//! A journal is a header and records of 24 bytes, each with a check sum of its own: whatever follows the
//! first record that does not check was torn by a kill, and does not count. A seal holds the digests of
//! all blocks of its page, appears by a rename, and counts whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use exavox_io::Place;

use super::Digest;
use crate::error::{Error, Result};

/// Blocks of a page. A seal takes 32 KiB then.
pub(super) const PAGE: u64 = 4096;

const JOURNAL: &[u8; 8] = b"exvxjrn1";
const SEAL: &[u8; 8] = b"exvxsea1";
const RECORD: usize = 24;
const HEADER: usize = 16;

/// A journal that is being written by this process alone.
#[derive(Debug)]
pub(super) struct JournalWriter {
    path: PathBuf,
    file: File,
    salt: u32,
}

impl JournalWriter {
    /// Begins a journal of a stage whose parameters have this digest.
    pub(super) fn create(path: &Path, parameters: Digest) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error(parent))?;
        }
        let mut file =
            File::options().append(true).create_new(true).open(path).map_err(io_error(path))?;
        file.write_all(&header(JOURNAL, parameters)).map_err(io_error(path))?;
        Ok(Self { path: path.to_owned(), file, salt: salt(parameters) })
    }

    /// Appends that a block is done; with `synced`, it is on the disk when this returns.
    pub(super) fn record(&mut self, block: u64, digest: Digest, synced: bool) -> Result<()> {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&block.to_le_bytes());
        record[8..16].copy_from_slice(&digest.0.to_le_bytes());
        let check = crc32c::crc32c_append(self.salt, &record[..16]);
        record[16..20].copy_from_slice(&check.to_le_bytes());
        self.file.write_all(&record).map_err(io_error(&self.path))?;
        if synced {
            self.file.sync_data().map_err(io_error(&self.path))?;
        }
        Ok(())
    }
}

/// The blocks of a journal, up to where it was torn; none if it belongs to other parameters, is no
/// journal, or has been removed meanwhile because its page was sealed.
pub(super) fn read_journal(path: &Path, parameters: Digest) -> Result<Vec<(u64, Digest)>> {
    let Some(bytes) = read(path)? else { return Ok(Vec::new()) };
    if bytes.len() < HEADER || bytes[..HEADER] != header(JOURNAL, parameters) {
        return Ok(Vec::new());
    }
    let salt = salt(parameters);
    let records = bytes[HEADER..].chunks_exact(RECORD).map_while(|record| {
        let check = crc32c::crc32c_append(salt, &record[..16]);
        (record[16..20] == check.to_le_bytes())
            .then(|| (number(&record[..8]), Digest(number(&record[8..16]))))
    });
    Ok(records.collect())
}

/// Writes the seal of a page: all its blocks are done, with these digests.
pub(super) fn write_seal(path: &Path, parameters: Digest, digests: &[Digest]) -> Result<()> {
    let mut bytes = header(SEAL, parameters).to_vec();
    digests.iter().for_each(|digest| bytes.extend(digest.0.to_le_bytes()));
    let check = crc32c::crc32c(&bytes);
    bytes.extend(check.to_le_bytes());
    exavox_io::staging::write_whole(path, &bytes)?;
    Ok(())
}

/// Digests of the blocks of a sealed page; `None` if it is not sealed for these parameters, or its seal
/// is damaged.
pub(super) fn read_seal(
    path: &Path,
    parameters: Digest,
    blocks: u64,
) -> Result<Option<Vec<Digest>>> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let expected = HEADER + blocks as usize * 8 + 4;
    if bytes.len() != expected || bytes[..HEADER] != header(SEAL, parameters) {
        return Ok(None);
    }
    let (content, check) = bytes.split_at(expected - 4);
    if check != crc32c::crc32c(content).to_le_bytes() {
        return Ok(None);
    }
    Ok(Some(content[HEADER..].chunks_exact(8).map(|d| Digest(number(d))).collect()))
}

/// Largest file of a ledger that is read: a journal in which each block of a page was done many times.
const LARGEST: u64 = 64 << 20;

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io_error(path))?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(io_error(path))?;
    Ok(Some(bytes))
}

fn header(magic: &[u8; 8], parameters: Digest) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(magic);
    header[8..].copy_from_slice(&parameters.0.to_le_bytes());
    header
}

/// Records check only in a journal of their own parameters.
fn salt(parameters: Digest) -> u32 {
    crc32c::crc32c(&parameters.0.to_le_bytes())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| exavox_io::Error::io(Place::path(path), source).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PARAMETERS: Digest = Digest(7);

    fn journal(folder: &Path) -> (PathBuf, Vec<(u64, Digest)>) {
        let path = folder.join("0.a.log");
        let mut writer = JournalWriter::create(&path, PARAMETERS).unwrap();
        let records: Vec<_> = [3, 0, 4095].map(|b| (b, Digest(b * 11 + 1))).to_vec();
        records.iter().for_each(|(block, digest)| writer.record(*block, *digest, false).unwrap());
        (path, records)
    }

    #[test]
    fn a_journal_counts_up_to_where_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let (path, records) = journal(folder.path());
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let read = read_journal(&path, PARAMETERS).unwrap();
            assert_eq!(read, records[..length.saturating_sub(HEADER) / RECORD], "{length}");
        }
    }

    #[test]
    fn a_changed_byte_ends_a_journal_and_voids_a_seal() {
        let folder = tempfile::tempdir().unwrap();
        let (path, records) = journal(folder.path());
        let whole = fs::read(&path).unwrap();
        // The last four bytes of a record are not used.
        for at in (0..whole.len()).filter(|at| *at < HEADER || (at - HEADER) % RECORD < 20) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            let read = read_journal(&path, PARAMETERS).unwrap();
            assert_eq!(read, records[..at.saturating_sub(HEADER) / RECORD], "{at}");
        }
        let digests: Vec<_> = (0..10).map(Digest).collect();
        let seal = folder.path().join("0.done");
        write_seal(&seal, PARAMETERS, &digests).unwrap();
        assert_eq!(read_seal(&seal, PARAMETERS, 10).unwrap(), Some(digests));
        assert_eq!(read_seal(&seal, Digest(8), 10).unwrap(), None);
        assert_eq!(read_seal(&seal, PARAMETERS, 9).unwrap(), None);
        let whole = fs::read(&seal).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&seal, &bytes).unwrap();
            assert_eq!(read_seal(&seal, PARAMETERS, 10).unwrap(), None, "{at}");
        }
    }

    #[test]
    fn a_journal_of_other_parameters_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = journal(folder.path());
        assert!(read_journal(&path, Digest(8)).unwrap().is_empty());
        assert!(JournalWriter::create(&path, PARAMETERS).is_err());
    }
}
