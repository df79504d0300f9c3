//! Messages of a request that are no settings of their own.

use super::reader::Reader;
use super::{Field, Value};
use crate::error::{Error, Result};
use crate::segment::SegmentSettings;

/// `InferenceOptions`; what is left out is 0.
pub(super) fn inference_options(
    message: &Reader<'_>,
    settings: &mut SegmentSettings,
) -> Result<()> {
    let options = &mut settings.inference;
    options.disco_seed_threshold = 0.0;
    let Value::Message(fields) = &message.field.value else {
        return Err(message.wrong("must be a message"));
    };
    for field in message.fields()? {
        match field.name() {
            "init_activation" => options.init_activation = field.number()?,
            "pad_value" => options.pad_value = field.number()?,
            "move_threshold" => options.move_threshold = field.number()?,
            "segment_threshold" => options.segment_threshold = field.number()?,
            "disco_seed_threshold" => options.disco_seed_threshold = field.number()?,
            "min_segment_size" => options.min_segment_size = field.number()?,
            "min_boundary_dist" => options.min_boundary_dist_zyx = vector(&field)?,
            _ => return Err(field.wrong("is not a field of InferenceOptions")),
        }
    }
    // 0 as a probability would be minus infinity: nobody means that, so it must be written down.
    let needed = ["init_activation", "pad_value", "move_threshold", "segment_threshold"];
    require(fields, message.file, &needed)
}

/// `{ x: 1 y: 2 z: 3 }` as z, y, x; what is left out is 0.
pub(super) fn vector<T>(message: &Reader<'_>) -> Result<[T; 3]>
where
    T: std::str::FromStr + Copy + Default,
{
    let mut zyx = [T::default(); 3];
    for field in message.fields()? {
        let axis = match field.name() {
            "z" => 0,
            "y" => 1,
            "x" => 2,
            _ => return Err(field.wrong("is not an axis; expected x, y or z")),
        };
        zyx[axis] = field.number()?;
    }
    Ok(zyx)
}

/// A `DecoratedVolume`, as exavox names volumes.
pub(super) fn volume(message: &Reader<'_>) -> Result<String> {
    let mut volume = None;
    for field in message.fields()? {
        match field.name() {
            "hdf5" => volume = Some(field.text()?.to_owned()),
            _ => {
                let why = format!("is not supported in {}; expected hdf5", message.name());
                return Err(field.wrong(&why));
            }
        }
    }
    volume.ok_or_else(|| message.wrong("names no volume; expected hdf5: \"file:dataset\""))
}

/// Alignment that does nothing.
pub(super) fn alignment(message: &Reader<'_>) -> Result<()> {
    for field in message.fields()? {
        let none = [Value::Word("NO_ALIGNMENT".into()), Value::Word("0".into())];
        if field.name() != "type" || !none.contains(&field.field.value) {
            return Err(field.wrong("is not supported; expected type: NO_ALIGNMENT"));
        }
    }
    Ok(())
}

/// Refuses a message that leaves out a field.
pub(super) fn require(fields: &[Field], file: &str, names: &[&str]) -> Result<()> {
    match names.iter().find(|name| !fields.iter().any(|f| f.name == **name)) {
        Some(name) => Err(Error::settings(file, format!("{name} is missing"))),
        None => Ok(()),
    }
}
