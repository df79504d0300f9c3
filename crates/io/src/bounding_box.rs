//! Half-open boxes of voxels in `z, y, x`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Place, Result};
use crate::geometry::Axis;

/// A box of voxels, half open, `[z, y, x]`: holds `start`, does not hold `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BoundingBox {
    /// First voxel.
    pub start: [u64; 3],
    /// One past the last voxel; at least `start` on each axis.
    pub end: [u64; 3],
}

impl BoundingBox {
    /// A box from its corners; `end` is raised to `start` where it lies before it.
    pub fn new(start: [u64; 3], end: [u64; 3]) -> Self {
        let end = std::array::from_fn(|a| end[a].max(start[a]));
        Self { start, end }
    }

    /// A box from its first voxel and its shape. Saturates at `u64::MAX`.
    pub fn from_start_shape(start: [u64; 3], shape: [u64; 3]) -> Self {
        Self { start, end: std::array::from_fn(|a| start[a].saturating_add(shape[a])) }
    }

    /// The whole of a volume.
    pub fn whole(shape: [u64; 3]) -> Self {
        Self { start: [0; 3], end: shape }
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [u64; 3] {
        std::array::from_fn(|a| self.end[a] - self.start[a])
    }

    /// Voxels in all; saturates at `u64::MAX`.
    pub fn num_voxels(&self) -> u64 {
        self.shape().into_iter().fold(1, u64::saturating_mul)
    }

    /// Whether no voxel is inside.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// Whether `other` lies wholly inside.
    pub fn contains(&self, other: &Self) -> bool {
        (0..3).all(|a| self.start[a] <= other.start[a] && other.end[a] <= self.end[a])
    }

    /// The common part, if there is one.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let start: [u64; 3] = std::array::from_fn(|a| self.start[a].max(other.start[a]));
        let end: [u64; 3] = std::array::from_fn(|a| self.end[a].min(other.end[a]));
        (0..3).all(|a| start[a] < end[a]).then_some(Self { start, end })
    }

    /// The box moved so that `origin` becomes zero. `origin` must not lie after `start`.
    pub fn relative_to(&self, origin: [u64; 3]) -> Self {
        Self {
            start: std::array::from_fn(|a| self.start[a] - origin[a]),
            end: std::array::from_fn(|a| self.end[a] - origin[a]),
        }
    }

    /// Boxes of at most `shape` voxels that tile this box, in C order of their index. An axis of
    /// `shape` that is 0 counts as 1.
    pub fn tiles(&self, shape: [u64; 3]) -> impl Iterator<Item = Self> + use<> {
        let step: [u64; 3] = shape.map(|s| s.max(1));
        let counts: [u64; 3] = std::array::from_fn(|a| self.shape()[a].div_ceil(step[a]));
        let this = *self;
        let index =
            move |n: u64| [n / (counts[1] * counts[2]), n / counts[2] % counts[1], n % counts[2]];
        (0..counts.iter().product()).map(move |n| {
            let i = index(n);
            let start = std::array::from_fn(|a| this.start[a] + i[a] * step[a]);
            let end = std::array::from_fn(|a| (start[a] + step[a]).min(this.end[a]));
            Self { start, end }
        })
    }

    /// `Ok` if the box has voxels and lies inside a volume of `shape`.
    ///
    /// # Errors
    /// [`Error::Usage`] names the axis, the range asked for and the size there is.
    pub fn check_inside(&self, shape: [u64; 3], location: &str) -> Result<()> {
        for (a, axis) in Axis::ZYX.into_iter().enumerate() {
            let (start, end, size) = (self.start[a], self.end[a], shape[a]);
            if start >= end || end > size {
                let place = Place::new(location).with_axis(axis);
                let message =
                    format!("region {start}:{end} is empty or outside the volume's 0:{size}");
                return Err(Error::usage(place, message));
            }
        }
        Ok(())
    }
}

impl fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [z, y, x] = [0, 1, 2].map(|a| format!("{}:{}", self.start[a], self.end[a]));
        write!(f, "{z},{y},{x}")
    }
}

impl FromStr for BoundingBox {
    type Err = Error;

    /// Reads `z0:z1,y0:y1,x0:x1`. An end left out (`10:`) is `u64::MAX`, to be clipped by
    /// [`BoundingBox::intersect`] with the volume; a start left out is 0.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(Place::new(text), format!("not a region z0:z1,y0:y1,x0:x1: {why}"))
        };
        let ranges: Vec<&str> = text.split(',').collect();
        let [z, y, x] = ranges[..] else {
            return Err(wrong(&format!("expected 3 ranges, found {}", ranges.len())));
        };
        let mut parsed = Self::whole([0; 3]);
        for (a, range) in [z, y, x].into_iter().enumerate() {
            let (start, end) = range.split_once(':').ok_or_else(|| wrong("a range has no ':'"))?;
            parsed.start[a] = parse_or(start, 0).ok_or_else(|| wrong("a start is not a number"))?;
            parsed.end[a] =
                parse_or(end, u64::MAX).ok_or_else(|| wrong("an end is not a number"))?;
            if parsed.start[a] >= parsed.end[a] {
                return Err(wrong(&format!("range {range} is empty")));
            }
        }
        Ok(parsed)
    }
}

fn parse_or(text: &str, default: u64) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() { Some(default) } else { text.parse().ok() }
}
