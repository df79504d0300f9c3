//! Pictures of one object: truth and prediction side by side, in three slices through a voxel.

use exavox_compute::metrics::Side;
use exavox_io::{BoundingBox, Volume, VoxelSize, Voxels};

use super::places::{Focus, Pair};
use crate::error::Result;
use crate::label_volume::read_labels;
use crate::picture::{GreyRange, Picture, Rgb, label_colour};

/// Voxels along the edges of a slice, of the axis with the smallest ones.
const WINDOW: f64 = 160.0;
/// Black pixels between truth and prediction.
const GAP: usize = 4;
/// Grey where there is no image.
const PLAIN: Rgb = Rgb([70; 3]);
/// Share of a label's colour: in the object, at borders around it, in all else.
const TINTS: [f64; 3] = [0.6, 0.45, 0.12];

/// A slice.
pub(super) struct Slice {
    pub(super) caption: String,
    /// Truth, a gap, prediction; one pixel a voxel.
    pub(super) picture: Picture,
    /// Width by height of the picture, in proportion to the tissue.
    pub(super) aspect: f64,
}

/// What is shown.
pub(super) struct View<'a> {
    pub(super) pair: &'a Pair<'a>,
    /// Channel 0 lies under the labels.
    pub(super) image: Option<&'a Volume>,
    pub(super) voxel_size: Option<VoxelSize>,
}

impl View<'_> {
    /// Slices y-x, z-x and z-y (rows first) through a voxel of an object. The object is shown in strong
    /// colours: that of its label in its own volume, those of its parts in the other.
    pub(super) fn slices(&self, object: &Focus, at: [u64; 3]) -> Result<Vec<Slice>> {
        let window = self.window(at);
        let flat = |normal: usize| {
            let mut area = window;
            (area.start[normal], area.end[normal]) = (at[normal], at[normal] + 1);
            area
        };
        // A volume of one section has no other slices.
        let thick =
            |normal: &usize| *normal == 0 || (0..3).all(|a| a == *normal || window.shape()[a] > 1);
        let normals = (0..3).filter(thick);
        normals.map(|normal| self.slice(object, &flat(normal), normal)).collect()
    }

    /// The part of the region around a voxel that is shown.
    fn window(&self, at: [u64; 3]) -> BoundingBox {
        let size = self.voxel_size.map_or([1.0; 3], |size| size.nm_zyx);
        let smallest = size.iter().copied().fold(f64::INFINITY, f64::min);
        let region = self.pair.region;
        let wanted: [u64; 3] = size.map(|size| ((WINDOW * smallest / size).ceil() as u64).max(16));
        let shape: [u64; 3] = std::array::from_fn(|a| wanted[a].min(region.shape()[a]));
        let start = std::array::from_fn(|a| {
            let first = at[a].saturating_sub(shape[a] / 2).max(region.start[a]);
            first.min(region.end[a] - shape[a])
        });
        BoundingBox::from_start_shape(start, shape)
    }

    fn slice(&self, object: &Focus, area: &BoundingBox, normal: usize) -> Result<Slice> {
        let read = |volume: &Volume| read_labels(volume, area);
        let (truth, labels) = (read(self.pair.truth)?, read(self.pair.labels)?);
        let own = if object.side == Side::Truth { &truth } else { &labels };
        let inside: Vec<bool> = own.iter().map(|label| *label == object.label).collect();
        let [rows, columns] = [[1, 2], [0, 2], [0, 1]][normal];
        let [height, width] = [rows, columns].map(|a| area.shape()[a] as usize);
        let grey = self.grey(area)?;
        let draw = |labels: &[u64]| {
            Picture::from_fn(width, height, |y, x| {
                let at = y * width + x;
                coloured(labels, &inside, grey.as_deref().map_or(PLAIN, |g| g[at]), [y, x], width)
            })
        };
        let picture = Picture::row(&[draw(&truth), draw(&labels)], GAP);
        let names = ["z", "y", "x"];
        let size = self.voxel_size.map_or([1.0; 3], |size| size.nm_zyx);
        let aspect = (2 * width + GAP) as f64 * size[columns] / (height as f64 * size[rows]);
        let [first, from, to] = [area.start[normal], area.start[rows], area.start[columns]];
        let caption = format!(
            "{} = {first}; {} from {from} down, {} from {to} right; truth left, prediction right",
            names[normal], names[rows], names[columns]
        );
        Ok(Slice { caption, picture, aspect })
    }

    fn grey(&self, area: &BoundingBox) -> Result<Option<Vec<Rgb>>> {
        let Some(image) = self.image else { return Ok(None) };
        let voxels: Voxels = image.read(0, area)?;
        let range = GreyRange::of(&voxels);
        let grey = voxels.to_f32().iter().map(|value| Rgb([range.to_u8(*value); 3])).collect();
        Ok(Some(grey))
    }
}

/// The colour of a pixel of a slice of labels.
fn coloured(labels: &[u64], inside: &[bool], grey: Rgb, [y, x]: [usize; 2], width: usize) -> Rgb {
    let at = y * width + x;
    let label = labels[at];
    let other = |before: usize| labels[before] != label || inside[before] != inside[at];
    let border = (x > 0 && other(at - 1)) || (y > 0 && other(at - width));
    let tint = match (inside[at], border) {
        (true, true) => 1.0,
        (true, false) => TINTS[0],
        (false, true) => TINTS[1],
        (false, false) => TINTS[2],
    };
    match (label, border && inside[at]) {
        (0, true) => Rgb([255; 3]),
        (0, false) => grey,
        _ => grey.mix(label_colour(label), tint),
    }
}
