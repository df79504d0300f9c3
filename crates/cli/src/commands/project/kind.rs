//! What `--kind` may name.

use std::fmt;
use std::str::FromStr;

use exavox_compute::ops::projection::ProjectionKind;

/// A projection of `exavox project`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value for each pixel, from the values along the axis alone.
    Plain(ProjectionKind),
    /// Colour by depth.
    DepthColour,
    /// The sharpest plane of each pixel.
    ExtendedFocus,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain(kind) => kind.name(),
            Self::DepthColour => "depth-colour",
            Self::ExtendedFocus => "extended-focus",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let others = [Self::DepthColour, Self::ExtendedFocus];
        let all = || ProjectionKind::ALL.into_iter().map(Self::Plain).chain(others);
        let spelled = text.replace("color", "colour");
        all().find(|kind| kind.name() == spelled).ok_or_else(|| {
            let known: Vec<&str> = all().map(Self::name).collect();
            format!("projection '{text}' is unknown; known are {}", known.join(", "))
        })
    }
}
