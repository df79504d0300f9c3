//! How exactly a network is computed.

/// What a device may trade for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Products and sums in f32.
    #[default]
    Exact,
    /// Products of 16-bit numbers where the device has units for them, sums in f32.
    Fast,
}
