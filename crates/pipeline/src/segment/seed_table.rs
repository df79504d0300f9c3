//! `[seeds]` of TOML files: a seed policy with google/ffn's arguments, or given voxels.

use std::path::{Path, PathBuf};

use exavox_compute::ffn::seed::{Order, SeedPolicy};
use serde::{Deserialize, Serialize};

use super::{Seeds, SegmentSettings, origins};
use crate::error::{Error, Result};

mod policies;
mod written;

pub(super) use policies::POLICIES;

/// `[seeds]`: where objects start. An argument that the policy does not take is an error.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeedTable {
    /// Name of a policy; left out: `peaks`, or `points_zyx`, or `sequence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Voxels of the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points_zyx: Option<Vec<[u64; 3]>>,
    /// `STEM.segments.csv` of an earlier run, for `invert-origins`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<PathBuf>,
    /// The last seed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverse: Option<bool>,
    /// Policies, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Vec<SeedTable>>,
    /// Voxels between peaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_distance: Option<usize>,
    /// Voxels between peaks of a plane; below 0 = none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_distance_2d: Option<i64>,
    /// Voxels between peaks in 3-d; below 0 = none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_distance_3d: Option<i64>,
    /// Peaks are above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_abs: Option<f64>,
    /// Peaks are above this share of the highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_rel: Option<f64>,
    /// `ascending` or `descending`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_cmp: Option<String>,
    /// Voxels around a peak that it exceeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_radius: Option<usize>,
    /// Voxels between seeds of a grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// First voxels of grids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Vec<usize>>,
    /// Of the normalised image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How often the thresholded image is eroded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_erosions: Option<usize>,
    /// Voxels at or below the threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invert: Option<bool>,
}

impl SeedTable {
    /// Sets what is said; `place` names the file, `directory` is where relative paths start.
    ///
    /// # Errors
    /// [`Error::Settings`] names a policy that is not known, an argument that it does not take; a file of
    /// origins that cannot be read.
    pub fn apply(
        &self,
        settings: &mut SegmentSettings,
        directory: &Path,
        place: &str,
    ) -> Result<()> {
        if self == &Self::default() {
            return Ok(());
        }
        let given = Self { points_zyx: self.points_zyx.clone(), ..Self::default() };
        settings.seeds = match &self.points_zyx {
            Some(points) if self == &given => Seeds::Points(points.clone()),
            _ => Seeds::Policy(self.seed_policy(directory, place)?),
        };
        Ok(())
    }

    /// The policy of the table.
    pub(super) fn seed_policy(&self, directory: &Path, place: &str) -> Result<SeedPolicy> {
        let policy = match &self.sequence {
            Some(tables) => {
                self.refuse_arguments("sequence", &["sequence"], place)?;
                let policies = tables.iter().map(|table| table.seed_policy(directory, place));
                SeedPolicy::Sequence(policies.collect::<Result<_>>()?)
            }
            None => self.named(directory, place)?,
        };
        Ok(match (self.reverse, policy) {
            (Some(true), SeedPolicy::Reverse(policy)) => *policy,
            (Some(true), policy) => SeedPolicy::Reverse(Box::new(policy)),
            (_, policy) => policy,
        })
    }

    fn named(&self, directory: &Path, place: &str) -> Result<SeedPolicy> {
        let name = self.policy.as_deref().unwrap_or("peaks");
        let Some(known) = POLICIES.iter().find(|known| known.name == name) else {
            let names = POLICIES.map(|known| known.name).join(", ");
            let message = format!("policy: expected one of {names}, found '{name}'");
            return Err(Error::settings(format!("{place}: seeds"), message));
        };
        self.refuse_arguments(name, known.arguments, place)?;
        Ok(match name {
            "peaks" => SeedPolicy::Peaks,
            "peaks-2d" => SeedPolicy::Peaks2d {
                min_distance: self.min_distance.unwrap_or(7),
                threshold_abs: self.threshold_abs.unwrap_or(2.5),
                order: self.order(),
            },
            "fill-empty-space" => SeedPolicy::FillEmptySpace,
            "max" => SeedPolicy::Max,
            "max-peaks" => SeedPolicy::MaxPeaks {
                min_distance: self.min_distance.unwrap_or(3),
                threshold_abs: self.threshold_abs.unwrap_or(0.0),
                threshold_rel: self.threshold_rel.unwrap_or(0.0),
            },
            "image-peaks-3d-2d" => SeedPolicy::ImagePeaks3d2d {
                min_distance_2d: usize::try_from(self.min_distance_2d.unwrap_or(2)).ok(),
                min_distance_3d: usize::try_from(self.min_distance_3d.unwrap_or(4)).ok(),
            },
            "image-peaks-2d-disk" => self.disk_peaks(place)?,
            "grid-3d" => {
                let (step, offsets) = self.grid(&[0, 8, 4, 12, 2, 10, 14]);
                SeedPolicy::Grid3d { step, offsets }
            }
            "grid-2d" => {
                let (step, offsets) = self.grid(&[0, 8, 4, 12, 2, 6, 10, 14]);
                SeedPolicy::Grid2d { step, offsets }
            }
            "invert-origins" => SeedPolicy::Points(self.inverted_origins(directory, place)?),
            _ => SeedPolicy::Dense {
                threshold: self.threshold.unwrap_or(0.5) as f32,
                num_erosions: self.num_erosions.unwrap_or(0),
                invert: self.invert.unwrap_or(false),
            },
        })
    }

