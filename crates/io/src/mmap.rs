//! Bytes of a local file, memory-mapped where the system allows it and read with `pread` where not;
//! and large pages for large blocks. What this crate asks of virtual memory is here.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::volume::FileAccess;

/// A local file whose bytes can be copied out from any offset, by many threads at once.
///
/// No slice of the mapping leaves this module: each copy first asks the system for the file's length
/// now, so that a file truncated by another program gives an error. (A file truncated during one copy
/// can still end the program: no way around this exists for mappings. Where that matters, set
/// `EXAVOX_NO_MMAP=1`.)
#[derive(Debug)]
pub(crate) struct FileBytes {
    path: PathBuf,
    file: File,
    mapping: Option<memmap2::Mmap>,
}

impl FileBytes {
    /// Opens a file and maps it, if it may be mapped.
    pub(crate) fn open(path: &Path, access: FileAccess) -> Result<Self> {
        let file = File::open(path).map_err(Error::at(path))?;
        let mapped = access == FileAccess::Mapped && std::env::var_os("EXAVOX_NO_MMAP").is_none();
        let mapping = if mapped { map(&file) } else { None };
        Ok(Self { path: path.to_owned(), file, mapping })
    }

    /// Length of the file now, in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(Error::at(&self.path))?.len())
    }

    /// Copies `out.len()` bytes from `offset`.
    ///
    /// # Errors
    /// [`Error::Format`] if the file ends before; [`Error::Io`] if the system refuses.
    pub(crate) fn copy_to(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let (end, length) = (offset.saturating_add(out.len() as u64), self.len()?);
        if end > length {
            let message = format!("file is truncated: expected {end} bytes, found {length}");
            return Err(Error::format(Place::path(&self.path), message));
        }
        match &self.mapping {
            Some(mapping) if end <= mapping.len() as u64 => {
                out.copy_from_slice(&mapping[offset as usize..end as usize]);
                Ok(())
            }
            _ => self.file.read_exact_at(out, offset).map_err(Error::at(&self.path)),
        }
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> Option<memmap2::Mmap> {
    // SAFETY: the mapping is private to `FileBytes`, which never lends a slice of it and checks the
    // file's length before each copy. Bytes that another program changes meanwhile are plain data.
    unsafe { memmap2::Mmap::map(file) }.ok()
}

/// Blocks from this size on are worth large pages.
const LARGE_PAGES_FROM: usize = 4 << 20;

/// Asks the system to back a fresh block with large pages. Filling 128 MiB for the first time takes
/// 32,768 page faults of 4 KiB or 64 of 2 MiB: several times the time of the copy itself.
pub(crate) fn prefer_large_pages<T>(block: &mut [T]) {
    #[cfg(target_os = "linux")]
    if size_of_val(block) >= LARGE_PAGES_FROM {
        let page = 4096;
        let first = block.as_mut_ptr().cast::<u8>();
        let skip = first.align_offset(page);
        let length = (size_of_val(block) - skip) / page * page;
        let start = first.wrapping_add(skip).cast();
        // SAFETY: the range lies inside of the block; the advice changes how pages are provided, not
        // what is in them. A system that does not know it says so, which changes nothing.
        #[allow(unsafe_code)]
        let _ = unsafe { rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxHugepage) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = block;
}
