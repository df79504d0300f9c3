//! The document `info` of a volume.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::limits::Limits;
use crate::metadata::Scale as ScaleMetadata;
use crate::store::Directory;

use super::scale::Scale;

/// Name of the document.
pub(super) const INFO: &str = "info";
const KIND: &str = "neuroglancer_multiscale_volume";
const MAX_SCALES: usize = 64;
const MAX_CHANNELS: u64 = 65_536;

/// A checked `info`.
#[derive(Debug, Clone)]
pub(super) struct Info {
    pub(super) dtype: DataType,
    pub(super) channels: u64,
    /// Scales, finest first.
    pub(super) scales: Vec<Scale>,
    /// All of the document, also what is not known here.
    pub(super) document: Value,
}

#[derive(Deserialize)]
struct InfoDocument {
    #[serde(rename = "@type")]
    kind: Option<String>,
    data_type: String,
    num_channels: u64,
    scales: Vec<Value>,
}

impl Info {
    /// Reads and checks the document of a directory.
    pub(super) fn read(directory: &Directory, limits: &Limits) -> Result<Self> {
        let place = directory.place(INFO);
        let document = directory
            .get_json(INFO, limits)?
            .ok_or_else(|| Error::format(place.clone(), "no such document"))?;
        Self::from_json(document, &place)
    }

    /// Checks a document.
    pub(super) fn from_json(mut document: Value, place: &Place) -> Result<Self> {
        let wrong = |message: String| Error::format(place.clone(), message);
        make_whole(&mut document);
        let found = InfoDocument::deserialize(&document).map_err(|e| wrong(e.to_string()))?;
        if found.kind.as_ref().is_some_and(|kind| kind != KIND) {
            let message = format!("'@type' is {:?}, a volume has {KIND}", found.kind);
            return Err(Error::unsupported(place.clone(), message));
        }
        let count = found.scales.len();
        if count == 0 || count > MAX_SCALES {
            return Err(wrong(format!("{count} scales, expected 1 to {MAX_SCALES}")));
        }
        if found.num_channels == 0 || found.num_channels > MAX_CHANNELS {
            let channels = found.num_channels;
            return Err(wrong(format!("{channels} channels, expected 1 to {MAX_CHANNELS}")));
        }
        let name = found.data_type.to_ascii_lowercase();
        let dtype = DataType::ALL.into_iter().find(|d| d.name() == name).ok_or_else(|| {
            Error::unsupported(place.clone(), format!("data_type '{}'", name.escape_default()))
        })?;
        let scale = |(i, scale)| {
            Scale::from_json(scale).map_err(|message| wrong(format!("scale {i}: {message}")))
        };
        let scales = found.scales.iter().enumerate().map(scale).collect::<Result<_>>()?;
        Ok(Self { dtype, channels: found.num_channels, scales, document })
    }

    /// Shapes and voxel sizes of all scales.
    pub(super) fn scale_metadata(&self) -> Vec<ScaleMetadata> {
        let describe = |s: &Scale| ScaleMetadata { shape: s.shape, voxel_size: Some(s.voxel_size) };
        self.scales.iter().map(describe).collect()
    }

    /// The document with one more scale, before those that are coarser.
    pub(super) fn with_scale(&self, scale: &Scale) -> Value {
        let volume = |s: &Scale| s.voxel_size.nm_zyx.iter().product::<f64>();
        let coarser = |s: &Scale| volume(s) > volume(scale);
        let at = self.scales.iter().position(coarser).unwrap_or(self.scales.len());
        let mut document = self.document.clone();
        if let Some(scales) = document["scales"].as_array_mut() {
            scales.insert(at.min(scales.len()), scale.to_json());
        }
        document
    }
}

/// The document of a new volume with one scale of one channel.
pub(super) fn new_document(dtype: DataType, scale: &Scale) -> Value {
    // What has 32 bits or more and no sign is labels: images have floats there.
    let labels = matches!(dtype, DataType::U32 | DataType::U64);
    json!({
        "@type": KIND,
        "type": if labels { "segmentation" } else { "image" },
        "data_type": dtype.name(),
        "num_channels": 1,
        "scales": [scale.to_json()],
    })
}

/// Turns `64.0` into `64` everywhere: some writers have floats where the specification has integers.
fn make_whole(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15);
            if let (true, Some(whole)) = (number.is_f64(), whole) {
                *number = (whole as i64).into();
            }
        }
        _ => {}
    }
}
