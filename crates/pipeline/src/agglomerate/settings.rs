//! Settings of an agglomeration, from a TOML file or from code.

use std::path::Path;

use exavox_compute::ffn::ModelConfig;
use exavox_compute::ffn::agglomerate::{MergeRule, ResegmentationOptions};
use serde::{Deserialize, Serialize};

use super::PointOptions;
use super::points::check_distance;
use crate::error::{Error, Result};
use crate::segment::SegmentSettings;

/// What happens where the block around a decision point leaves the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// The block is moved inside.
    #[default]
    Shift,
    /// The pair is left alone, as google/ffn does.
    Refuse,
}

/// Everything that decides what an agglomeration gives.
#[derive(Debug, Clone, PartialEq)]
pub struct AgglomerateSettings {
    /// Network, normalisation and thresholds; for a whole run seeds too. The region is the part of the
    /// image that the labels show.
    pub segment: SegmentSettings,
    /// Which segments are pairs.
    pub points: PointOptions,
    /// Voxels around a decision point that are segmented again, `[z, y, x]`; `None` = three times the
    /// margin of the field of view.
    pub radius_zyx: Option<[usize; 3]>,
    /// Voxels around it that are compared; `None` = the radius less the margin.
    pub analysis_radius_zyx: Option<[usize; 3]>,
    /// Voxels around a seed where no other is tried; `None` = half of the margin.
    pub exclusion_radius_zyx: Option<[usize; 3]>,
    /// Voxels around a decision point where no seed is tried; `None` = no such box.
    pub init_exclusion_radius_zyx: Option<[usize; 3]>,
    /// Seeds that are tried in a segment.
    pub max_retry_iters: usize,
    /// Share of a segment that its run has to recover.
    pub segment_recovery_fraction: f64,
    /// Whether the second run is left out if the first one fails.
    pub terminate_early: bool,
    /// What happens where a block leaves the volume.
    pub border: Border,
    /// When two segments are one.
    pub rule: MergeRule,
    /// Of a whole run: parts of the consensus of fewer voxels become background.
    pub split_min_size: u64,
}

impl AgglomerateSettings {
    /// The defaults for a network.
    pub fn new(segment: SegmentSettings) -> Self {
        let options = ResegmentationOptions::new([0; 3]);
        Self {
            segment,
            points: PointOptions::default(),
            radius_zyx: None,
            analysis_radius_zyx: None,
            exclusion_radius_zyx: None,
            init_exclusion_radius_zyx: None,
            max_retry_iters: options.max_retry_iters,
            segment_recovery_fraction: options.segment_recovery_fraction,
            terminate_early: options.terminate_early,
            border: Border::default(),
            rule: MergeRule::default(),
            split_min_size: 1000,
        }
    }

    /// Reads a TOML file with the tables of a segmentation and `[agglomerate]`; what it leaves out stays as
    /// in [`AgglomerateSettings::new`].
    ///
    /// # Errors
    /// As [`SegmentSettings::from_toml`].
    pub fn from_toml(path: &Path) -> Result<Self> {
        let (segment, table) = SegmentSettings::with_agglomerate_table(path)?;
        let mut settings = Self::new(segment);
        table.apply(&mut settings);
        Ok(settings)
    }

    /// Voxels around a decision point that are segmented again.
    pub fn radius(&self) -> [usize; 3] {
        self.radius_zyx.unwrap_or(self.margin().map(|margin| 3 * margin))
    }

    /// Voxels around a decision point that are compared.
    pub fn analysis_radius(&self) -> [usize; 3] {
        let (radius, margin) = (self.radius(), self.margin());
        let default = std::array::from_fn(|a| radius[a].saturating_sub(margin[a]));
        self.analysis_radius_zyx.unwrap_or(default)
    }

    fn margin(&self) -> [usize; 3] {
        ModelConfig::margin(&self.segment.model)
    }

    /// How pairs are segmented again.
    pub fn resegmentation(&self) -> ResegmentationOptions {
        let exclusion = self.exclusion_radius_zyx.unwrap_or(self.margin().map(|m| m / 2));
        let mut options = ResegmentationOptions::new(exclusion);
        options.init_exclusion_radius_zyx = self.init_exclusion_radius_zyx;
        options.max_retry_iters = self.max_retry_iters;
        options.segment_recovery_fraction = self.segment_recovery_fraction;
        options.terminate_early = self.terminate_early;
        options
    }

    /// `Ok` if all numbers can be.
    ///
    /// # Errors
    /// [`Error::Settings`] names the setting, expected and found.
    pub fn check(&self) -> Result<()> {
        check_distance(&self.points)?;
        let (radius, margin, analysis) = (self.radius(), self.margin(), self.analysis_radius());
        for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
            if radius[a] < margin[a] || radius[a] > 1 << 12 {
                let message =
                    format!("axis {axis}: expected {} to 4096, found {}", margin[a], radius[a]);
                return Err(Error::settings("radius_zyx", message));
            }
            if analysis[a] > radius[a] {
                let message = format!(
                    "axis {axis}: expected at most the radius {}, found {}",
                    radius[a], analysis[a]
                );
                return Err(Error::settings("analysis_radius_zyx", message));
            }
        }
        if self.max_retry_iters == 0 {
            return Err(Error::settings("max_retry_iters", "expected at least 1, found 0"));
        }
        let shares = [
            ("segment_recovery_fraction", self.segment_recovery_fraction),
            ("min_iou", self.rule.min_iou),
            ("min_consistency", self.rule.min_consistency),
            ("max_deleted_fraction", self.rule.max_deleted_fraction),
        ];
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                let message = format!("expected a share from 0 to 1, found {value}");
                return Err(Error::settings(name, message));
            }
        }
        Ok(())
    }
}

