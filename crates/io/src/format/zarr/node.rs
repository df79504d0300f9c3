//! One directory of a Zarr hierarchy: its metadata documents, read within limits.

use serde_json::{Map, Value};

use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::store::Directory;

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    Group,
    Array,
}

/// A group or an array with its metadata, unchecked so far.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) directory: Directory,
    pub(super) kind: NodeKind,
    /// 2 or 3.
    pub(super) zarr_format: u8,
    /// `zarr.json`, `.zarray` or `.zgroup`.
    pub(super) document: Value,
    pub(super) attributes: Map<String, Value>,
}

impl Node {
    /// Reads the documents of a directory; `None` if there are none.
    pub(super) fn read(directory: &Directory, limits: &Limits) -> Result<Option<Self>> {
        let document = |name: &str| directory.get_json(name, limits);
        if let Some(document) = document("zarr.json")? {
            return Self::v3(directory, document).map(Some);
        }
        let (kind, found) = match document(".zarray")? {
            Some(found) => (NodeKind::Array, found),
            None => match document(".zgroup")? {
                Some(found) => (NodeKind::Group, found),
                None => return Ok(None),
            },
        };
        let attributes = document(".zattrs")?.map_or_else(Map::new, object);
        let directory = directory.clone();
        Ok(Some(Self { directory, kind, zarr_format: 2, document: found, attributes }))
    }

    /// The place of the directory, for errors.
    pub(super) fn place(&self) -> Place {
        self.directory.place("")
    }

    fn v3(directory: &Directory, document: Value) -> Result<Self> {
        let kind = match document.get("node_type").and_then(Value::as_str) {
            Some("group") => NodeKind::Group,
            Some("array") => NodeKind::Array,
            other => {
                let message =
                    format!("node_type: expected \"group\" or \"array\", found {other:?}");
                return Err(Error::format(directory.place("zarr.json"), message));
            }
        };
        let attributes = document.get("attributes").cloned().map_or_else(Map::new, object);
        Ok(Self { directory: directory.clone(), kind, zarr_format: 3, document, attributes })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
