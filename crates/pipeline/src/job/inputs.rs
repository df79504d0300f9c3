//! What steps read: volumes that are there, and volumes that earlier steps will have written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use exavox_io::location::Location;
use exavox_io::{Metadata, OpenOptions, Volume};
use serde_json::{Value, json};

use crate::error::Result;

/// Documents whose change tells that a directory of many objects is another volume.
const DOCUMENTS: [&str; 8] = [
    "zarr.json",
    ".zarray",
    ".zattrs",
    ".zgroup",
    "attributes.json",
    "info",
    "0/.zarray",
    "0/zarr.json",
];

/// Volumes that are there or planned. Remembers what was asked for: by that a changed input is found.
#[derive(Debug, Default)]
pub struct Inputs {
    planned: BTreeMap<String, Metadata>,
    seen: BTreeMap<String, Value>,
}

impl Inputs {
    /// Metadata of a volume; one that is planned need not be there yet.
    ///
    /// # Errors
    /// If it is neither planned nor can be opened.
    pub fn metadata(&mut self, name: &str) -> Result<Metadata> {
        self.metadata_with(name, &OpenOptions::default())
    }

    /// Metadata of a volume at a scale and a time point; of one that is planned, as it is planned.
    ///
    /// # Errors
    /// As [`Inputs::metadata`].
    pub fn metadata_with(&mut self, name: &str, open: &OpenOptions) -> Result<Metadata> {
        if let Some(planned) = self.planned.get(name) {
            return Ok(planned.clone());
        }
        let volume = Volume::open_with(name, open)?;
        let metadata = volume.metadata().clone();
        self.seen.insert(name.to_owned(), print(name, &metadata));
        Ok(metadata)
    }

    /// Notes a file that a step reads beside volumes: a checkpoint.
    pub fn file(&mut self, path: &Path) {
        let stamp = stamp(path).map_or(Value::Null, Value::String);
        self.seen.insert(path.display().to_string(), stamp);
    }

    /// Notes a volume that a step will write.
    pub fn plan(&mut self, name: &str, metadata: Metadata) {
        self.planned.insert(name.to_owned(), metadata);
    }

    /// What was asked for since the last call.
    pub(crate) fn take_seen(&mut self) -> BTreeMap<String, Value> {
        std::mem::take(&mut self.seen)
    }
}

/// What tells whether a volume of this name is still the same, without reading its voxels.
pub(crate) fn print(name: &str, metadata: &Metadata) -> Value {
    json!({
        "shape": metadata.shape,
        "type": metadata.dtype.name(),
        "channels": metadata.channels,
        "files": files(name),
    })
}

/// Size and time of the last change of a file, or of the documents of a local directory.
fn files(name: &str) -> Value {
    let Ok(location) = name.parse::<Location>() else { return Value::Null };
    let path = match &location {
        Location::Array { address, .. } => Path::new(address.trim_start_matches("file://")),
        other => other.path(),
    };
    match stamp(path) {
        Some(stamp) => stamp.into(),
        None => {
            let stamped = |d: &str| Some((d.to_owned(), stamp(&path.join(d))?.into()));
            Value::Object(DOCUMENTS.into_iter().filter_map(stamped).collect())
        }
    }
}

/// Size and time of the last change of a file; `None` if there is none.
pub(crate) fn stamp(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let (bytes, seconds, nanos) = (metadata.len(), changed.as_secs(), changed.subsec_nanos());
    Some(format!("{bytes} bytes of {seconds}.{nanos:09}"))
}
