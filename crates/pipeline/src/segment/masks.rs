//! `[[masks]]`, `[[seed_masks]]` and `[shift_mask]` of TOML files, and what they become in a subvolume. Names
//! and rules are those of google/ffn's `MaskConfig`.

use std::path::Path;

use exavox_compute::ffn::restrictor::Expression;
use serde::{Deserialize, Serialize};

use super::tables::volume_in;
use crate::error::{Error, Result};

mod open;

pub(crate) use open::OpenMasks;

/// One mask: of a volume, of the image, or of coordinates. Several are put together by "or".
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskTable {
    /// A volume of the image's shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The image itself, as it is before it is normalised.
    #[serde(skip_serializing_if = "is_false")]
    pub image: bool,
    /// A condition on the coordinates z, y, x of a voxel of the volume, such as `(z < 20) | (x > 900)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// What is masked, by channels put together by "or"; left out for a volume: what is not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<MaskChannelTable>>,
    /// Everything else instead.
    #[serde(skip_serializing_if = "is_false")]
    pub invert: bool,
}

/// Values of a channel that are masked: those of the list, else those from least to largest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskChannelTable {
    /// Channel, by number.
    pub channel: usize,
    /// These values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<u64>,
    /// From this one on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_value: Option<f64>,
    /// Up to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<f64>,
    /// All others instead.
    #[serde(skip_serializing_if = "is_false")]
    pub invert: bool,
}

/// Shifts between planes: no FOV is centred where one near it is large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftMaskTable {
    /// A volume whose channels 0 and 1 are the shifts along x and y of a plane against the one before.
    pub volume: String,
    /// Shifts of this size, along x or y, are large.
    pub threshold: f64,
    /// Voxels of the image, along y and x, for one of the volume.
    #[serde(default = "one")]
    pub scale: u64,
    /// First voxel of the box around a FOV's centre, relative to it. Default: the field of view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fov_start_zyx: Option<[i64; 3]>,
    /// Shape of that box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fov_size_zyx: Option<[u64; 3]>,
}

fn one() -> u64 {
    1
}

fn is_false(value: &bool) -> bool {
    !value
}

impl MaskTable {
    /// Tables of a file in `directory`: relative names of volumes start there.
    pub(super) fn all_in(directory: &Path, tables: Vec<Self>, place: &str) -> Result<Vec<Self>> {
        let of = |mut table: Self| {
            table.check(place)?;
            table.volume = table.volume.map(|volume| volume_in(directory, &volume));
            Ok(table)
        };
        tables.into_iter().map(of).collect()
    }

    /// Whether the keys go together, and the expression is one.
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::settings(format!("{place}: mask"), message));
        let sources = [self.volume.is_some(), self.image, self.expression.is_some()];
        if sources.iter().filter(|is_there| **is_there).count() != 1 {
            return wrong("expected one of volume, image = true, expression".to_owned());
        }
        if let Some(expression) = &self.expression {
            if self.channels.is_some() {
                return wrong("expression: expected no channels".to_owned());
            }
            if let Err(error) = Expression::parse(expression) {
                return wrong(format!("expression: {error}"));
            }
        }
        if self.image && self.channels.is_none() {
            return wrong("image: expected channels, found none".to_owned());
        }
        for channel in self.channels.iter().flatten() {
            let bounds = [channel.min_value, channel.max_value];
            if channel.values.is_empty() == bounds.iter().all(Option::is_none) {
                let message = "expected either values, or min_value and max_value";
                return wrong(format!("channel {}: {message}", channel.channel));
            }
            if bounds.into_iter().flatten().any(f64::is_nan) {
                return wrong(format!("channel {}: expected numbers, found nan", channel.channel));
            }
        }
        Ok(())
    }
}

impl ShiftMaskTable {
    /// The table of a file in `directory`: a relative name of a volume starts there.
    pub(super) fn in_directory(mut self, directory: &Path, place: &str) -> Result<Self> {
        self.check(place)?;
        self.volume = volume_in(directory, &self.volume);
        Ok(self)
    }

    /// Whether the numbers can be; `place` is for errors.
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong = |message: String| Err(Error::settings(format!("{place}: shift_mask"), message));
        if self.scale == 0 || self.scale > 1 << 20 {
            return wrong(format!("scale: expected 1 to {}, found {}", 1 << 20, self.scale));
        }
        if self.threshold.is_nan() {
            return wrong("threshold: expected a number, found nan".to_owned());
        }
        if self.fov_start_zyx.is_some() != self.fov_size_zyx.is_some() {
            return wrong("expected both fov_start_zyx and fov_size_zyx, or none".to_owned());
        }
        let largest = |v: i64| v.unsigned_abs() > 1 << 20;
        if self.fov_start_zyx.is_some_and(|start| start.into_iter().any(largest))
            || self.fov_size_zyx.is_some_and(|size| size.iter().any(|v| *v == 0 || *v > 1 << 20))
        {
            return wrong(format!("FOV: expected sizes and offsets up to {}", 1 << 20));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_go_together_are_named() {
        for (text, expected) in [
            ("", "expected one of volume, image = true, expression"),
            ("volume = 'a'\nexpression = 'z < 3'", "expected one of"),
            ("expression = 'z <'", "expression: column 4: expected a number"),
            ("expression = 'z < 3'\nchannels = []", "expected no channels"),
            ("image = true", "expected channels"),
            ("volume = 'a'\nchannels = [{}]", "channel 0: expected either values"),
            ("volume = 'a'\nchannels = [{channel = 2, values = [1], min_value = 2}]", "channel 2"),
            ("volume = 'a'\nchannels = [{min_value = nan}]", "found nan"),
        ] {
            let table: MaskTable = toml::from_str(text).unwrap();
            let error = table.check("s.toml").unwrap_err().to_string();
            assert!(error.contains(expected) && error.starts_with("s.toml"), "{text}: {error}");
        }
        let shifts = |text: &str| {
            let text = format!("volume = 'a'\nthreshold = 4\n{text}");
            toml::from_str::<ShiftMaskTable>(&text).unwrap().check("s.toml")
        };
        shifts("").unwrap();
        let error = shifts("scale = 0").unwrap_err().to_string();
        assert!(error.starts_with("s.toml: shift_mask: scale: expected 1"), "{error}");
        assert!(shifts("fov_start_zyx = [0, 0, 0]").unwrap_err().to_string().contains("both"));
        assert!(shifts("fov_start_zyx = [0, 0, 0]\nfov_size_zyx = [0, 1, 1]").is_err());
    }
}
