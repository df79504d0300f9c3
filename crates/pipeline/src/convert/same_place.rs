//! Keeps a conversion from replacing what it reads.

use std::path::{Path, PathBuf};

use exavox_io::location::Location;

use crate::error::{Error, Result};

/// `Ok` unless the target is the source, or a folder that holds it.
pub(crate) fn refuse(source: &str, target: &str) -> Result<()> {
    let (from, to): (Location, Location) = (source.parse()?, target.parse()?);
    let replaced = match (&from, &to) {
        (Location::Pattern(from), Location::Pattern(to)) => resolve(from) == resolve(to),
        // Planes written into the folder that is read: the next reader would see both.
        (_, Location::Pattern(to)) => {
            resolve(to).parent().is_some_and(|folder| resolve_path(from.path()) == folder)
        }
        (Location::Pattern(from), _) => resolve(from).starts_with(resolve_path(to.path())),
        _ => resolve_path(from.path()).starts_with(resolve_path(to.path())),
    };
    if replaced {
        let message = format!("would replace what is read ({source}); choose another name");
        return Err(Error::settings(target, message));
    }
    Ok(())
}

fn resolve(text: &str) -> PathBuf {
    resolve_path(Path::new(text))
}

/// The path without links and dots, as far as it exists.
fn resolve_path(path: &Path) -> PathBuf {
    if let Ok(resolved) = path.canonicalize() {
        return resolved;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if parent.as_os_str().is_empty() => {
            Path::new(".").canonicalize().unwrap_or_default().join(name)
        }
        (Some(parent), Some(name)) => resolve_path(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_source_and_what_holds_it_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let name = |rest: &str| folder.path().join(rest).display().to_string();
        std::fs::create_dir_all(folder.path().join("a.zarr/0")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a.zarr"), folder.path().join("b.zarr"))
            .unwrap();
        for (from, to, refused) in [
            ("a.zarr", "a.zarr", true),
            ("a.zarr", "a.zarr/0/..", true),
            ("a.zarr", "b.zarr", true),
            ("a.zarr/0", "a.zarr", true),
            ("a.zarr", "a.zarr.zarr", false),
            ("a.zarr", "new/c.zarr", false),
            ("a.h5:raw", "a.npy", false),
            ("p_{z}.tif", "p_{z}.tif", true),
            ("p_{z}.tif", "q_{z}.tif", false),
            ("a.zarr", "a.zarr/{z}.tif", true),
            ("a.raw:uint8:1,2,3", "a.raw", true),
        ] {
            assert_eq!(refuse(&name(from), &name(to)).is_err(), refused, "{from} -> {to}");
        }
    }
}
