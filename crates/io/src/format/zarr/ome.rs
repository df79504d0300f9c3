//! OME metadata of a group: axes, scales, voxel size, names of channels; versions 0.1 to 0.5.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Place, Result};
use crate::geometry::{Axis, VoxelSize};
use crate::metadata::Metadata;

use super::axes::StoredAxes;
use super::node::Node;

/// Scales that one pyramid may list; each costs the reading of a small file.
const MAX_SCALES: usize = 64;

/// The first multiscale image of a group.
#[derive(Debug)]
pub(super) struct Multiscale {
    pub(super) version: String,
    pub(super) datasets: Vec<Dataset>,
    axes: Vec<AxisName>,
    scale: Vec<Transformation>,
    labels: Vec<String>,
}

/// One scale.
#[derive(Debug, Deserialize)]
pub(super) struct Dataset {
    /// Path of the array, relative to the group.
    pub(super) path: String,
    #[serde(default, rename = "coordinateTransformations")]
    transformations: Vec<Transformation>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum AxisName {
    /// Version 0.3.
    Letter(String),
    Full {
        name: String,
        #[serde(default)]
        unit: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
struct Transformation {
    #[serde(default)]
    scale: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    axes: Vec<AxisName>,
    datasets: Vec<Dataset>,
    #[serde(default, rename = "coordinateTransformations")]
    transformations: Vec<Transformation>,
}

impl Multiscale {
    /// The first multiscale of a group; `None` if it has none.
    pub(super) fn of(group: &Node) -> Result<Option<Self>> {
        let attributes = &group.attributes;
        let ome = attributes.get("ome").and_then(Value::as_object).unwrap_or(attributes);
        let Some(first) = ome.get("multiscales").and_then(|m| m.get(0)) else { return Ok(None) };
        let wrong = |message: String| Error::format(group.place().with_key("multiscales"), message);
        let document = Document::deserialize(first).map_err(|e| wrong(e.to_string()))?;
        if document.datasets.len() > MAX_SCALES {
            return Err(wrong(format!(
                "{} scales; the limit is {MAX_SCALES}",
                document.datasets.len()
            )));
        }
        let version = ome.get("version").and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Self {
            version: version.or(document.version).unwrap_or_else(|| "0.4".to_owned()),
            datasets: document.datasets,
            axes: document.axes,
            scale: document.transformations,
            labels: labels(ome),
        }))
    }

    /// The axes of an array of `count` axes in this pyramid.
    pub(super) fn stored_axes(&self, count: usize, place: &Place) -> Result<StoredAxes> {
        let names: Vec<String> = self.axes.iter().map(|axis| axis.name().to_owned()).collect();
        let axes = if names.is_empty() {
            // Versions 0.1 and 0.2 have no axes: always tczyx.
            StoredAxes::of_array(None, count, place)?
        } else {
            StoredAxes::from_names(&names, place)?
        };
        if axes.len() != count {
            let message = format!("OME axes {} for an array of {count} axes", axes.letters());
            return Err(Error::format(place.clone(), message));
        }
        Ok(axes)
    }

    /// Adds voxel size and names of channels to what the array says.
    pub(super) fn describe(&self, scale: usize, axes: &StoredAxes, metadata: &mut Metadata) {
        metadata.voxel_size = self.voxel_size(scale, axes);
        for (scale, entry) in metadata.scales.iter_mut().enumerate() {
            entry.voxel_size = self.voxel_size(scale, axes);
        }
        if self.labels.len() == metadata.channels.len() {
            metadata.channels.clone_from(&self.labels);
        }
    }

    /// Voxel size of a scale: scale of the dataset times scale of the pyramid times unit. A file
    /// without units is taken to be in micrometres, unless all scales are 1: then nothing is known.
    /// An image without z gets the size along y for z.
    pub(super) fn voxel_size(&self, scale: usize, axes: &StoredAxes) -> Option<VoxelSize> {
        let own = scale_of(&self.datasets.get(scale)?.transformations)?;
        let common = scale_of(&self.scale);
        let size = |axis: Axis| {
            let common = common.map_or(Some(1.0), |c| axes.get(c, axis))?;
            Some(axes.get(own, axis)? * common)
        };
        let unit =
            |axis: Axis| self.axes.iter().find(|a| Axis::from_name(a.name()) == Some(axis))?.unit();
        let has_unit = Axis::ZYX.iter().any(|axis| unit(*axis).is_some());
        if !has_unit && self.is_bare(axes) {
            return None;
        }
        let nm = |axis: Axis| {
            let nm = VoxelSize::nm_per_unit(unit(axis).unwrap_or("micrometer"))?;
            Some(size(axis)? * nm)
        };
        let y = nm(Axis::Y)?;
        let z = if axes.get(own, Axis::Z).is_some() { nm(Axis::Z)? } else { y };
        VoxelSize::from_nm_zyx([z, y, nm(Axis::X)?])
    }
}

impl Multiscale {
    /// Whether the finest scale is 1 along all axes: then the others only tell how much coarser they are.
    fn is_bare(&self, axes: &StoredAxes) -> bool {
        let finest = self.datasets.first().and_then(|d| scale_of(&d.transformations));
        let is_one = |scale: &[f64]| {
            Axis::ZYX.iter().all(|axis| axes.get(scale, *axis).is_none_or(|v| v == 1.0))
        };
        [finest, scale_of(&self.scale)].into_iter().flatten().all(is_one)
    }
}

impl AxisName {
    fn name(&self) -> &str {
        match self {
            Self::Letter(name) | Self::Full { name, .. } => name,
        }
    }

    fn unit(&self) -> Option<&str> {
        match self {
            Self::Letter(_) => None,
            Self::Full { unit, .. } => unit.as_deref(),
        }
    }
}

fn scale_of(transformations: &[Transformation]) -> Option<&[f64]> {
    transformations.iter().find_map(|t| t.scale.as_deref())
}

fn labels(ome: &Map<String, Value>) -> Vec<String> {
    let channels = ome.get("omero").and_then(|o| o.get("channels")).and_then(Value::as_array);
    let label = |channel: &Value| {
        channel.get("label").and_then(Value::as_str).filter(|l| !l.is_empty()).map(str::to_owned)
    };
    channels.and_then(|c| c.iter().map(label).collect()).unwrap_or_default()
}
