//! What the blocks of one stage leave for the stages after it: a file each, whole or not there.

use std::path::PathBuf;

use exavox_io::store::Durability;

use super::files;
use crate::blocks::{BlockWorker, Digest, Stage};
use crate::error::{Error, Result};

/// Longest file that is read.
const LARGEST: usize = 1 << 30;

/// Files of a stage, `FOLDER/0/17.part`: the digest of what follows, and that.
#[derive(Debug)]
pub(super) struct PartFiles {
    folder: PathBuf,
    durability: Durability,
}

impl PartFiles {
    /// Files in a folder, which is made when the first one is written.
    pub(super) fn new(folder: PathBuf, durability: Durability) -> Self {
        Self { folder, durability }
    }

    /// Writes what a block leaves.
    pub(super) fn write(&self, block: u64, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let whole = [&digest.0.to_le_bytes()[..], bytes].concat();
        files::write(&self.path(block), &whole, self.durability)?;
        Ok(digest)
    }

    /// What a block has left.
    ///
    /// # Errors
    /// If it is not there, or damaged.
    pub(super) fn read(&self, block: u64) -> Result<Vec<u8>> {
        let mut bytes = files::read(&self.path(block), LARGEST)?;
        match bytes.split_first_chunk() {
            Some((digest, rest)) if Digest::of(rest).0.to_le_bytes() == *digest => {
                Ok(bytes.split_off(8))
            }
            _ => Err(self.damaged(block)),
        }
    }

    /// Digest of what a block has left.
    pub(super) fn digest(&self, block: u64) -> Result<Digest> {
        Ok(Digest::of(&self.read(block)?))
    }

    /// The error for a file that does not hold what it should.
    pub(super) fn damaged(&self, block: u64) -> Error {
        Error::settings(
            self.path(block).display().to_string(),
            "damaged; the job must be begun anew",
        )
    }

    fn path(&self, block: u64) -> PathBuf {
        files::of_block(&self.folder, block, "part")
    }
}

/// Computes what a block leaves.
type MakePart<'a> = Box<dyn Fn(u64) -> Result<Vec<u8>> + Send + Sync + 'a>;

/// A stage of which each block leaves a file.
pub(super) struct PartStage<'a> {
    pub(super) files: PartFiles,
    pub(super) make: MakePart<'a>,
    pub(super) describe: Box<dyn Fn(u64) -> String + Send + Sync + 'a>,
}

impl Stage for PartStage<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        Ok(Box::new(|block| self.files.write(block, &(self.make)(block)?)))
    }

    fn describe(&self, block: u64) -> String {
        (self.describe)(block)
    }

    fn digest(&self, block: u64) -> Result<Digest> {
        self.files.digest(block)
    }
}

/// Several byte strings as one, each after its length.
pub(super) fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    bytes
}

/// The byte strings of [`joined`], if there are so many.
pub(super) fn split(mut bytes: &[u8], count: usize) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
        parts.push(part);
        bytes = rest;
    }
    bytes.is_empty().then_some(parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let files = PartFiles::new(folder.path().join("a"), Durability::Buffered);
        let digest = files.write(5000, b"table").unwrap();
        assert_eq!(files.write(5000, b"table").unwrap(), digest);
        assert_eq!(files.read(5000).unwrap(), b"table");
        assert_eq!(files.digest(5000).unwrap(), digest);
        assert!(files.read(1).is_err());
        let path = folder.path().join("a/1/5000.part");
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(files.read(5000).unwrap_err().to_string().contains("1/5000.part"), "{length}");
        }
    }

    #[test]
    fn strings_are_joined_and_split() {
        let parts = [b"ab".to_vec(), Vec::new(), b"c".to_vec()];
        let bytes = joined(&parts);
        assert_eq!(split(&bytes, 3).unwrap(), [&b"ab"[..], b"", b"c"]);
        assert!(split(&bytes, 2).is_none() && split(&bytes[..bytes.len() - 1], 3).is_none());
    }
}
