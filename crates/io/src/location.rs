//! Names of volumes on the command line and in settings, taken apart.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};

/// Where a volume is, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file or directory whose format its content tells.
    Path(PathBuf),
    /// `file.h5:dataset`.
    Dataset {
        /// The HDF5 file.
        path: PathBuf,
        /// Path of the dataset inside the file, `raw` or `volumes/raw`.
        dataset: String,
    },
    /// `file.raw:uint8:z,y,x`, for data without a header.
    Raw {
        /// The file.
        path: PathBuf,
        /// Element type.
        dtype: DataType,
        /// Voxels of `[channel, z, y, x]`.
        shape: [u64; 4],
    },
    /// A volume of many objects with its format given, or behind a URL: `n5://data/v.n5`,
    /// `s3://bucket/v.zarr`, `precomputed://gs://bucket/labels`.
    Array {
        /// The format, if the name gives it; else the content tells.
        format: Option<ArrayFormat>,
        /// Path or URL.
        address: String,
    },
    /// `images/mosaic_{channel}_z{z}.tif`, or `regex:images/mosaic_(?P<channel>.+)_z(?P<z>[0-9]+)[.]tif`:
    /// one file per plane.
    Pattern(String),
}

/// Formats made of many objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayFormat {
    /// OME-Zarr and Zarr v2 and v3, `zarr://`.
    Zarr,
    /// N5, `n5://`.
    N5,
    /// Neuroglancer precomputed, `precomputed://`.
    Precomputed,
}

impl Location {
    /// Path of the file or directory; the text of a pattern or URL.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Dataset { path, .. } | Self::Raw { path, .. } => path,
            Self::Array { address: text, .. } | Self::Pattern(text) => Path::new(text),
        }
    }

    fn array(text: &str) -> Option<Self> {
        let forced = [
            ("zarr://", ArrayFormat::Zarr),
            ("n5://", ArrayFormat::N5),
            ("precomputed://", ArrayFormat::Precomputed),
        ];
        for (scheme, format) in forced {
            if let Some(address) = text.strip_prefix(scheme) {
                return Some(Self::Array { format: Some(format), address: address.to_owned() });
            }
        }
        text.contains("://").then(|| Self::Array { format: None, address: text.to_owned() })
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::usage(Place::new("volume"), "the name is empty"));
        }
        if text.starts_with("regex:") {
            return Ok(Self::Pattern(text.to_owned()));
        }
        if let Some(location) = Self::array(text) {
            return Ok(location);
        }
        if text.contains('{') && text.contains('}') {
            return Ok(Self::Pattern(text.to_owned()));
        }
        if let Some((path, dataset)) = split_extension(text, &["h5", "hdf5", "hdf", "he5"]) {
            return Ok(Self::Dataset { path, dataset: dataset.to_owned() });
        }
        if let Some((path, spec)) = split_extension(text, &["raw", "bin", "dat"]) {
            return parse_raw(text, path, spec);
        }
        Ok(Self::Path(PathBuf::from(text)))
    }
}

/// `a/b.h5:rest` -> (`a/b.h5`, `rest`) if the part before some ':' ends in one of the extensions.
fn split_extension<'a>(text: &'a str, extensions: &[&str]) -> Option<(PathBuf, &'a str)> {
    text.match_indices(':').find_map(|(at, _)| {
        let path = Path::new(&text[..at]);
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        extensions.contains(&extension.as_str()).then(|| (path.to_owned(), &text[at + 1..]))
    })
}

fn parse_raw(text: &str, path: PathBuf, spec: &str) -> Result<Location> {
    let wrong = |why: &str| {
        let message = format!("expected FILE:DTYPE:z,y,x or FILE:DTYPE:c,z,y,x, {why}");
        Error::usage(Place::new(text), message)
    };
    let (dtype, sizes) = spec.split_once(':').ok_or_else(|| wrong("found no shape"))?;
    let sizes: Vec<u64> = sizes
        .split(',')
        .map(|s| s.trim().parse().ok().filter(|v| *v > 0))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("found a size that is not a number above 0"))?;
    let shape = match sizes[..] {
        [z, y, x] => [1, z, y, x],
        [c, z, y, x] => [c, z, y, x],
        _ => return Err(wrong(&format!("found {} sizes", sizes.len()))),
    };
    Ok(Location::Raw { path, dtype: dtype.parse()?, shape })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hdf5_dataset_is_split_at_the_colon_after_the_extension() {
        let location: Location = "dir:odd/v.h5:volumes/raw".parse().unwrap();
        let path = PathBuf::from("dir:odd/v.h5");
        assert_eq!(location, Location::Dataset { path, dataset: "volumes/raw".into() });
    }

    #[test]
    fn formats_are_forced_by_a_scheme() {
        let array = |text: &str| match text.parse().unwrap() {
            Location::Array { format, address } => (format, address),
            other => panic!("{other:?}"),
        };
        assert_eq!(array("n5://a/v"), (Some(ArrayFormat::N5), "a/v".to_owned()));
        let nested = array("precomputed://gs://b/v");
        assert_eq!(nested, (Some(ArrayFormat::Precomputed), "gs://b/v".to_owned()));
        assert_eq!(array("https://h/v.zarr"), (None, "https://h/v.zarr".to_owned()));
    }

    #[test]
    fn raw_needs_type_and_shape() {
        let location: Location = "v.raw:u16:3,4,5".parse().unwrap();
        let expected =
            Location::Raw { path: "v.raw".into(), dtype: DataType::U16, shape: [1, 3, 4, 5] };
        assert_eq!(location, expected);
        assert!("v.raw:u16".parse::<Location>().is_err());
        assert!("v.raw:u16:3,0,5".parse::<Location>().is_err());
    }
}
