//! Type, shape, chunks and codecs of an array, checked before any chunk is looked at.

use serde_json::Value;

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};

use super::node::Node;

/// What an array's metadata document says. Sizes are in stored axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArrayHeader {
    pub(super) dtype: DataType,
    pub(super) shape: Vec<u64>,
    /// Shape of what is decoded at once.
    pub(super) chunk_shape: Vec<u64>,
    /// Shape of a file that holds many chunks.
    pub(super) shard_shape: Option<Vec<u64>>,
    /// Names of the codecs that compress or reorder.
    pub(super) codecs: Vec<String>,
    pub(super) dimension_names: Option<Vec<String>>,
}

impl ArrayHeader {
    /// Reads the header of an array node.
    ///
    /// # Errors
    /// [`Error::Format`] for what cannot be, [`Error::Unsupported`] for what this crate does not read.
    pub(super) fn of(node: &Node) -> Result<Self> {
        let document = Document { value: &node.document, place: node.place() };
        let header = if node.zarr_format == 3 { document.v3() } else { document.v2() }?;
        header.check(&document.place)?;
        Ok(header)
    }

    fn check(&self, place: &Place) -> Result<()> {
        let wrong = |message: String| Err(Error::format(place.clone(), message));
        let (shape, chunk) = (&self.shape, &self.chunk_shape);
        if chunk.len() != shape.len() || chunk.contains(&0) {
            return wrong(format!("chunks of shape {chunk:?} for an array of shape {shape:?}"));
        }
        if let Some(shard) = &self.shard_shape {
            let divides = shard.iter().zip(chunk).all(|(s, c)| *s > 0 && s.is_multiple_of(*c));
            if shard.len() != chunk.len() || !divides {
                return wrong(format!("shards of shape {shard:?} with chunks of {chunk:?}"));
            }
        }
        Ok(())
    }
}

struct Document<'a> {
    value: &'a Value,
    place: Place,
}

impl Document<'_> {
    fn v2(&self) -> Result<ArrayHeader> {
        let filters = self.value.get("filters").and_then(Value::as_array);
        let compressor = self.value.get("compressor").filter(|c| !c.is_null());
        let id = |codec: &Value| codec.get("id").and_then(Value::as_str).map(str::to_owned);
        let codecs = filters.into_iter().flatten().chain(compressor).filter_map(id).collect();
        let dtype = self.value.get("dtype").unwrap_or(&Value::Null);
        Ok(ArrayHeader {
            dtype: dtype.as_str().and_then(numpy_type).ok_or_else(|| self.unknown_type(dtype))?,
            shape: self.sizes(self.value, "shape")?,
            chunk_shape: self.sizes(self.value, "chunks")?,
            shard_shape: None,
            codecs,
            dimension_names: None,
        })
    }

    fn v3(&self) -> Result<ArrayHeader> {
        let dtype = self.value.get("data_type").unwrap_or(&Value::Null);
        let named =
            dtype.as_str().and_then(|name| DataType::ALL.into_iter().find(|d| d.name() == name));
        let grid = self.value.get("chunk_grid").unwrap_or(&Value::Null);
        if name_of(grid) != Some("regular") {
            let message = format!("chunk grid {:?}; only regular grids are read", name_of(grid));
            return Err(Error::unsupported(self.place.clone(), message));
        }
        let outer = self.sizes(&grid["configuration"], "chunk_shape")?;
        let codecs = list(self.value.get("codecs"));
        let (chunk_shape, shard_shape, codecs) = match sharding(codecs) {
            None => (outer, None, codec_names(codecs)),
            Some(configuration) => {
                let inner = list(configuration.get("codecs"));
                if codecs.len() > 1 || sharding(inner).is_some() {
                    let message = "shards inside of shards, or shards that are coded once more";
                    return Err(Error::unsupported(self.place.clone(), message));
                }
                let chunk_shape = self.sizes(configuration, "chunk_shape")?;
                (chunk_shape, Some(outer), codec_names(inner))
            }
        };
        Ok(ArrayHeader {
            dtype: named.ok_or_else(|| self.unknown_type(dtype))?,
            shape: self.sizes(self.value, "shape")?,
            chunk_shape,
            shard_shape,
            codecs,
            dimension_names: strings(self.value.get("dimension_names")),
        })
    }

    fn sizes(&self, parent: &Value, key: &str) -> Result<Vec<u64>> {
        let sizes = parent.get(key).and_then(Value::as_array);
        let sizes: Option<Vec<u64>> = sizes.and_then(|s| s.iter().map(Value::as_u64).collect());
        sizes.ok_or_else(|| {
            Error::format(self.place.clone(), format!("the array metadata has no valid {key}"))
        })
    }

    fn unknown_type(&self, found: &Value) -> Error {
        let known = DataType::ALL.map(DataType::name).join(", ");
        Error::unsupported(self.place.clone(), format!("data type {found}; known are {known}"))
    }
}

/// `<u2`, `|i1`, `>f4`.
fn numpy_type(text: &str) -> Option<DataType> {
    let mut letters = text.chars();
    let order = letters.next()?;
    let kind = letters.next()?;
    let dtype = DataType::from_kind(kind, letters.as_str().parse().ok()?)?;
    (matches!(order, '<' | '>') || (order == '|' && dtype.size() == 1)).then_some(dtype)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name_of(extension: &Value) -> Option<&str> {
    extension.as_str().or_else(|| extension.get("name")?.as_str())
}

/// Configuration of the shards of an array, if it has any.
pub(super) fn sharding_of(document: &Value) -> Option<&Value> {
    sharding(list(document.get("codecs")))
}

fn sharding(codecs: &[Value]) -> Option<&Value> {
    codecs.iter().find(|c| name_of(c) == Some("sharding_indexed"))?.get("configuration")
}

fn codec_names(codecs: &[Value]) -> Vec<String> {
    codecs.iter().filter_map(name_of).filter(|n| *n != "bytes").map(str::to_owned).collect()
}

fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    value?.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}
