//! Flood-filling networks: subvolumes that overlap, their labels brought together, one label space.

use exavox_compute::ffn::{DEVICE_BATCH, device_batch_bytes, device_canvas_bytes};

use super::super::quantity;
use super::super::stage::StageModel;
use super::{ComputeRate, Hypothetical, labels, merges};
use crate::error::{Error, Result};
use crate::segment::memory::{BYTES_PER_VOXEL, FEATURES};

/// Operations of a step of the published network: depth 12, 32 features, a FOV of 33^3.
pub(super) const FLOP_PER_STEP: f64 = 45.83e9;
/// Steps of that network for 10^6 voxels of its published example, training_sample2 (25 799 steps).
pub(super) const STEPS_PER_MVOXEL: f64 = 1651.0;
/// Steps a second of google/ffn's published run of that example on a P100, one at a time.
pub(super) const STEPS_PER_SECOND: f64 = 84.7;
/// Voxels of overlap that a slot compares in a second.
const COMPARED_PER_SECOND: f64 = 100e6;
/// Labels of a subvolume.
const LOCAL_BYTES: usize = 4;

/// Voxels of the FOV of that network.
const FOV_VOXELS: u64 = 33 * 33 * 33;

/// What a device with memory of its own needs beside the weights, in words.
pub(super) fn device_memory(plan: &Hypothetical) -> String {
    let voxels = plan.memory_of(plan.subvolume_zyx, 1);
    let canvas = device_canvas_bytes(voxels, plan.dtype.size() as u64);
    let batch = device_batch_bytes(FOV_VOXELS, FEATURES, DEVICE_BATCH as u64);
    format!(
        "device memory: up to {} for a subvolume whose image and logits stay on a GPU, {} for {DEVICE_BATCH} \
         steps at once",
        quantity::bytes(canvas.into()),
        quantity::bytes(batch.into())
    )
}

pub(super) fn stages(plan: &Hypothetical) -> Result<Vec<StageModel>> {
    let grid = plan.subvolumes()?;
    let counts = grid.counts();
    if let Some(axis) = (0..3).find(|a| counts[*a] > 1 && plan.overlap_zyx[*a] == 0) {
        let message = format!(
            "0 voxels along {}: subvolumes that share none cannot be brought together",
            ["z", "y", "x"][axis]
        );
        return Err(Error::settings("overlap", message));
    }
    let mut stages = vec![infer(plan)?];
    if grid.blocks() > 1 {
        stages.push(faces(plan)?);
        stages.extend(merges::stages(plan, &grid));
    }
    stages.push(labels::relabel(plan, LOCAL_BYTES)?);
    Ok(stages)
}

fn infer(plan: &Hypothetical) -> Result<StageModel> {
    let grid = plan.subvolumes()?;
    let (blocks, voxels) = (grid.blocks(), grid.voxels());
    let steps = voxels as f64 / 1e6 * STEPS_PER_MVOXEL;
    let steps_per_block = steps / blocks as f64;
    let seconds = match plan.rate {
        Some(ComputeRate::SecondsPerBlock(seconds)) => seconds,
        Some(ComputeRate::StepsPerSecond(rate)) => steps_per_block / rate,
        Some(ComputeRate::FlopPerSecond(rate)) => steps_per_block * FLOP_PER_STEP / rate,
        None => steps_per_block / STEPS_PER_SECOND,
    };
    Ok(StageModel {
        name: "infer".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.image_bytes(voxels),
        written_bytes: plan.label_bytes(voxels, LOCAL_BYTES),
        flop: steps * FLOP_PER_STEP,
        memory_bytes_per_block: plan.memory_of(plan.subvolume_zyx, BYTES_PER_VOXEL),
        seconds_per_block: plan.times(seconds),
    })
}

/// Each subvolume and the next one along each axis: how often do two labels meet?
fn faces(plan: &Hypothetical) -> Result<StageModel> {
    let grid = plan.subvolumes()?;
    let (blocks, voxels) = (grid.blocks(), grid.overlap_voxels());
    let each = voxels as f64 / blocks as f64;
    let thickest = (0..3).map(|axis| {
        let mut slab = plan.subvolume_zyx;
        slab[axis] = plan.overlap_zyx[axis];
        plan.memory_of(slab, 2 * LOCAL_BYTES as u64)
    });
    Ok(StageModel {
        name: "faces".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: plan.label_bytes(voxels.saturating_mul(2), LOCAL_BYTES),
        written_bytes: merges::edge_bytes(grid.face_voxels(1)),
        flop: 0.0,
        memory_bytes_per_block: thickest.max().unwrap_or(0),
        seconds_per_block: plan.times(each / COMPARED_PER_SECOND),
    })
}
