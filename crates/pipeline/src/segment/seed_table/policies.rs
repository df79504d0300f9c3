//! Which policies there are, and which arguments each of them takes.

use super::SeedTable;
use crate::error::{Error, Result};

/// A policy's name here, its class in google/ffn, and the arguments it takes.
pub(in crate::segment) struct Known {
    pub(in crate::segment) name: &'static str,
    pub(in crate::segment) class: &'static str,
    pub(super) arguments: &'static [&'static str],
}

const fn known(
    name: &'static str,
    class: &'static str,
    arguments: &'static [&'static str],
) -> Known {
    Known { name, class, arguments }
}

/// All of them but the two that hold others, which are keys of the table.
pub(in crate::segment) const POLICIES: [Known; 11] = [
    known("peaks", "PolicyPeaks", &[]),
    known("peaks-2d", "PolicyPeaks2d", &["min_distance", "threshold_abs", "sort_cmp"]),
    known("fill-empty-space", "PolicyFillEmptySpace", &[]),
    known("max", "PolicyMax", &[]),
    known("max-peaks", "PolicyMaxPeaks", &["min_distance", "threshold_abs", "threshold_rel"]),
    known("image-peaks-3d-2d", "PolicyImagePeaks3D2D", &["min_distance_2d", "min_distance_3d"]),
    known(
        "image-peaks-2d-disk",
        "PolicyImagePeaks2DDisk",
        &["min_distance_2d", "threshold_rel", "disk_radius"],
    ),
    known("grid-3d", "PolicyGrid3d", &["step", "offsets"]),
    known("grid-2d", "PolicyGrid2d", &["step", "offsets"]),
    known("invert-origins", "PolicyInvertOrigins", &["origins", "points_zyx"]),
    known("dense", "PolicyDenseSeeds", &["threshold", "num_erosions", "invert"]),
];

impl SeedTable {
    pub(super) fn refuse_arguments(&self, name: &str, taken: &[&str], place: &str) -> Result<()> {
        let Some(found) = self.arguments().into_iter().find(|argument| !taken.contains(argument))
        else {
            return Ok(());
        };
        let expected = match taken {
            [] | ["sequence"] => "none".to_owned(),
            _ => taken.join(", "),
        };
        let message = format!("{name} does not take {found}; expected {expected}");
        Err(Error::settings(format!("{place}: seeds"), message))
    }

    /// Names of the keys that are there, but `policy` of a policy and `reverse`.
    fn arguments(&self) -> Vec<&'static str> {
        let keys = [
            ("policy", self.policy.is_some() && self.sequence.is_some()),
            ("points_zyx", self.points_zyx.is_some()),
            ("origins", self.origins.is_some()),
            ("sequence", self.sequence.is_some()),
            ("min_distance", self.min_distance.is_some()),
            ("min_distance_2d", self.min_distance_2d.is_some()),
            ("min_distance_3d", self.min_distance_3d.is_some()),
            ("threshold_abs", self.threshold_abs.is_some()),
            ("threshold_rel", self.threshold_rel.is_some()),
            ("sort_cmp", self.sort_cmp.is_some()),
            ("disk_radius", self.disk_radius.is_some()),
            ("step", self.step.is_some()),
            ("offsets", self.offsets.is_some()),
            ("threshold", self.threshold.is_some()),
            ("num_erosions", self.num_erosions.is_some()),
            ("invert", self.invert.is_some()),
        ];
        keys.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }
}
