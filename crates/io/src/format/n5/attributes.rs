//! `attributes.json` of a dataset.

use serde_json::Value;

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};

use super::compression::Compression;

/// Name of the document with the attributes of a group or dataset.
pub(super) const ATTRIBUTES: &str = "attributes.json";

/// What every dataset says of itself; sizes in the order on disk, fastest axis first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatasetAttributes {
    pub(super) dimensions: Vec<u64>,
    pub(super) block_size: Vec<u64>,
    pub(super) dtype: DataType,
    pub(super) compression: Compression,
}

/// Whether the document is that of a dataset, not of a group.
pub(super) fn is_dataset(attributes: &Value) -> bool {
    attributes.get("dimensions").is_some() && attributes.get("dataType").is_some()
}

impl DatasetAttributes {
    /// Reads the attributes of a dataset.
    ///
    /// # Errors
    /// [`Error::Format`] with the attribute that is missing or wrong, [`Error::Unsupported`] for a type
    /// or compression that is not known.
    pub(super) fn parse(attributes: &Value, place: &Place) -> Result<Self> {
        let dimensions = sizes(attributes, "dimensions", place)?;
        let block_size = sizes(attributes, "blockSize", place)?;
        if dimensions.len() != block_size.len() {
            let [d, b] = [dimensions.len(), block_size.len()];
            let message = format!("blockSize has {b} axes, dimensions has {d}");
            return Err(Error::format(place.clone(), message));
        }
        if !(2..=5).contains(&dimensions.len()) {
            let message = format!("dataset of {} axes; expected 2 to 5 (xyzct)", dimensions.len());
            return Err(Error::unsupported(place.clone(), message));
        }
        if let Some(size) = block_size.iter().find(|s| !(1..=u64::from(u32::MAX)).contains(*s)) {
            let message = format!("blockSize {size}; expected 1 to {}", u32::MAX);
            return Err(Error::format(place.clone(), message));
        }
        let dtype = dtype(attributes, place)?;
        let compression = Compression::parse(attributes, place)?;
        Ok(Self { dimensions, block_size, dtype, compression })
    }
}

fn sizes(attributes: &Value, name: &str, place: &Place) -> Result<Vec<u64>> {
    let numbers = |list: &Vec<Value>| list.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
    attributes.get(name).and_then(Value::as_array).and_then(numbers).ok_or_else(|| {
        let found = attributes.get(name).unwrap_or(&Value::Null);
        let message = format!("attribute {name}: expected a list of sizes, found {found}");
        Error::format(place.clone(), message)
    })
}

fn dtype(attributes: &Value, place: &Place) -> Result<DataType> {
    let name = attributes.get("dataType").and_then(Value::as_str).unwrap_or_default();
    DataType::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| {
        let message = format!(
            "dataType '{name}'; known are {}",
            DataType::ALL.map(DataType::name).join(", ")
        );
        Error::unsupported(place.clone(), message)
    })
}
