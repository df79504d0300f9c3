//! What blocks take in memory, and what would fit if they take too much.

use super::super::quantity;
use super::{Hypothetical, Work};
use crate::error::{Error, Result};

/// Subvolumes are offered in multiples of this many voxels.
const STEP: u64 = 8;

impl Hypothetical {
    /// Bytes of a block of this shape, as far as the volume goes.
    pub(super) fn memory_of(&self, shape_zyx: [u64; 3], bytes_per_voxel: u64) -> u64 {
        let bytes = self.voxels_within(shape_zyx).saturating_mul(bytes_per_voxel.into());
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Refuses blocks that do not fit in the memory of a node.
    ///
    /// # Errors
    ///
    /// Names the stage, and the shape of subvolume or block that would fit.
    pub fn check_memory(&self, bytes_per_node: u64) -> Result<()> {
        let stages = self.stages()?;
        let Some(stage) = stages.iter().find(|s| s.memory_bytes_per_block > bytes_per_node) else {
            return Ok(());
        };
        let infer = self.work == Work::Segment && stage.name == "infer";
        let (flag, step) = if infer { ("subvolume", [STEP; 3]) } else { ("block", self.granule()) };
        let remedy = match self.fitting(flag, step, bytes_per_node) {
            Some([z, y, x]) => format!("a {flag} of {z},{y},{x} would fit"),
            None => format!("no {flag} would fit"),
        };
        let message = format!(
            "a {flag} takes {} of memory, a node has {}: {remedy}",
            quantity::bytes(stage.memory_bytes_per_block.into()),
            quantity::bytes(bytes_per_node.into())
        );
        Err(Error::settings(&stage.name, message))
    }

    /// The largest shape like the one that was asked for with which every stage fits.
    fn fitting(&self, flag: &str, step: [u64; 3], bytes_per_node: u64) -> Option<[u64; 3]> {
        let asked = if flag == "block" { self.block().ok()? } else { self.subvolume_zyx };
        let most: [u64; 3] = std::array::from_fn(|a| asked[a].min(self.shape_zyx[a]));
        let fits = |shape: &[u64; 3]| {
            let mut smaller = self.clone();
            match flag {
                "block" => smaller.block_zyx = Some(*shape),
                _ => smaller.subvolume_zyx = *shape,
            }
            let stages = smaller.stages();
            stages.is_ok_and(|s| s.iter().all(|s| s.memory_bytes_per_block <= bytes_per_node))
        };
        // The share of the edges, from large to small.
        let shape = |percent: u64| -> [u64; 3] {
            let edge = |a: usize| (u128::from(most[a]) * u128::from(percent) / 100) as u64;
            std::array::from_fn(|a| (edge(a) / step[a]).max(1) * step[a])
        };
        (1..100).rev().map(shape).find(fits)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use exavox_io::DataType;

    #[test]
    fn what_would_fit_does_and_is_not_much_smaller() {
        let plan = Hypothetical::new(Work::Segment, [10_000; 3], DataType::U8);
        plan.check_memory(3 << 30).unwrap();
        let error = plan.check_memory(2 << 30).unwrap_err().to_string();
        assert_eq!(
            error,
            "infer: a subvolume takes 2.95 GB of memory, a node has 2.15 GB: a subvolume of \
             456,456,456 would fit"
        );
        let smaller = Hypothetical { subvolume_zyx: [456; 3], ..plan.clone() };
        smaller.check_memory(2 << 30).unwrap();
        assert!(plan.check_memory(1 << 20).unwrap_err().to_string().contains("no subvolume"));
    }

    #[test]
    fn blocks_stay_whole_pieces() {
        let plan = Hypothetical::new(Work::Convert, [10_000; 3], DataType::U16);
        let error = plan.check_memory(64 << 20).unwrap_err().to_string();
        assert!(error.contains("a block of 192,192,192 would fit"), "{error}");
        let error = plan.check_memory(1 << 20).unwrap_err().to_string();
        assert!(error.contains("no block would fit"), "{error}");
    }
}
