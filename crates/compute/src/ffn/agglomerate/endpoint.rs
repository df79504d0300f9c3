//! What a segment becomes that is followed beyond its end: how much of it comes back, and what it grows into.

use std::collections::BTreeMap;

use super::block::PairBlock;
use super::resegmentation::Run;
use super::score::Area;
use crate::error::Result;

/// Another segment that the run covers, within the analysis box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Its label.
    pub label: u64,
    /// Its voxels in the run.
    pub covered: u64,
    /// Its voxels.
    pub voxels: u64,
}

/// The run from a segment compared with the segments that were there, within the analysis box.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointScores {
    /// Voxels of the segment.
    pub segment_voxels: u64,
    /// Those of them that are in the run.
    pub recovered_voxels: u64,
    /// Voxels of the run.
    pub voxels: u64,
    /// Those of them that no segment had.
    pub empty_voxels: u64,
    /// Other segments in the run, the one with most voxels in it first, of equal ones the smallest label.
    pub covered: Vec<Covered>,
    /// Voxels that were surely inside at some step and were judged outside by a later one.
    pub deleted_voxels: u64,
    /// Largest distance of a voxel of the run from its border, in the unit of the voxel size.
    pub max_edt: f64,
}

impl EndpointScores {
    /// Compares the run of an endpoint's segment; `None` if the segment has no voxel in the analysis box.
    ///
    /// Cost: a distance transform of the box. Memory: 6 bytes a voxel of it, and 40 for each segment in it.
    ///
    /// # Errors
    /// If memory cannot be had.
    pub fn new(block: &PairBlock<'_>, run: &Run) -> Result<Option<Self>> {
        let area = Area { block };
        let inside = area.run(run);
        let mut counts: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
        for (at, inside) in area.voxels().zip(&inside) {
            let [voxels, covered] = counts.entry(block.labels[at]).or_default();
            *voxels += 1;
            *covered += u64::from(*inside);
        }
        let [segment_voxels, recovered_voxels] = counts.remove(&block.ids[0]).unwrap_or_default();
        if segment_voxels == 0 {
            return Ok(None);
        }
        let [_, empty_voxels] = counts.remove(&0).unwrap_or_default();
        let others = counts.into_iter().filter(|(_, [_, covered])| *covered > 0);
        let mut covered: Vec<Covered> =
            others.map(|(label, [voxels, covered])| Covered { label, covered, voxels }).collect();
        covered.sort_by_key(|other| std::cmp::Reverse(other.covered));
        Ok(Some(Self {
            segment_voxels,
            recovered_voxels,
            voxels: inside.iter().map(|inside| u64::from(*inside)).sum(),
            empty_voxels,
            covered,
            deleted_voxels: area.deleted(run),
            max_edt: area.max_distance(&inside)?,
        }))
    }
}
