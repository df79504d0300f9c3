//! Masks of a request: `MaskConfig` and the fields of shift masks.

use super::{Field, Reader, vector, volume};
use crate::error::Result;
use crate::segment::text_proto::Value;
use crate::segment::{MaskChannelTable, MaskTable, ShiftMaskTable};

/// A `MaskConfig`.
pub(super) fn mask(message: &Reader<'_>) -> Result<MaskTable> {
    let mut table = MaskTable::default();
    let mut sources = 0;
    for field in message.fields()? {
        sources += usize::from(field.name() != "invert");
        match field.name() {
            "volume" => volume_mask(&field, &mut table)?,
            "image" => {
                table.image = true;
                table.channels = Some(channels(&field, &mut |field: &Reader<'_>| {
                    Err(field.wrong("is not a field of ImageMaskOptions"))
                })?);
            }
            "coordinate_expression" => table.expression = Some(expression(&field)?),
            "invert" => table.invert = boolean(&field)?,
            _ => return Err(field.wrong("is not a field of MaskConfig")),
        }
    }
    match sources {
        0 => Err(message.wrong("names no source; expected volume, image or coordinate_expression")),
        1 => table.check(&message.place()).map(|()| table),
        _ => Err(message.wrong("names several sources; expected one")),
    }
}

fn volume_mask(message: &Reader<'_>, table: &mut MaskTable) -> Result<()> {
    let mut name = None;
    table.channels = Some(channels(message, &mut |field: &Reader<'_>| match field.name() {
        "mask" => {
            name = Some(volume(field)?);
            Ok(())
        }
        _ => Err(field.wrong("is not a field of VolumeMaskOptions")),
    })?);
    table.volume = name;
    match table.volume {
        Some(_) => Ok(()),
        None => Err(message.wrong("names no mask")),
    }
}

fn channels(
    message: &Reader<'_>,
    other: &mut dyn FnMut(&Reader<'_>) -> Result<()>,
) -> Result<Vec<MaskChannelTable>> {
    let mut channels = Vec::new();
    for field in message.fields()? {
        match field.name() {
            "channels" => channels.push(channel(&field)?),
            _ => other(&field)?,
        }
    }
    Ok(channels)
}

/// A `MaskChannelConfig`; bounds that are left out are 0.
fn channel(message: &Reader<'_>) -> Result<MaskChannelTable> {
    let mut table = MaskChannelTable::default();
    let (mut least, mut largest) = (0.0, 0.0);
    for field in message.fields()? {
        match field.name() {
            "channel" => table.channel = field.number()?,
            "min_value" => least = f64::from(field.number::<f32>()?),
            "max_value" => largest = f64::from(field.number::<f32>()?),
            "values" => table.values.push(field.number()?),
            "invert" => table.invert = boolean(&field)?,
            _ => return Err(field.wrong("is not a field of MaskChannelConfig")),
        }
    }
    if table.values.is_empty() {
        (table.min_value, table.max_value) = (Some(least), Some(largest));
    }
    Ok(table)
}

fn expression(message: &Reader<'_>) -> Result<String> {
    let mut text = None;
    for field in message.fields()? {
        match field.name() {
            "expression" => text = Some(field.text()?.to_owned()),
            _ => return Err(field.wrong("is not a field of CoordinateExpressionOptions")),
        }
    }
    text.ok_or_else(|| message.wrong("has no expression"))
}

fn boolean(field: &Reader<'_>) -> Result<bool> {
    match &field.field.value {
        Value::Word(word) if ["true", "True", "t", "1"].contains(&word.as_str()) => Ok(true),
        Value::Word(word) if ["false", "False", "f", "0"].contains(&word.as_str()) => Ok(false),
        other => Err(field.wrong(&format!("must be true or false, found {other:?}"))),
    }
}

/// The fields of a shift mask, put together.
pub(super) fn shift_mask(fields: &[Field], file: &str) -> Result<Option<ShiftMaskTable>> {
    let of = |name: &str| {
        fields.iter().rfind(|field| field.name == name).map(|field| Reader { file, field })
    };
    let names = ["shift_mask", "shift_mask_scale", "shift_mask_threshold"];
    if names.iter().chain(&["shift_mask_fov"]).all(|name| of(name).is_none()) {
        return Ok(None);
    }
    // 0, which what is left out would be, is a scale that divides by it and a threshold that masks all.
    super::require(fields, file, &names)?;
    let [Some(shifts), Some(scale), Some(threshold)] = names.map(of) else { return Ok(None) };
    let mut table = ShiftMaskTable {
        volume: volume(&shifts)?,
        threshold: threshold.number()?,
        scale: scale.number()?,
        fov_start_zyx: None,
        fov_size_zyx: None,
    };
    for field in of("shift_mask_fov").iter().map(Reader::fields) {
        for field in field? {
            match field.name() {
                "start" => table.fov_start_zyx = Some(vector(&field)?),
                "size" => table.fov_size_zyx = Some(vector(&field)?),
                _ => return Err(field.wrong("is not a field of BoundingBox")),
            }
        }
    }
    table.check(&shifts.place())?;
    Ok(Some(table))
}
