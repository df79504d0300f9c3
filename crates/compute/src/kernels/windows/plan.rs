//! What a batch of steps is made of, as words.

/// Words of a window in the plan.
pub(crate) const HEADER: usize = 16;
/// Words of what is found out about a window: how many logits move on, how many there are, how many were
/// sure and are outside now; for each face of the cuboid its maximum in order, and where that is first.
pub(crate) const NOTES: usize = 16;
/// Words of what is said of a window: deleted voxels, for each face where its maximum is and what.
pub(crate) const SAID: usize = 16;
/// Place of the maximum of a face that has none.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// [`ordered`](super::super::words::ordered) minus infinity: no maximum.
pub(super) const LOWEST: u32 = 0x007f_ffff;

/// A window, and what is done in it.
pub(crate) struct Header {
    /// First voxel, `[z, y, x]`.
    pub(crate) start: [usize; 3],
    /// Where in the plan the slots of its tiles stand, in C order.
    pub(crate) slots_at: usize,
    /// Tiles along y and x.
    pub(crate) tiles_yx: [usize; 2],
    /// Logit of voxels that no step has touched.
    pub(crate) pad: f32,
    /// Logit from which on a voxel is moved to, and counts for the share.
    pub(crate) moves: f32,
    /// Logit from which on a voxel is surely inside.
    pub(crate) sure: f32,
    /// If more than this share of the voxels is such, what is outside stays outside.
    pub(crate) share: Option<Share>,
    /// Distances of the faces from the centre.
    pub(crate) deltas: [usize; 3],
}

/// A share below 1, so that counts are compared with it without rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// The share's 24 bits, from the highest on.
    digits: u32,
    /// Zeros before them.
    zeros: u32,
}

impl Share {
    /// `None` if no share is more than that, or there is no such rule: it is below 0.
    pub(crate) fn more_than(share: f32) -> Option<Self> {
        if !(0.0..1.0).contains(&share) {
            return None;
        }
        let bits = share.to_bits();
        let (exponent, rest) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
        let digits = if exponent == 0 { rest } else { rest | 0x80_0000 };
        // The share is digits / 2^24 * 2^(exponent - 126); counts have fewer than 31 bits.
        Some(Self { digits: digits << 8, zeros: (126 - exponent.clamp(1, 126)).min(31) })
    }
}

impl Header {
    pub(crate) fn words(&self) -> [u32; HEADER] {
        let [z, y, x] = self.start.map(|n| n as u32);
        let [ty, tx] = self.tiles_yx.map(|n| n as u32);
        let [dz, dy, dx] = self.deltas.map(|n| n as u32);
        let bits = [self.pad, self.moves, self.sure].map(f32::to_bits);
        let Share { digits, zeros } = self.share.unwrap_or(Share { digits: 0, zeros: 0 });
        let rule = u32::from(self.share.is_some());
        let slots_at = self.slots_at as u32;
        [z, y, x, slots_at, ty, tx, bits[0], bits[1], bits[2], rule, digits, zeros, dz, dy, dx, 0]
    }
}

/// What is known of a window at the beginning.
pub(crate) const UNKNOWN: [u32; NOTES] = [
    0, 0, 0, LOWEST, LOWEST, LOWEST, LOWEST, LOWEST, LOWEST, NOWHERE, NOWHERE, NOWHERE, NOWHERE,
    NOWHERE, NOWHERE, 0,
];
