//! Which files are meant.

use std::path::{Path, PathBuf};

use exavox_io::Place;

use super::stem;
use super::swc::Skeleton;
use crate::error::{Error, Result};

/// Skeletons at most.
const MOST_FILES: usize = 1 << 20;
/// Nodes of all of them at most.
const MOST_NODES: usize = 1 << 25;

/// Reads all skeletons, those of a folder in the order of the numbers that their names are.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Skeleton>> {
    let mut skeletons = Vec::new();
    let mut nodes = 0;
    for path in all_files(paths)? {
        let skeleton = Skeleton::read(&path)?;
        nodes += skeleton.nodes.len();
        if nodes > MOST_NODES {
            let message = format!("expected at most {MOST_NODES} nodes in all skeletons");
            return Err(Error::settings(path.display().to_string(), message));
        }
        skeletons.push(skeleton);
    }
    Ok(skeletons)
}

fn all_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let pattern = name.filter(|name| name.contains('*') && !path.exists());
        match pattern {
            Some(pattern) => files.extend(matching(&parent(path), &pattern, path)?),
            None if path.is_dir() => files.extend(matching(path, "*.swc", path)?),
            None => files.push(path.clone()),
        }
        if files.len() > MOST_FILES {
            let message = format!("expected at most {MOST_FILES} skeletons");
            return Err(Error::settings(path.display().to_string(), message));
        }
    }
    Ok(files)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn matching(folder: &Path, pattern: &str, place: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::from(exavox_io::Error::io(Place::path(folder), source));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if fits(&entry.file_name().to_string_lossy().to_ascii_lowercase(), pattern) {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        let message = format!("expected files like {pattern}, found none");
        return Err(Error::settings(place.display().to_string(), message));
    }
    // "10" comes after "9".
    files.sort_by_cached_key(|path| {
        let stem = stem(path);
        (stem.parse::<u64>().unwrap_or(u64::MAX), stem)
    });
    Ok(files)
}

/// Whether a name, in lower case, is made like a pattern in which `*` stands for anything.
fn fits(name: &str, pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (name, pattern, expected) in [
            ("12.swc", "*.swc", true),
            (".swc", "*.swc", true),
            ("12.swc.gz", "*.swc", false),
            ("axon_3_b.swc", "axon_*_b.swc", true),
            ("axon_3_b.swc", "AXON_*.swc", true),
            ("axon_b.swc", "axon_*_b.swc", false),
            ("abab", "a*b*ab", true),
            ("aab", "a*b*ab", false),
            ("a", "a", true),
            ("ab", "a", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
