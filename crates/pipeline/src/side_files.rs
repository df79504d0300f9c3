//! Files beside a volume that is written: tables, reports, the state of a run that is under way.

use std::path::{Path, PathBuf};

use exavox_io::location::Location;
use exavox_io::{Error as IoError, Place};

use crate::error::{Error, Result};

/// Refuses an output that has no place on a local disk for files beside it.
pub(crate) fn check_local(target: &str) -> Result<()> {
    let path = path_of(target);
    if path.to_string_lossy().contains("://") {
        let message = "expected a local output, because files are written beside it; copy it there \
                       afterwards (exavox convert)";
        return Err(Error::settings(target, message));
    }
    match path.file_name() {
        Some(_) => Ok(()),
        None => Err(IoError::usage(Place::path(&path), "not a name for an output").into()),
    }
}

/// `a/labels.zarr` -> `a/labels.SUFFIX`.
pub(crate) fn beside(target: &str, suffix: &str) -> PathBuf {
    let path = path_of(target);
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("{stem}.{suffix}"))
}

/// `a/labels.zarr` -> `a/.labels.zarr.SUFFIX`: of a run that is under way.
pub(crate) fn hidden_beside(target: &str, suffix: &str) -> PathBuf {
    let path = path_of(target);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// The path in a name: `n5://a/labels` -> `a/labels`.
fn path_of(target: &str) -> PathBuf {
    let location = target.parse::<Location>();
    let path = location.map_or_else(|_| Path::new(target).to_owned(), |l| l.path().to_owned());
    let text = path.to_string_lossy();
    text.strip_prefix("file://").map_or_else(|| path.clone(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_beside_the_volume_whatever_its_name_says_of_the_format() {
        for name in
            ["a/labels.zarr", "a/labels.zarr/", "zarr://a/labels.zarr", "file://a/labels.zarr"]
        {
            assert_eq!(beside(name, "segments.csv"), Path::new("a/labels.segments.csv"), "{name}");
            assert_eq!(hidden_beside(name, "x"), Path::new("a/.labels.zarr.x"), "{name}");
            assert!(check_local(name).is_ok(), "{name}");
        }
        assert_eq!(beside("n5://labels", "report.html"), Path::new("labels.report.html"));
        assert_eq!(beside("/a/l.h5:seg", "report.html"), Path::new("/a/l.report.html"));
    }

    #[test]
    fn outputs_without_a_local_place_are_refused() {
        for name in ["s3://bucket/l.zarr", "precomputed://gs://bucket/l", "https://host/l.zarr"] {
            let error = check_local(name).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(name) && error.contains("expected a local output"), "{error}");
        }
        assert!(check_local("..").is_err());
    }
}
