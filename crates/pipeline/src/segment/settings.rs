//! Settings of a segmentation, from a TOML file or from code.

use std::path::{Path, PathBuf};

use exavox_compute::Precision;
use exavox_compute::ffn::{ArchitectureOptions, InferenceOptions, ModelConfig};
use exavox_io::BoundingBox;
use serde::Deserialize;

use super::{InferenceTable, ModelTable, MoreChannels, SeedTable};
use crate::agglomerate::AgglomerateTable;
use crate::error::{Error, Result};

/// Where objects start.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Seeds {
    /// At the voxels farthest from edges of the image (`PolicyPeaks`).
    #[default]
    Peaks,
    /// At given voxels of the volume, `[z, y, x]`, in this order.
    Points(Vec<[u64; 3]>),
}

/// Everything that decides what a segmentation gives.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentSettings {
    /// Trained weights, as [`TrainedModel::open`](exavox_compute::ffn::TrainedModel::open) takes them.
    pub checkpoint: PathBuf,
    /// What the network must be.
    pub architecture: ArchitectureOptions,
    /// Field of view and deltas.
    pub model: ModelConfig,
    /// How exactly the network is computed.
    pub precision: Precision,
    /// Normalisation and thresholds.
    pub inference: InferenceOptions,
    /// Where objects start.
    pub seeds: Seeds,
    /// The channel that is segmented.
    pub channel: usize,
    /// Channels that the network sees behind it, beside what is subtracted from each and
    /// divided by.
    pub more_channels: MoreChannels,
    /// The part of the volume that is segmented; `None` = all of it.
    pub roi: Option<BoundingBox>,
}

impl SegmentSettings {
    /// The settings published with the FIB-25 weights, for a checkpoint.
    pub fn new(checkpoint: impl Into<PathBuf>) -> Self {
        Self {
            checkpoint: checkpoint.into(),
            architecture: ArchitectureOptions::default(),
            model: ModelConfig::default(),
            precision: Precision::Exact,
            inference: InferenceOptions::default(),
            seeds: Seeds::default(),
            channel: 0,
            more_channels: MoreChannels::default(),
            roi: None,
        }
    }

    /// Reads a TOML file; what it leaves out stays as in [`SegmentSettings::new`]. A relative path of
    /// a checkpoint starts at the file's directory.
    ///
    /// # Errors
    /// [`Error::Settings`] names the file, the line, and a key that is not known.
    pub fn from_toml(path: &Path) -> Result<Self> {
        Ok(Self::with_agglomerate_table(path)?.0)
    }

    /// As [`SegmentSettings::from_toml`], with the table that a segmentation does not need.
    pub(crate) fn with_agglomerate_table(path: &Path) -> Result<(Self, AgglomerateTable)> {
        let text = std::fs::read_to_string(path).map_err(exavox_io::Error::at(path))?;
        let place = path.display().to_string();
        let file: File = toml::from_str(&text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message = e.message().lines().collect::<Vec<_>>().join(" ");
            Error::settings(format!("{place} line {line}"), message)
        })?;
        let mut settings = Self::new("");
        file.model.apply(&mut settings, path.parent().unwrap_or(Path::new("")));
        file.inference.apply(&mut settings);
        file.seeds.apply(&mut settings);
        Ok((settings, file.agglomerate))
    }
}

/// The TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    model: ModelTable,
    inference: InferenceTable,
    seeds: SeedTable,
    agglomerate: AgglomerateTable,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SegmentSettings> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.toml");
        std::fs::write(&path, text).unwrap();
        SegmentSettings::from_toml(&path)
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let settings =
            parse("[model]\ncheckpoint = 'a/b'\n[inference]\npad_value = 0.5\n").unwrap();
        assert!(settings.checkpoint.ends_with("a/b"));
        assert_eq!(settings.inference.pad_value, 0.5);
        assert_eq!(settings.inference.move_threshold, 0.9);
        assert_eq!(settings.seeds, Seeds::Peaks);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("[inference]\npad_value = 0.5\nmin_size = 3\n").unwrap_err().to_string();
        assert!(error.contains("min_size") && error.contains("line 3"), "{error}");
        assert!(!error.contains('\n'));
    }
}