    fn order(&self) -> Order {
        let text = self.sort_cmp.as_deref().unwrap_or_default().trim().to_lowercase();
        if text.starts_with("de") { Order::Descending } else { Order::Ascending }
    }

    fn grid(&self, offsets: &[usize]) -> (usize, Vec<usize>) {
        let offsets = self.offsets.clone().unwrap_or_else(|| offsets.to_vec());
        (self.step.unwrap_or(16), offsets)
    }

    fn disk_peaks(&self, place: &str) -> Result<SeedPolicy> {
        let distance = self.min_distance_2d.unwrap_or(3);
        let Ok(min_distance_2d) = usize::try_from(distance) else {
            let message = format!("min_distance_2d: expected 0 or more, found {distance}");
            return Err(Error::settings(format!("{place}: seeds"), message));
        };
        Ok(SeedPolicy::ImagePeaks2dDisk {
            min_distance_2d,
            threshold_rel: self.threshold_rel.unwrap_or(0.5) as f32,
            disk_radius: self.disk_radius.unwrap_or(1),
        })
    }

    fn inverted_origins(&self, directory: &Path, place: &str) -> Result<Vec<[usize; 3]>> {
        let points = match (&self.origins, &self.points_zyx) {
            (Some(path), None) => origins::descending(&directory.join(path))?,
            (None, Some(points)) => points.clone(),
            _ => {
                let message = "invert-origins: expected origins, the STEM.segments.csv of a run";
                return Err(Error::settings(format!("{place}: seeds"), message));
            }
        };
        Ok(points.into_iter().map(|p| p.map(|v| v as usize)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<SeedPolicy> {
        let table: SeedTable = toml::from_str(text).unwrap();
        table.seed_policy(Path::new(""), "s.toml")
    }

    #[test]
    fn policies_have_the_arguments_of_google_ffn() {
        for known in &POLICIES {
            let text = match known.name {
                "invert-origins" => {
                    "policy = 'invert-origins'\npoints_zyx = [[1, 2, 3]]".to_owned()
                }
                name => format!("policy = '{name}'"),
            };
            for text in [text.clone(), format!("{text}\nreverse = true")] {
                let found = policy(&text).unwrap();
                let table = SeedTable::of_policy(&found);
                let written = toml::to_string(&table).unwrap();
                assert_eq!(policy(&written).unwrap(), found, "{written}");
            }
        }
        assert_eq!(
            policy("policy = 'peaks-2d'\nsort_cmp = ' Descending'").unwrap(),
            SeedPolicy::Peaks2d { min_distance: 7, threshold_abs: 2.5, order: Order::Descending }
        );
        assert_eq!(
            policy("sequence = [{policy = 'max', reverse = true}, {policy = 'grid-2d', step = 4}]")
                .unwrap(),
            SeedPolicy::Sequence(vec![
                SeedPolicy::Reverse(Box::new(SeedPolicy::Max)),
                SeedPolicy::Grid2d { step: 4, offsets: vec![0, 8, 4, 12, 2, 6, 10, 14] },
            ])
        );
    }

    #[test]
    fn what_a_policy_does_not_take_is_named() {
        for (text, expected) in [
            ("policy = 'peeks'", "expected one of peaks, peaks-2d"),
            ("policy = 'grid-3d'\nmin_distance = 3", "does not take min_distance; expected step"),
            ("policy = 'max'\nstep = 3", "max does not take step; expected none"),
            ("step = 3", "peaks does not take step"),
            ("sequence = []\nstep = 3", "sequence does not take step; expected none"),
            ("policy = 'max'\nsequence = []", "sequence does not take policy"),
            ("policy = 'invert-origins'", "expected origins"),
            (
                "policy = 'image-peaks-2d-disk'\nmin_distance_2d = -1",
                "expected 0 or more, found -1",
            ),
        ] {
            let error = policy(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.starts_with("s.toml"), "{text}: {error}");
        }
    }
}
