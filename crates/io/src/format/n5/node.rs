//! A dataset or a pyramid of datasets, with its attributes.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::metadata::Scale;
use crate::store::Directory;

use super::attributes::{ATTRIBUTES, DatasetAttributes, is_dataset};
use super::axes::StoredAxes;
use super::resolution;

/// Most scales that a pyramid can have.
const MAX_SCALES: usize = 64;

/// One dataset.
pub(super) struct Dataset {
    pub(super) directory: Directory,
    pub(super) attributes: DatasetAttributes,
    pub(super) axes: StoredAxes,
    pub(super) scale: Scale,
    /// Voxels of the finest scale in one of these, `[z, y, x]`, where that is written.
    pub(super) factors: Option<[f64; 3]>,
}

/// What a directory holds that can be opened: datasets, finest first, and the attributes of the group.
pub(super) struct Node {
    pub(super) scales: Vec<Dataset>,
    pub(super) group: Value,
}

/// Reads a directory; `None` if it is neither dataset nor pyramid.
pub(super) fn read(directory: &Directory, limits: &Limits) -> Result<Option<Node>> {
    let attributes = document(directory, limits)?;
    if is_dataset(&attributes) {
        let (group, index) = pyramid_above(directory, limits)?;
        let scales = vec![dataset(directory.clone(), &attributes, &group, index)?];
        return Ok(Some(Node { scales, group }));
    }
    let group = group_attributes(directory, attributes);
    let mut scales = Vec::new();
    for index in 0..MAX_SCALES {
        let child = directory.join(&scale_name(index));
        let of_scale = document(&child, limits)?;
        if !is_dataset(&of_scale) {
            break;
        }
        scales.push(dataset(child, &of_scale, &group, index)?);
    }
    Ok((!scales.is_empty()).then_some(Node { scales, group }))
}

/// Name of the dataset of a scale.
pub(super) fn scale_name(index: usize) -> String {
    format!("s{index}")
}

/// The attributes of a group or dataset, `null` where there are none.
pub(super) fn document(directory: &Directory, limits: &Limits) -> Result<Value> {
    match directory.get_json(ATTRIBUTES, limits)? {
        None => Ok(Value::Null),
        Some(document) if document.is_object() => Ok(document),
        Some(_) => {
            Err(Error::format(directory.place(ATTRIBUTES), "expected an object of attributes"))
        }
    }
}

/// The attributes of a pyramid, without BigDataViewer's `resolution`: its unit is in an XML file elsewhere.
fn group_attributes(directory: &Directory, mut attributes: Value) -> Value {
    let is_timepoint = directory.parent().is_some_and(|(_, name)| name.starts_with("timepoint"));
    if let Some(attributes) = attributes.as_object_mut().filter(|_| is_timepoint) {
        attributes.remove("resolution");
    }
    attributes
}

/// Attributes of the group that a dataset is a scale of, and its number there.
fn pyramid_above(directory: &Directory, limits: &Limits) -> Result<(Value, usize)> {
    let Some((above, name)) = directory.parent() else { return Ok((Value::Null, 0)) };
    match name.strip_prefix('s').and_then(|number| number.parse().ok()) {
        Some(index) if index < MAX_SCALES => {
            let attributes = document(&above, limits)?;
            Ok((group_attributes(&above, attributes), index))
        }
        _ => Ok((Value::Null, 0)),
    }
}

fn dataset(directory: Directory, document: &Value, group: &Value, index: usize) -> Result<Dataset> {
    let place = directory.place(ATTRIBUTES);
    let attributes = DatasetAttributes::parse(document, &place)?;
    let axes = StoredAxes::of(document, attributes.dimensions.len(), &place)?;
    let [_, _, z, y, x] = axes.to_tczyx(&attributes.dimensions);
    let voxel_size = resolution::voxel_size(document, group, index, &axes);
    let factors = resolution::factors(document, group, index, &axes);
    let scale = Scale { shape: [z, y, x], voxel_size };
    Ok(Dataset { directory, attributes, axes, scale, factors })
}
