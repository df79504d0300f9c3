//! One directory of a Zarr hierarchy: its metadata documents, read within limits.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Place, Result};
use crate::limits::Limits;

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    Group,
    Array,
}

/// A group or an array with its metadata, unchecked so far.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    pub(super) kind: NodeKind,
    /// 2 or 3.
    pub(super) zarr_format: u8,
    /// `zarr.json`, `.zarray` or `.zgroup`.
    pub(super) document: Value,
    pub(super) attributes: Map<String, Value>,
}

impl Node {
    /// Reads the documents of a directory; `None` if there are none.
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Option<Self>> {
        let document = |name: &str| read_json(&path.join(name), limits.max_metadata_bytes);
        if let Some(document) = document("zarr.json")? {
            return Self::v3(path, document).map(Some);
        }
        let (kind, found) = match document(".zarray")? {
            Some(found) => (NodeKind::Array, found),
            None => match document(".zgroup")? {
                Some(found) => (NodeKind::Group, found),
                None => return Ok(None),
            },
        };
        let attributes = document(".zattrs")?.map_or_else(Map::new, object);
        Ok(Some(Self { path: path.to_owned(), kind, zarr_format: 2, document: found, attributes }))
    }

    fn v3(path: &Path, document: Value) -> Result<Self> {
        let kind = match document.get("node_type").and_then(Value::as_str) {
            Some("group") => NodeKind::Group,
            Some("array") => NodeKind::Array,
            other => {
                let message =
                    format!("node_type: expected \"group\" or \"array\", found {other:?}");
                return Err(Error::format(Place::path(&path.join("zarr.json")), message));
            }
        };
        let attributes = document.get("attributes").cloned().map_or_else(Map::new, object);
        Ok(Self { path: path.to_owned(), kind, zarr_format: 3, document, attributes })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn read_json(path: &Path, limit: u64) -> Result<Option<Value>> {
    let file = match File::open(path) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other.map_err(Error::at(path))?,
    };
    let mut text = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut text).map_err(Error::at(path))?;
    if text.len() as u64 > limit {
        let needed = path.metadata().map_or(text.len() as u64, |m| m.len());
        let (place, what) = (Place::path(path), "a metadata document".to_owned());
        return Err(Error::LimitExceeded { place, what, needed, limit });
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| Error::format(Place::path(path), format!("not valid JSON: {e}")))
}
