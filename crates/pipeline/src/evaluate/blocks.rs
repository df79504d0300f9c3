//! Counting the pairs of labels of one block.

use std::fmt;
use std::str::FromStr;

use exavox_compute::metrics::{BorderMask, Contingency};
use exavox_io::{BoundingBox, VoxelSize};

use crate::error::{Error, Result};

/// Voxels along the edge of a block, before it is rounded up to whole chunks.
const BLOCK: u64 = 128;
/// Voxels of a block at most: 16 bytes each while two volumes are compared, for each thread.
const MAX_VOXELS: u64 = 1 << 24;

/// How far from a border between true labels, in their section, voxels do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BorderDistance {
    /// In voxels, whatever their size.
    Voxels(f64),
    /// In nanometres.
    Nm(f64),
}

impl BorderDistance {
    /// The distance of the CREMI challenge.
    pub const CREMI: Self = Self::Nm(25.0);

    /// The mask for voxels of a size.
    ///
    /// # Errors
    /// [`Error::Settings`] if the distance is in nanometres and the size is not known, or it is none.
    pub(crate) fn mask(self, size: Option<VoxelSize>, truth: &str) -> Result<BorderMask> {
        let (distance, spacing) = match (self, size) {
            (Self::Voxels(distance), _) => (distance, [1.0; 2]),
            (Self::Nm(distance), Some(size)) => (distance, [size.nm_zyx[1], size.nm_zyx[2]]),
            (Self::Nm(distance), None) => {
                let message = format!(
                    "{distance} nm to a border are unknown without a voxel size: expected one in the truth, or \
                     --voxel-size, or a distance in voxels"
                );
                return Err(Error::settings(truth, message));
            }
        };
        Ok(BorderMask::new(distance, spacing)?)
    }
}

impl FromStr for BorderDistance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, nm) = match text.strip_suffix("nm") {
            Some(number) => (number.trim_end(), true),
            None => (text, false),
        };
        let good = |v: &f64| v.is_finite() && *v >= 0.0;
        match number.parse::<f64>().ok().filter(good) {
            Some(distance) if nm => Ok(Self::Nm(distance)),
            Some(distance) => Ok(Self::Voxels(distance)),
            None => {
                let message =
                    format!("expected voxels (6.25) or nanometres (25nm), found '{text}'");
                Err(Error::settings("distance to a border", message))
            }
        }
    }
}

impl fmt::Display for BorderDistance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voxels(distance) => write!(f, "{distance} voxels"),
            Self::Nm(distance) => write!(f, "{distance} nm"),
        }
    }
}

/// Counts blocks of a region; borders are those inside it.
#[derive(Debug, Clone)]
pub(crate) struct BlockCounter {
    region: BoundingBox,
    mask: Option<BorderMask>,
}

impl BlockCounter {
    pub(crate) fn new(region: BoundingBox, mask: Option<BorderMask>) -> Self {
        Self { region, mask }
    }

    /// Voxels `[z, y, x]` of the truth that are read around a block.
    pub(crate) fn halo(&self) -> [u64; 3] {
        self.mask.as_ref().map_or([0; 3], BorderMask::halo)
    }

    /// Counts a block: the prediction is read there, the truth with the halo of the mask, so that the
    /// counts of all blocks are those of the region.
    pub(crate) fn count(
        &self,
        block: &BoundingBox,
        labels: impl Fn(&BoundingBox) -> Result<Vec<u64>>,
        truth: impl Fn(&BoundingBox) -> Result<Vec<u64>>,
    ) -> Result<Contingency> {
        let mut table = Contingency::new();
        let Some(mask) = &self.mask else {
            table.add(&labels(block)?, &truth(block)?)?;
            return Ok(table);
        };
        let around = self.around(block);
        let shape = around.shape().map(|v| v as usize);
        let inner = block.relative_to(around.start);
        let truth = truth(&around)?;
        let ignored = cropped(&mask.of(&truth, shape), shape, &inner);
        table.add_unmasked(&labels(block)?, &cropped(&truth, shape, &inner), &ignored)?;
        Ok(table)
    }

    fn around(&self, block: &BoundingBox) -> BoundingBox {
        let (halo, region) = (self.halo(), self.region);
        let start =
            std::array::from_fn(|a| block.start[a].saturating_sub(halo[a]).max(region.start[a]));
        let end = std::array::from_fn(|a| (block.end[a] + halo[a]).min(region.end[a]));
        BoundingBox { start, end }
    }
}

/// The values of a box of an array.
fn cropped<T: Copy>(values: &[T], shape: [usize; 3], area: &BoundingBox) -> Vec<T> {
    let [start, end] = [area.start, area.end].map(|corner| corner.map(|v| v as usize));
    let rows = (start[0]..end[0]).flat_map(|z| (start[1]..end[1]).map(move |y| z * shape[1] + y));
    rows.flat_map(|row| &values[row * shape[2] + start[2]..row * shape[2] + end[2]])
        .copied()
        .collect()
}

/// Whole chunks of the volume with the larger chunks, so that few are decoded twice, as long as that are
/// not too many voxels.
pub(crate) fn block_shape(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    let mut shape: [u64; 3] = std::array::from_fn(|axis| {
        let chunk = a[axis].max(b[axis]).max(1);
        BLOCK.next_multiple_of(chunk).min(4 * BLOCK)
    });
    while shape.iter().product::<u64>() > MAX_VOXELS {
        let longest = (0..3).max_by_key(|axis| shape[*axis]).unwrap_or_default();
        shape[longest] = shape[longest].div_ceil(2);
    }
    shape
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_read() {
        assert_eq!("6.25".parse::<BorderDistance>().unwrap(), BorderDistance::Voxels(6.25));
        assert_eq!("25nm".parse::<BorderDistance>().unwrap(), BorderDistance::CREMI);
        assert_eq!("25 nm".parse::<BorderDistance>().unwrap(), BorderDistance::CREMI);
        for text in ["", "nm", "-1", "1um", "inf", "NaN"] {
            assert!(text.parse::<BorderDistance>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_box_is_cropped() {
        let values: Vec<usize> = (0..24).collect();
        let area = BoundingBox::new([1, 0, 2], [2, 2, 4]);
        assert_eq!(cropped(&values, [2, 3, 4], &area), [14, 15, 18, 19]);
    }
}
