//! What the stages will take, by arithmetic.

use exavox_compute::ComputeDevice;
use exavox_compute::ffn::DEVICE_BATCH;
use exavox_io::Metadata;

use super::{Segment, SegmentSpec, cells};
use crate::blocks::StagePlan;
use crate::error::{Error, Result};
use crate::segment::memory::KeptHere;
use crate::segment::{SegmentSettings, fitting_subvolume};
use crate::union::MIN_MEMORY_BYTES;

/// How often the network evaluates a voxel, as measured on the FIB-25 sample.
const EVALUATIONS_PER_VOXEL: f64 = 59.0;
/// Memory of a network for each voxel of its field of view: activations of a few layers.
const NETWORK_BYTES_PER_FOV_VOXEL: u64 = 1 << 10;
/// Runs of subvolumes whose faces are counted together, at most: as many files are open at once.
pub(super) const FACE_PARTS: u64 = 256;
/// Edge of the part of the volume that the report shows.
pub(super) const SHOWN_EDGE: u64 = 256;

/// Memory for weights and whatever does not grow with a subvolume.
const SHARED_BYTES: u64 = 16 << 20;
/// Edge of the largest subvolume that is chosen: a larger one saves little of the overlap.
const LARGEST_EDGE: u64 = 512;

impl SegmentSpec {
    /// Chooses subvolumes for a region of `shape`, so that `at_once` of them fit into memory, with what the
    /// device takes of it: about equal, as large as that allows, at most 512 voxels along an axis.
    ///
    /// # Errors
    /// [`Error::Settings`] if not even subvolumes of twice the field of view do.
    pub fn choose_subvolume(
        &mut self,
        shape: [u64; 3],
        settings: &SegmentSettings,
        device: &ComputeDevice,
        memory_bytes: u64,
        at_once: u64,
    ) -> Result<()> {
        let overlap = self.overlap.unwrap_or_else(|| Self::default_overlap(settings));
        let smallest = settings.model.fov_zyx.map(|fov| 2 * fov as u64);
        let fov = settings.model.fov_voxels() as u64 * NETWORK_BYTES_PER_FOV_VOXEL;
        let shared = SHARED_BYTES.saturating_add(settings.batch_bytes_here(device, DEVICE_BATCH));
        let each = memory_bytes.saturating_sub(shared) / at_once.max(1);
        let (kept, voxel) = (settings.kept_here(device), settings.bytes_per_voxel());
        let voxels = kept.voxels(each.saturating_sub(fov), voxel).min(LARGEST_EDGE.pow(3));
        let Some(size) = fitting_subvolume(shape, overlap, smallest, voxels) else {
            let message = format!(
                "{at_once} of at least {smallest:?} voxels with {overlap:?} in common do not fit into \
                 {} MiB; allow more memory, or fewer threads",
                memory_bytes >> 20
            );
            return Err(Error::settings("subvolumes", message));
        };
        (self.subvolume, self.overlap) = (size, Some(overlap));
        if self.layout.block.is_none() && each < relabel_bytes(1 << 21) {
            let granule = self.layout.shard.or(self.layout.chunk);
            self.layout.block = Some(granule.unwrap_or([64; 3]));
        }
        Ok(())
    }
}

impl Segment {
    pub(super) fn planned_stages(&self, image: &Metadata) -> Vec<StagePlan> {
        let mut stages = vec![self.infer_plan(image), self.faces_plan()];
        stages.push(StagePlan { bytes_per_block: MIN_MEMORY_BYTES, ..StagePlan::single("union") });
        stages.extend([self.relabel_plan(), StagePlan::single("finish")]);
        stages.extend(self.levels.iter().map(|level| level.plan().clone()));
        let shown = cells(self.target.options().shape.map(|s| s.min(SHOWN_EDGE)));
        let bytes_per_block = (16 << 20) + shown * (2 * image.dtype.size() as u64 + 16);
        stages.push(StagePlan { bytes_per_block, ..StagePlan::single("report") });
        stages
    }

    /// The plan of inference with what the device takes of this machine's memory.
    pub(super) fn infer_plan_on(&self, device: &ComputeDevice, plan: &StagePlan) -> StagePlan {
        let kept = KeptHere::new(device, Some(self.model.architecture()));
        let canvas = kept.bytes(cells(self.subvolumes.size()));
        let batch = self.settings.batch_bytes_here(device, DEVICE_BATCH);
        StagePlan {
            bytes_per_block: plan.bytes_per_block.saturating_add(canvas),
            shared_bytes: plan.shared_bytes.saturating_add(batch),
            ..plan.clone()
        }
    }

    fn infer_plan(&self, image: &Metadata) -> StagePlan {
        let voxels = cells(self.subvolumes.size());
        let fov = self.settings.model.fov_voxels() as u64;
        let parameters = self.model.num_parameters() as f64;
        StagePlan {
            blocks: self.subvolumes.len(),
            voxels_per_block: voxels,
            bytes_per_block: voxels * self.settings.bytes_per_voxel()
                + fov * NETWORK_BYTES_PER_FOV_VOXEL,
            shared_bytes: SHARED_BYTES.min(32 * self.model.num_parameters() as u64),
            read_bytes_per_block: voxels * image.dtype.size() as u64,
            write_bytes_per_block: voxels * 4,
            flop_per_block: voxels as f64 * EVALUATIONS_PER_VOXEL * 2.0 * parameters,
            ..StagePlan::single("infer")
        }
    }

    fn faces_plan(&self) -> StagePlan {
        let (subvolumes, size) = (self.subvolumes.len(), self.subvolumes.size());
        let blocks = subvolumes.min(FACE_PARTS);
        // The last subvolume of an axis may share nearly all with the one before.
        let shared = |axis: usize| self.largest_overlap(axis) * cells(size) / size[axis];
        let all = shared(0) + shared(1) + shared(2);
        let largest = shared(0).max(shared(1)).max(shared(2));
        StagePlan {
            blocks,
            voxels_per_block: all * subvolumes.div_ceil(blocks),
            // Labels of both, and tables of those that occur together.
            bytes_per_block: largest * 16 + (16 << 20),
            read_bytes_per_block: 8 * all * subvolumes.div_ceil(blocks),
            ..StagePlan::single("faces")
        }
    }

    /// Voxels along an axis that neighbours share at most.
    fn largest_overlap(&self, axis: usize) -> u64 {
        let last = self.subvolumes.area(self.subvolumes.len() - 1);
        let mut before = last;
        let counts = self.subvolumes.counts();
        if counts[axis] < 2 {
            return 0;
        }
        let step: u64 = counts[axis + 1..].iter().product();
        before.end = self.subvolumes.area(self.subvolumes.len() - 1 - step).end;
        before.end[axis].saturating_sub(last.start[axis])
    }

    fn relabel_plan(&self) -> StagePlan {
        let voxels = cells(self.grid.block_shape());
        StagePlan {
            blocks: self.grid.len(),
            voxels_per_block: voxels,
            bytes_per_block: relabel_bytes(voxels),
            read_bytes_per_block: voxels * 4,
            write_bytes_per_block: voxels * 8,
            ..StagePlan::single("relabel")
        }
    }
}

/// Labels of both kinds, chunks as they are coded, tables of labels.
fn relabel_bytes(voxels: u64) -> u64 {
    voxels * (4 + 3 * 8) + (16 << 20)
}
