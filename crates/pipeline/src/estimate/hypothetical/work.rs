//! What is done, and how fast.

use std::fmt;

/// What is to be done with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Flood-filling networks in overlapping subvolumes, one label space, pyramid.
    Segment,
    /// Connected components, pyramid.
    Components,
    /// A filter that reads a halo around each block.
    Filter,
    /// A projection along z.
    Project,
    /// A pyramid.
    Downsample,
    /// Another format or layout.
    Convert,
}

impl Work {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Components => "components",
            Self::Filter => "filter",
            Self::Project => "project",
            Self::Downsample => "downsample",
            Self::Convert => "convert",
        }
    }

    /// Whether it makes labels, so that a pyramid belongs to it.
    pub(super) const fn makes_labels(self) -> bool {
        matches!(self, Self::Segment | Self::Components)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How fast a slot does the first stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ComputeRate {
    /// Mean seconds of a block.
    SecondsPerBlock(f64),
    /// Steps of the network in a second.
    StepsPerSecond(f64),
    /// Floating point operations of the network in a second, as they are reached.
    FlopPerSecond(f64),
}
