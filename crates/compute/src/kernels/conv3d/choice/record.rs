//! Choices of earlier runs: a file of lines `KEY<tab>METHOD` in the user's cache directory. It may be
//! missing, unwritable or deleted at any time; all that costs is trying again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Kernels change with the program, and what is fastest with them.
const FILE: &str = concat!("conv3d-", env!("CARGO_PKG_VERSION"), ".tsv");

fn path() -> Option<PathBuf> {
    let from = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let cache = from("XDG_CACHE_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("exavox").join(FILE))
}

pub(super) fn read(key: &str) -> Option<String> {
    find(&path()?, key)
}

pub(super) fn write(key: &str, method: &str) {
    // Nothing is lost if it cannot be kept.
    let _ = path().map(|path| append(&path, key, method));
}

/// The last line counts.
fn find(path: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().rev().filter_map(|line| line.split_once('\t')).find(|(k, _)| *k == key);
    line.map(|(_, method)| method.to_owned())
}

/// One write of one line, so that runs that end at the same time do not mix theirs.
fn append(path: &Path, key: &str, method: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let line = format!("{}\t{method}\n", key.replace(['\t', '\n'], " "));
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_choice_counts_and_damage_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache/conv3d.tsv");
        assert_eq!(find(&path, "a"), None);
        append(&path, "a", "rows 8").unwrap();
        append(&path, "b", "rows 24").unwrap();
        append(&path, "a", "tiles 1").unwrap();
        assert_eq!(find(&path, "a").as_deref(), Some("tiles 1"));
        assert_eq!(find(&path, "b").as_deref(), Some("rows 24"));
        fs::write(&path, b"no tab\na\trows 8\na").unwrap();
        assert_eq!(find(&path, "a").as_deref(), Some("rows 8"));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(find(&path, "a"), None);
    }
}
