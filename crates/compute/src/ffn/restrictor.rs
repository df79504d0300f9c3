//! Where no FOV may be centred, and where no object may start: `MovementRestrictor` of google/ffn.

mod expression;
mod mask;
mod shift_mask;

pub use expression::Expression;
pub use mask::Mask;
pub use shift_mask::ShiftMask;

use super::restrict::Restrict;
use crate::error::{Error, Result};

/// Masks of one subvolume. Without any, everything is allowed.
#[derive(Debug, Clone, Default)]
pub struct Restrictor {
    /// No FOV is centred here, not even at the start of an object.
    pub mask: Option<Mask>,
    /// No object starts here.
    pub seed_mask: Option<Mask>,
    /// No FOV is centred near large shifts between planes.
    pub shift_mask: Option<ShiftMask>,
}

impl Restrict for Restrictor {
    /// # Panics
    /// If the voxel lies outside a mask.
    fn allows_centre(&self, centre: [usize; 3]) -> bool {
        !self.mask.as_ref().is_some_and(|mask| mask.get(centre))
            && !self.shift_mask.as_ref().is_some_and(|shifts| shifts.refuses(centre))
    }

    /// # Panics
    /// If the voxel lies outside a mask.
    fn allows_seed(&self, seed: [usize; 3]) -> bool {
        !self.seed_mask.as_ref().is_some_and(|mask| mask.get(seed))
    }
}

impl Restrictor {
    /// `Ok` if the masks are of a canvas of this shape.
    ///
    /// # Errors
    /// [`Error::Usage`] if a mask has another shape.
    pub fn check(&self, shape: [usize; 3]) -> Result<()> {
        for mask in [&self.mask, &self.seed_mask].into_iter().flatten() {
            if mask.shape() != shape {
                let found = mask.shape();
                let message = format!("mask: expected a shape of {shape:?}, found {found:?}");
                return Err(Error::Usage(message));
            }
        }
        Ok(())
    }

    /// All that is masked as bytes, for digests. Memory: a bit a voxel.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words = Vec::new();
        for mask in [&self.mask, &self.seed_mask] {
            words.push(u64::from(mask.is_some()));
            mask.iter().for_each(|mask| mask.put(&mut words));
        }
        self.shift_mask.iter().for_each(|shifts| shifts.put(&mut words));
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Whether mask or seed mask cover everything, so that there is nothing to do.
    pub fn covers_all(&self) -> bool {
        [&self.mask, &self.seed_mask].into_iter().flatten().any(Mask::is_full)
    }
}
