//! Where no FOV may be centred, and where no object may start: `MovementRestrictor` of google/ffn.

mod expression;
mod mask;
mod shift_mask;

pub use expression::Expression;
pub use mask::Mask;
pub use shift_mask::ShiftMask;

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

impl Restrictor {
    /// Whether a FOV may be centred at a voxel.
    ///
    /// # Panics
    /// If the voxel lies outside a mask.
    pub fn allows_centre(&self, position: [usize; 3]) -> bool {
        !self.mask.as_ref().is_some_and(|mask| mask.get(position))
            && !self.shift_mask.as_ref().is_some_and(|shifts| shifts.refuses(position))
    }

    /// Whether an object may start at a voxel.
    ///
    /// # Panics
    /// If the voxel lies outside a mask.
    pub fn allows_seed(&self, position: [usize; 3]) -> bool {
        !self.seed_mask.as_ref().is_some_and(|mask| mask.get(position))
            && self.allows_centre(position)
    }

    /// Whether mask or seed mask cover everything, so that there is nothing to do.
    pub fn covers_all(&self) -> bool {
        [&self.mask, &self.seed_mask].into_iter().flatten().any(Mask::is_full)
    }
}
