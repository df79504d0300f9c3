//! Settings of a segmentation, from a TOML file or from code.

use std::path::{Path, PathBuf};

use exavox_compute::Precision;
use exavox_compute::ffn::seed::SeedPolicy;
use exavox_compute::ffn::{ArchitectureOptions, InferenceOptions, ModelConfig};
use exavox_io::BoundingBox;
use serde::Deserialize;

use super::{InferenceTable, MaskTable, ModelTable, MoreChannels, SeedTable, ShiftMaskTable};
use crate::agglomerate::AgglomerateTable;
use crate::error::{Error, Result};

/// Where objects start.
#[derive(Debug, Clone, PartialEq)]
pub enum Seeds {
    /// Where a policy says. Its [`SeedPolicy::Points`] are voxels of the volume here; those outside of the
    /// region are left out.
    Policy(SeedPolicy),
    /// At given voxels of the volume, `[z, y, x]`, in this order.
    Points(Vec<[u64; 3]>),
}

impl Default for Seeds {
    /// At the voxels farthest from edges of the image.
    fn default() -> Self {
        Self::Policy(SeedPolicy::Peaks)
    }
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
    /// Where no FOV is centred.
    pub masks: Vec<MaskTable>,
    /// Where no object starts.
    pub seed_masks: Vec<MaskTable>,
    /// Shifts between planes that no FOV is centred near to.
    pub shift_mask: Option<ShiftMaskTable>,
    /// Labels of an earlier run that stay: a volume of the image's shape.
    pub init_segmentation: Option<String>,
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
            masks: Vec::new(),
            seed_masks: Vec::new(),
            shift_mask: None,
            init_segmentation: None,
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
        let directory = path.parent().unwrap_or(Path::new(""));
        file.model.apply(&mut settings, directory);
        file.inference.apply(&mut settings, directory);
        file.seeds.apply(&mut settings, directory, &place)?;
        settings.masks = MaskTable::all_in(directory, file.masks, &place)?;
        settings.seed_masks = MaskTable::all_in(directory, file.seed_masks, &place)?;
        let shift_mask = file.shift_mask.map(|table| table.in_directory(directory, &place));
        settings.shift_mask = shift_mask.transpose()?;
        Ok((settings, file.agglomerate))
    }

    /// Volumes of masks, by name.
    pub(crate) fn mask_volumes(&self) -> impl Iterator<Item = &String> {
        let masks = self.masks.iter().chain(&self.seed_masks);
        let shifts = self.shift_mask.iter().map(|table| &table.volume);
        masks.filter_map(|mask| mask.volume.as_ref()).chain(shifts)
    }

    /// Whether everything goes together that can be told without reading a volume.
    pub(crate) fn check(&self) -> Result<()> {
        if let Seeds::Policy(policy) = &self.seeds {
            policy.check()?;
            if policy.needs_labels() && self.init_segmentation.is_none() {
                let message = "fill-empty-space: expected an init_segmentation, found none";
                return Err(Error::settings("seeds", message));
            }
        }
        self.masks.iter().try_for_each(|mask| mask.check("masks"))?;
        self.seed_masks.iter().try_for_each(|mask| mask.check("seed_masks"))?;
        self.shift_mask.as_ref().map_or(Ok(()), |table| table.check("settings"))
    }
}

/// The TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    model: ModelTable,
    inference: InferenceTable,
    seeds: SeedTable,
    masks: Vec<MaskTable>,
    seed_masks: Vec<MaskTable>,
    shift_mask: Option<ShiftMaskTable>,
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
        assert_eq!(settings.seeds, Seeds::Policy(SeedPolicy::Peaks));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("[inference]\npad_value = 0.5\nmin_size = 3\n").unwrap_err().to_string();
        assert!(error.contains("min_size") && error.contains("line 3"), "{error}");
        let shifts = "[shift_mask]\nvolume = 'a'\nthreshold = 4\nscale = 0\n";
        let error = parse(shifts).unwrap_err().to_string();
        assert!(error.contains("s.toml: shift_mask: scale: expected 1"), "{error}");
        assert!(!error.contains('\n'));
    }
}
