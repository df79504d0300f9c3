//! Bounds on what a file may make this crate allocate.

use crate::error::{Error, Place, Result};

/// Bounds on memory that a file's header can ask for. Checked before anything is allocated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one region read into memory. Default: three quarters of the memory that the
    /// machine has available, 16 GiB where that is unknown.
    pub max_region_bytes: u64,
    /// Bytes of one decoded chunk, strip or tile. Default 4 GiB.
    pub max_chunk_bytes: u64,
    /// Bytes of one metadata document or header. Default 64 MiB.
    pub max_metadata_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let available = available_memory().unwrap_or(64 << 30) / 4 * 3;
        Self {
            max_region_bytes: available.min(1 << 60),
            max_chunk_bytes: 4 << 30,
            max_metadata_bytes: 64 << 20,
        }
    }
}

impl Limits {
    /// `Ok(bytes)` if a region of `shape` voxels of `size` bytes may be read.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] with the bytes needed.
    pub fn check_region(&self, shape: &[u64], size: usize, place: &Place) -> Result<usize> {
        check(shape, size, self.max_region_bytes, "a region", place)
    }

    /// `Ok(bytes)` if a chunk of `shape` voxels of `size` bytes may be decoded.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] with the bytes needed.
    pub fn check_chunk(&self, shape: &[u64], size: usize, place: &Place) -> Result<usize> {
        check(shape, size, self.max_chunk_bytes, "a chunk", place)
    }
}

fn check(shape: &[u64], size: usize, limit: u64, what: &str, place: &Place) -> Result<usize> {
    let needed = shape.iter().fold(size as u64, |n, s| n.saturating_mul(*s));
    if needed > limit {
        let what = format!("{what} of shape {shape:?}");
        return Err(Error::LimitExceeded { place: place.clone(), what, needed, limit });
    }
    Ok(needed as usize)
}

/// Memory that programs can still take, in bytes, as Linux estimates it; `None` elsewhere.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
