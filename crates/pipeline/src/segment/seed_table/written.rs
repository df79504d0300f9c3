//! Seeds as a table of a file.

use exavox_compute::ffn::seed::{Order, SeedPolicy};

use super::SeedTable;
use crate::segment::{Seeds, SegmentSettings};

impl SeedTable {
    /// Everything said.
    pub fn of(settings: &SegmentSettings) -> Self {
        match &settings.seeds {
            Seeds::Policy(policy) => Self::of_policy(policy),
            Seeds::Points(points) => Self { points_zyx: Some(points.clone()), ..Self::default() },
        }
    }

    pub(super) fn of_policy(policy: &SeedPolicy) -> Self {
        let named = |name: &str| Self { policy: Some(name.to_owned()), ..Self::default() };
        let signed = |v: &Option<usize>| Some(v.map_or(-1, |v| v as i64));
        match policy {
            SeedPolicy::Peaks => named("peaks"),
            SeedPolicy::Peaks2d { min_distance, threshold_abs, order } => Self {
                min_distance: Some(*min_distance),
                threshold_abs: Some(*threshold_abs),
                sort_cmp: Some(match order {
                    Order::Ascending => "ascending".to_owned(),
                    Order::Descending => "descending".to_owned(),
                }),
                ..named("peaks-2d")
            },
            SeedPolicy::FillEmptySpace => named("fill-empty-space"),
            SeedPolicy::Max => named("max"),
            SeedPolicy::MaxPeaks { min_distance, threshold_abs, threshold_rel } => Self {
                min_distance: Some(*min_distance),
                threshold_abs: Some(*threshold_abs),
                threshold_rel: Some(*threshold_rel),
                ..named("max-peaks")
            },
            SeedPolicy::ImagePeaks3d2d { min_distance_2d, min_distance_3d } => Self {
                min_distance_2d: signed(min_distance_2d),
                min_distance_3d: signed(min_distance_3d),
                ..named("image-peaks-3d-2d")
            },
            SeedPolicy::ImagePeaks2dDisk { min_distance_2d, threshold_rel, disk_radius } => Self {
                min_distance_2d: Some(*min_distance_2d as i64),
                threshold_rel: Some(f64::from(*threshold_rel)),
                disk_radius: Some(*disk_radius),
                ..named("image-peaks-2d-disk")
            },
            SeedPolicy::Grid3d { step, offsets } => {
                Self { step: Some(*step), offsets: Some(offsets.clone()), ..named("grid-3d") }
            }
            SeedPolicy::Grid2d { step, offsets } => {
                Self { step: Some(*step), offsets: Some(offsets.clone()), ..named("grid-2d") }
            }
            SeedPolicy::Dense { threshold, num_erosions, invert } => Self {
                threshold: Some(f64::from(*threshold)),
                num_erosions: Some(*num_erosions),
                invert: Some(*invert),
                ..named("dense")
            },
            SeedPolicy::Points(points) => {
                let points = points.iter().map(|p| p.map(|v| v as u64)).collect();
                Self { points_zyx: Some(points), ..named("invert-origins") }
            }
            SeedPolicy::Reverse(policy) => Self { reverse: Some(true), ..Self::of_policy(policy) },
            SeedPolicy::Sequence(policies) => Self {
                sequence: Some(policies.iter().map(Self::of_policy).collect()),
                ..Self::default()
            },
        }
    }
}
