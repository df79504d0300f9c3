//! Axes, and the size of a voxel in nanometres.

use std::fmt;

/// An axis of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Time.
    T,
    /// Channel.
    C,
    /// Slowest spatial axis: the plane.
    Z,
    /// Row.
    Y,
    /// Column, fastest in memory.
    X,
}

impl Axis {
    /// The three spatial axes in memory order.
    pub const ZYX: [Self; 3] = [Self::Z, Self::Y, Self::X];

    /// One lower-case letter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::T => "t",
            Self::C => "c",
            Self::Z => "z",
            Self::Y => "y",
            Self::X => "x",
        }
    }

    /// Index into a `[z, y, x]` triple; `None` for time and channel.
    pub const fn zyx_index(self) -> Option<usize> {
        match self {
            Self::Z => Some(0),
            Self::Y => Some(1),
            Self::X => Some(2),
            Self::T | Self::C => None,
        }
    }

    /// The axis of one letter, upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        [Self::T, Self::C, Self::Z, Self::Y, Self::X].into_iter().find(|a| a.name() == lower)
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Edge lengths of a voxel in nanometres, `[z, y, x]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VoxelSize {
    /// Nanometres along z, y and x; finite and above zero.
    pub nm_zyx: [f64; 3],
}

impl VoxelSize {
    /// A voxel size, if all three lengths are finite and above zero.
    pub fn from_nm_zyx(nm_zyx: [f64; 3]) -> Option<Self> {
        nm_zyx.iter().all(|v| v.is_finite() && *v > 0.0).then_some(Self { nm_zyx })
    }

    /// Nanometres in one unit of a name as OME writes it (`micrometer`, `µm`, `nm`, …).
    pub fn nm_per_unit(unit: &str) -> Option<f64> {
        Some(match unit {
            "angstrom" | "Å" => 0.1,
            "picometer" | "pm" => 1e-3,
            "nanometer" | "nm" => 1.0,
            "micrometer" | "micron" | "µm" | "um" | "μm" => 1e3,
            "millimeter" | "mm" => 1e6,
            "centimeter" | "cm" => 1e7,
            "meter" | "m" => 1e9,
            "inch" | "in" => 2.54e7,
            _ => return None,
        })
    }
}

impl fmt::Display for VoxelSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [z, y, x] = self.nm_zyx;
        write!(f, "{z} x {y} x {x} nm (z, y, x)")
    }
}
