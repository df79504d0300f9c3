//! An example: image, labels and weights around a centre, changed as `[augment]` wants it, and the
//! object at the centre singled out. The number of an example gives all of it.

use exavox_io::{BoundingBox, Voxels};

use super::augment::Augmentation;
use super::geometry::Geometry;
use super::positions::{AUGMENTATION, Centre, Positions, random};
use super::source::Source;
use crate::error::Result;
use crate::segment::ImageChannel;

/// Probability of a voxel that belongs to the object, and of one that does not.
const SOFT_LABELS: [f32; 2] = [0.95, 0.05];

/// What one generator trains on, `[z, y, x]` of [`Geometry::canvas`] in C order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Example {
    /// Gives everything else.
    pub(super) number: u64,
    /// Normalised image, one channel after the other.
    pub(super) image: Vec<f32>,
    /// Probability that a voxel belongs to the object at the centre.
    pub(super) labels: Vec<f32>,
    /// 1, or 0 where a voxel does not count.
    pub(super) weights: Vec<f32>,
}

/// What is around a centre, before the object is singled out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Crop {
    pub(super) shape: [usize; 3],
    /// Each channel.
    pub(super) images: Vec<Vec<f32>>,
    pub(super) labels: Vec<u64>,
    /// Voxels that do not count.
    pub(super) masked: Vec<bool>,
}

/// Makes examples by their numbers.
#[derive(Debug)]
pub(super) struct Examples {
    pub(super) sources: Vec<Source>,
    pub(super) positions: Positions,
    pub(super) geometry: Geometry,
    pub(super) augmentation: Augmentation,
    pub(super) seed: u64,
}

impl Examples {
    /// The example of a number.
    ///
    /// # Errors
    /// What the volumes say when they are read.
    pub(super) fn example(&mut self, number: u64) -> Result<Example> {
        let centre = self.positions.centre(number)?;
        let mut random = random(self.seed, AUGMENTATION, number);
        let plan = self.augmentation.draw(&self.geometry, &mut random);
        let source = &self.sources[centre.volume];
        let margin = plan.margin();
        let shape = std::array::from_fn(|a| self.geometry.canvas[a] + 2 * margin[a]);
        let crop = read(source, centre, shape)?;
        let crop = plan.apply(crop, self.geometry.canvas, &source.channels);
        Ok(singled_out(number, crop, &source.channels))
    }
}

/// The object at the centre, with soft labels; the image normalised.
fn singled_out(number: u64, crop: Crop, channels: &[ImageChannel]) -> Example {
    let [z, y, x] = crop.shape;
    let mut image = Vec::with_capacity(z * y * x * crop.images.len());
    for (values, ImageChannel { mean, stddev, .. }) in crop.images.into_iter().zip(channels) {
        image.extend(values.into_iter().map(|v| (v - mean) / stddev));
    }
    let object = crop.labels[(z / 2 * y + y / 2) * x + x / 2];
    let soft = |label: &u64| SOFT_LABELS[usize::from(object == 0 || *label != object)];
    Example {
        number,
        labels: crop.labels.iter().map(soft).collect(),
        weights: crop.masked.iter().map(|masked| f32::from(!masked)).collect(),
        image,
    }
}

/// Reads a box around a centre. What lies outside of the volume, which only the margins for
/// augmentation can, repeats the voxels at the border.
fn read(source: &Source, centre: Centre, shape: [usize; 3]) -> Result<Crop> {
    let first: [i64; 3] = std::array::from_fn(|a| centre.zyx[a] as i64 - (shape[a] / 2) as i64);
    let clip = |a: usize, at: i64| (at.max(0) as u64).clamp(source.roi.start[a], source.roi.end[a]);
    let region = BoundingBox::new(
        std::array::from_fn(|a| clip(a, first[a])),
        std::array::from_fn(|a| clip(a, first[a] + shape[a] as i64)),
    );
    let labels = source.read_labels(&region)?;
    let masked = source.read_mask(&region)?;
    let voxels = labels.len();
    let masked = masked.unwrap_or_else(|| vec![false; voxels]);
    let places = repeated(&region, first, shape);
    // One after the other: what is read of a channel is dropped before the next.
    let image = |channel: &ImageChannel| {
        let image = Voxels::to_f32(&source.image.read(channel.number, &region)?);
        Ok(places.iter().map(|at| image[*at]).collect())
    };
    Ok(Crop {
        shape,
        images: source.channels.iter().map(image).collect::<Result<_>>()?,
        labels: places.iter().map(|at| labels[*at]).collect(),
        masked: places.iter().map(|at| masked[*at]).collect(),
    })
}

/// For each voxel of a box that begins at `first`, the place of the nearest voxel in a region.
fn repeated(region: &BoundingBox, first: [i64; 3], shape: [usize; 3]) -> Vec<usize> {
    let size = region.shape().map(|s| s as usize);
    let nearest = |a: usize, at: usize| {
        let at = first[a] + at as i64 - region.start[a] as i64;
        at.clamp(0, size[a] as i64 - 1) as usize
    };
    let columns: Vec<usize> = (0..shape[2]).map(|x| nearest(2, x)).collect();
    let mut places = Vec::with_capacity(shape.iter().product());
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            let row = (nearest(0, z) * size[1] + nearest(1, y)) * size[2];
            places.extend(columns.iter().map(|x| row + x));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_repeats_the_border() {
        let region = BoundingBox::new([0, 3, 0], [1, 5, 3]);
        let places = repeated(&region, [0, 2, -1], [1, 3, 5]);
        assert_eq!(places, [0, 0, 1, 2, 2, 0, 0, 1, 2, 2, 3, 3, 4, 5, 5]);
    }

    #[test]
    fn the_object_at_the_centre_is_singled_out() {
        let crop = |centre: u64| Crop {
            shape: [1, 1, 3],
            images: vec![vec![10.0, 20.0, 30.0], vec![1.0, 2.0, 3.0]],
            labels: vec![4, centre, 4],
            masked: vec![false, false, true],
        };
        let channel = |mean, stddev| ImageChannel { number: 0, mean, stddev };
        let channels = [channel(20.0, 5.0), channel(1.0, 0.5)];
        let singled_out = |number, crop| singled_out(number, crop, &channels);
        let example = singled_out(7, crop(4));
        assert_eq!(example.image, [-2.0, 0.0, 2.0, 0.0, 2.0, 4.0]);
        assert_eq!((example.labels, example.weights), (vec![0.95; 3], vec![1.0, 1.0, 0.0]));
        assert_eq!(singled_out(7, crop(5)).labels, [0.05, 0.95, 0.05]);
        // Background: there is no object, and so nothing to find.
        assert_eq!(singled_out(7, crop(0)).labels, [0.05; 3]);
    }
}
