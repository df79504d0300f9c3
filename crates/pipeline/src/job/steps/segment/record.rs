//! What is known of a subvolume beside its labels.

use std::path::Path;

use exavox_compute::ffn::{Counters, Origin};
use exavox_io::{BoundingBox, Place};
use serde::{Deserialize, Serialize};

use crate::blocks::Digest;
use crate::error::{Error, Result};

/// Where a segment of a subvolume started, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OriginRecord {
    /// Its label in the subvolume.
    pub(super) label: u32,
    /// Seed voxel in the volume.
    pub(super) seed_zyx: [u64; 3],
    pub(super) steps: u64,
    pub(super) voxels: u64,
    pub(super) seconds: f64,
}

/// What happened to the seeds, as [`Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct CounterRecord {
    pub(super) seeds: u64,
    pub(super) skip_invalid_pos: u64,
    pub(super) skip_too_close: u64,
    pub(super) segment_at_calls: u64,
    pub(super) fov_steps: u64,
    pub(super) seed_got_too_weak: u64,
    pub(super) too_small: u64,
    pub(super) voxels_segmented: u64,
    pub(super) voxels_overlapping: u64,
    #[serde(default)]
    pub(super) skip_restricted_pos: u64,
}

/// A subvolume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SubvolumeRecord {
    /// `z0:z1,y0:y1,x0:x1`.
    pub(super) area: String,
    /// Device that ran the last step.
    pub(super) device: String,
    /// Time of reading, of the seed policy, of the flood loop.
    pub(super) stage_seconds: [f64; 3],
    pub(super) counters: CounterRecord,
    /// In order of the labels, which are 1, 2, 3, ….
    pub(super) origins: Vec<OriginRecord>,
}

impl OriginRecord {
    pub(super) fn new(origin: &Origin, area: &BoundingBox) -> Self {
        let seed_zyx = std::array::from_fn(|a| area.start[a] + origin.seed_zyx[a] as u64);
        let Origin { id, steps, voxels, seconds, .. } = *origin;
        Self { label: id, seed_zyx, steps, voxels, seconds }
    }
}

impl CounterRecord {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            seeds: counters.seeds,
            skip_invalid_pos: counters.skip_invalid_pos,
            skip_too_close: counters.skip_too_close,
            segment_at_calls: counters.segment_at_calls,
            fov_steps: counters.fov_steps,
            seed_got_too_weak: counters.seed_got_too_weak,
            too_small: counters.too_small,
            voxels_segmented: counters.voxels_segmented,
            voxels_overlapping: counters.voxels_overlapping,
            skip_restricted_pos: counters.skip_restricted_pos,
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            seeds: self.seeds,
            skip_invalid_pos: self.skip_invalid_pos,
            skip_too_close: self.skip_too_close,
            segment_at_calls: self.segment_at_calls,
            fov_steps: self.fov_steps,
            seed_got_too_weak: self.seed_got_too_weak,
            too_small: self.too_small,
            voxels_segmented: self.voxels_segmented,
            voxels_overlapping: self.voxels_overlapping,
            skip_restricted_pos: self.skip_restricted_pos,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.skip_invalid_pos += other.skip_invalid_pos;
        self.skip_too_close += other.skip_too_close;
        self.segment_at_calls += other.segment_at_calls;
        self.fov_steps += other.fov_steps;
        self.seed_got_too_weak += other.seed_got_too_weak;
        self.too_small += other.too_small;
        self.voxels_segmented += other.voxels_segmented;
        self.voxels_overlapping += other.voxels_overlapping;
        self.skip_restricted_pos += other.skip_restricted_pos;
    }
}

impl SubvolumeRecord {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|source| exavox_io::Error::io(Place::path(path), source))?;
        let damaged =
            |e: serde_json::Error| Error::settings(path.display().to_string(), e.to_string());
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))?;
        Ok(exavox_io::staging::write_whole(path, &bytes)?)
    }

    /// Of everything that does not differ from run to run: no times, no device.
    pub(super) fn digest(&self) -> Digest {
        let origins = self.origins.iter().flat_map(|origin| {
            let [z, y, x] = origin.seed_zyx;
            [u64::from(origin.label), z, y, x, origin.steps, origin.voxels]
        });
        let bytes: Vec<u8> = origins.flat_map(u64::to_le_bytes).collect();
        Digest::of_parts([self.area.as_bytes(), &bytes, &counted(&self.counters)])
    }

    /// Time of the whole.
    pub(super) fn seconds(&self) -> f64 {
        self.stage_seconds.iter().sum()
    }
}

fn counted(counters: &CounterRecord) -> Vec<u8> {
    let CounterRecord { seeds, segment_at_calls, fov_steps, .. } = *counters;
    [seeds, segment_at_calls, fov_steps].into_iter().flat_map(u64::to_le_bytes).collect()
}
