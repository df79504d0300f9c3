//! The description that ImageJ writes into the first page: lines of `key=value`.

use crate::geometry::VoxelSize;

/// What ImageJ's description says of the order of planes: `c` fastest, then `z`, then `t`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ImageJ {
    /// Planes in all.
    pub(super) images: u64,
    pub(super) channels: u64,
    pub(super) slices: u64,
    pub(super) frames: u64,
    /// Distance of planes, in `unit`.
    spacing: Option<f64>,
    unit: Option<String>,
}

impl ImageJ {
    /// Reads a description; `None` if it is not ImageJ's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.starts_with("ImageJ=") {
            return None;
        }
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|l| l.split_once('='));
            lines.find(|(k, _)| *k == key).map(|(_, v)| v.trim())
        };
        let number = |key: &str| value(key).and_then(|v| v.parse::<u64>().ok()).map(|v| v.max(1));
        let (channels, frames) = (number("channels").unwrap_or(1), number("frames").unwrap_or(1));
        let images = number("images").unwrap_or(1);
        // A plain stack gives `images` alone, without saying which axis they are.
        let planes = channels.checked_mul(frames)?;
        let slices = number("slices").unwrap_or_else(|| (images / planes).max(1));
        // ImageJ gives a negative spacing to stacks that run downwards.
        let spacing = value("spacing").and_then(|v| v.parse().ok()).map(f64::abs);
        let unit = value("unit").map(|u| u.replace("\\u00B5", "µ"));
        Some(Self { images, channels, slices, frames, spacing, unit })
    }

    /// Voxel size from the unit, the spacing of planes, and pixels per unit along x and y.
    pub(super) fn voxel_size(&self, pixels_per_unit_yx: Option<[f64; 2]>) -> Option<VoxelSize> {
        let nm = VoxelSize::nm_per_unit(self.unit.as_deref()?)?;
        let [y, x] = pixels_per_unit_yx?;
        VoxelSize::from_nm_zyx([self.spacing? * nm, nm / y, nm / x])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hyperstack_with_escaped_micrometres() {
        let text = "ImageJ=1.54f\nimages=14\nchannels=2\nslices=7\nhyperstack=true\nunit=\\u00B5m\n\
            spacing=0.5\n";
        let parsed = ImageJ::parse(text).unwrap();
        assert_eq!((parsed.channels, parsed.slices, parsed.frames), (2, 7, 1));
        let size = parsed.voxel_size(Some([10.0, 8.0])).unwrap();
        assert_eq!(size.nm_zyx, [500.0, 100.0, 125.0]);
    }

    #[test]
    fn plain_stack_is_all_slices() {
        assert_eq!(ImageJ::parse("ImageJ=1.0\nimages=5\n").unwrap().slices, 5);
        assert_eq!(ImageJ::parse("OME"), None);
    }
}
