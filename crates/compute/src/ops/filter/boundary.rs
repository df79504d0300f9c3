//! What filters see beyond the border of a volume.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// What filters see beyond the border of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// The volume mirrored at the edge of its last voxel, `d c b a | a b c d | d c b a`: SciPy's `reflect`.
    #[default]
    Reflect,
    /// The last voxel again and again, `a a a a | a b c d | d d d d`: SciPy's `nearest`.
    Nearest,
}

impl Boundary {
    /// The position that stands for position `index` of an axis of `length` voxels, at least one.
    pub fn position(self, index: i64, length: usize) -> usize {
        let n = length as i64;
        let position = match self {
            Self::Nearest => index.clamp(0, n - 1),
            Self::Reflect => {
                let folded = index.rem_euclid(2 * n);
                if folded < n { folded } else { 2 * n - 1 - folded }
            }
        };
        position as usize
    }

    /// `reflect` or `nearest`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Nearest => "nearest",
        }
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Boundary {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = [Self::Reflect, Self::Nearest].into_iter().find(|b| b.name() == text);
        found.ok_or_else(|| Error::Usage(format!("expected reflect or nearest, found '{text}'")))
    }
}
