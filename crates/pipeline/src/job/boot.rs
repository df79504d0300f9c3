//! Whether this machine was restarted since blocks were written that were not synced.

use std::fs;
use std::path::Path;

use crate::error::Result;

/// A name for the time since this machine was started, where Linux gives one.
fn current() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// Notes the present boot; true if the job was worked on in an earlier one.
pub(super) fn changed(folder: &Path) -> Result<bool> {
    let path = folder.join("boot");
    let Some(current) = current() else { return Ok(false) };
    let before = fs::read_to_string(&path).ok();
    if before.as_deref() == Some(&current) {
        return Ok(false);
    }
    exavox_io::staging::write_whole(&path, current.as_bytes())?;
    Ok(before.is_some())
}
