//! Which voxels are neighbours.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Which voxels are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connectivity {
    /// The 6 that share a face.
    #[default]
    Six,
    /// The 18 that share a face or an edge.
    Eighteen,
    /// The 26 that share a face, an edge or a corner.
    TwentySix,
}

impl Connectivity {
    /// All, fewest neighbours first.
    pub const ALL: [Self; 3] = [Self::Six, Self::Eighteen, Self::TwentySix];

    /// Number of neighbours: 6, 18 or 26.
    pub fn neighbours(self) -> u8 {
        match self {
            Self::Six => 6,
            Self::Eighteen => 18,
            Self::TwentySix => 26,
        }
    }
}

impl fmt::Display for Connectivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.neighbours())
    }
}

impl FromStr for Connectivity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|connectivity| connectivity.neighbours().to_string() == text)
            .ok_or_else(|| {
                Error::Usage(format!("connectivity: expected 6, 18 or 26, found '{text}'"))
            })
    }
}
