//! Where objects may grow and start.

/// Says where FOVs may be centred: the movement restrictor of google/ffn.
pub trait Restrict: Send + Sync {
    /// Whether an FOV may be centred at a voxel `[z, y, x]`, a seed's too.
    fn allows_centre(&self, centre: [usize; 3]) -> bool;

    /// Whether an object may start at a voxel, as far as seeds alone are restricted.
    fn allows_seed(&self, seed: [usize; 3]) -> bool;
}

/// Restricts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Everywhere;

impl Restrict for Everywhere {
    fn allows_centre(&self, _centre: [usize; 3]) -> bool {
        true
    }

    fn allows_seed(&self, _seed: [usize; 3]) -> bool {
        true
    }
}