/// `[agglomerate]`: what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgglomerateTable {
    /// Segments farther than this from the point between them are no pair, nanometres.
    pub max_distance: Option<f64>,
    /// Segments of fewer voxels are left alone.
    pub min_voxels: Option<u64>,
    /// Voxels around a decision point that are segmented again.
    pub radius_zyx: Option<[usize; 3]>,
    /// Voxels around it that are compared.
    pub analysis_radius_zyx: Option<[usize; 3]>,
    /// Voxels around a seed where no other is tried.
    pub exclusion_radius_zyx: Option<[usize; 3]>,
    /// Voxels around a decision point where no seed is tried.
    pub init_exclusion_radius_zyx: Option<[usize; 3]>,
    /// Seeds that are tried in a segment.
    pub max_retry_iters: Option<usize>,
    /// Share of a segment that its run has to recover.
    pub segment_recovery_fraction: Option<f64>,
    /// Whether the second run is left out if the first one fails.
    pub terminate_early: Option<bool>,
    /// `shift` or `refuse`.
    pub border: Option<Border>,
    /// Runs have more than this in common.
    pub min_iou: Option<f64>,
    /// Each run has more than this of each segment.
    pub min_consistency: Option<f64>,
    /// One of the runs deleted less than this.
    pub max_deleted_fraction: Option<f64>,
    /// Parts of the consensus of fewer voxels become background.
    pub split_min_size: Option<u64>,
}

impl AgglomerateTable {
    /// Sets what is said.
    pub fn apply(&self, settings: &mut AgglomerateSettings) {
        settings.points.max_distance = self.max_distance.or(settings.points.max_distance);
        set(&mut settings.points.min_voxels, self.min_voxels);
        settings.radius_zyx = self.radius_zyx.or(settings.radius_zyx);
        settings.analysis_radius_zyx = self.analysis_radius_zyx.or(settings.analysis_radius_zyx);
        settings.exclusion_radius_zyx = self.exclusion_radius_zyx.or(settings.exclusion_radius_zyx);
        settings.init_exclusion_radius_zyx =
            self.init_exclusion_radius_zyx.or(settings.init_exclusion_radius_zyx);
        set(&mut settings.max_retry_iters, self.max_retry_iters);
        set(&mut settings.segment_recovery_fraction, self.segment_recovery_fraction);
        set(&mut settings.terminate_early, self.terminate_early);
        set(&mut settings.border, self.border);
        set(&mut settings.rule.min_iou, self.min_iou);
        set(&mut settings.rule.min_consistency, self.min_consistency);
        set(&mut settings.rule.max_deleted_fraction, self.max_deleted_fraction);
        set(&mut settings.split_min_size, self.split_min_size);
    }

    /// All that decides what the runs give; the rule is not part of it, nor is the consensus.
    pub(super) fn of_runs(settings: &AgglomerateSettings) -> Self {
        let options = settings.resegmentation();
        Self {
            max_distance: settings.points.max_distance,
            min_voxels: Some(settings.points.min_voxels),
            radius_zyx: Some(settings.radius()),
            analysis_radius_zyx: Some(settings.analysis_radius()),
            exclusion_radius_zyx: Some(options.exclusion_radius_zyx),
            init_exclusion_radius_zyx: options.init_exclusion_radius_zyx,
            max_retry_iters: Some(options.max_retry_iters),
            segment_recovery_fraction: Some(options.segment_recovery_fraction),
            terminate_early: Some(options.terminate_early),
            border: Some(settings.border),
            ..Self::default()
        }
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AgglomerateSettings> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.toml");
        std::fs::write(&path, text).unwrap();
        AgglomerateSettings::from_toml(&path)
    }

    #[test]
    fn one_file_serves_both_commands() {
        let text = "[model]\nfov_zyx = [9, 33, 33]\ndeltas_zyx = [2, 8, 8]\n[agglomerate]\n\
                    max_distance = 60.0\nmin_iou = 0.7\nborder = 'refuse'\n";
        let settings = parse(text).unwrap();
        assert_eq!(settings.segment.model.fov_zyx, [9, 33, 33]);
        assert_eq!((settings.radius(), settings.analysis_radius()), ([12, 48, 48], [8, 32, 32]));
        assert_eq!(settings.resegmentation().exclusion_radius_zyx, [2, 8, 8]);
        assert_eq!((settings.points.max_distance, settings.rule.min_iou), (Some(60.0), 0.7));
        assert_eq!((settings.border, settings.rule.min_consistency), (Border::Refuse, 0.6));
        settings.check().unwrap();
        let error = parse("[agglomerate]\nmin_iuo = 1\n").unwrap_err().to_string();
        assert!(error.contains("min_iuo") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn numbers_that_cannot_be_are_named() {
        let refused = |text: &str| parse(text).unwrap().check().unwrap_err().to_string();
        for (text, expected) in [
            ("radius_zyx = [16, 15, 16]", "radius_zyx: axis y: expected 16 to 4096, found 15"),
            ("analysis_radius_zyx = [1, 1, 49]", "expected at most the radius 48, found 49"),
            ("max_retry_iters = 0", "max_retry_iters: expected at least 1"),
            ("min_iou = 1.5", "min_iou: expected a share from 0 to 1, found 1.5"),
            ("max_deleted_fraction = nan", "max_deleted_fraction"),
        ] {
            let error = refused(&format!("[agglomerate]\n{text}\n"));
            assert!(error.contains(expected), "{error}");
        }
    }
}
