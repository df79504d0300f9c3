//! What a seed policy looks at.

use std::ops::Range;

use exavox_io::{Element, Voxels, match_dtype};
use rayon::prelude::*;

use crate::ffn::config::InferenceOptions;
use crate::ffn::restrictor::{Mask, Restrictor};

/// An image as the network sees it, `(voxel - mean) / stddev` in f32; made plane by plane where it is asked
/// for, so that it takes no memory.
#[derive(Debug, Clone, Copy)]
pub struct NormalisedImage<'a> {
    voxels: &'a Voxels,
    mean: f32,
    stddev: f32,
}

impl<'a> NormalisedImage<'a> {
    /// An image of any type with the mean and deviation of the options.
    pub fn new(voxels: &'a Voxels, options: &InferenceOptions) -> Self {
        Self { voxels, mean: options.image_mean, stddev: options.image_stddev }
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [usize; 3] {
        self.voxels.shape()
    }

    /// Values of some planes, C order.
    pub(super) fn planes(&self, planes: Range<usize>) -> Vec<f32> {
        let [_, ny, nx] = self.shape();
        let range = planes.start * ny * nx..planes.end * ny * nx;
        match_dtype!(self.voxels.dtype(), T => {
            self.voxels.as_slice::<T>().map_or(Vec::new(), |values| self.normalised(&values[range]))
        })
    }

    fn normalised<T: Element>(&self, values: &[T]) -> Vec<f32> {
        let value = |v: &T| (v.to_f64() as f32 - self.mean) / self.stddev;
        values.par_iter().with_min_len(1 << 14).map(value).collect()
    }

    /// Smallest and largest value of some planes.
    pub(super) fn range(&self, planes: Range<usize>) -> [f32; 2] {
        planes.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], z| {
            self.planes(z..z + 1)
                .iter()
                .fold([low, high], |[low, high], v| [low.min(*v), high.max(*v)])
        })
    }
}

/// What a seed policy looks at. All volumes have the shape of the image.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The image.
    pub image: NormalisedImage<'a>,
    /// Edge lengths of a voxel `[z, y, x]`, in voxels or nm: distances are in this unit.
    pub voxel_size_zyx: [f64; 3],
    /// Seeds are so far from the borders, voxels `[z, y, x]`.
    pub margin: [usize; 3],
    /// What is labelled already: above 0. C order.
    pub labels: Option<&'a [i32]>,
    /// What is masked.
    pub restrictor: Option<&'a Restrictor>,
}

impl<'a> Scene<'a> {
    /// An image without labels and masks.
    pub fn new(image: NormalisedImage<'a>, voxel_size_zyx: [f64; 3], margin: [usize; 3]) -> Self {
        Self { image, voxel_size_zyx, margin, labels: None, restrictor: None }
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        self.image.shape()
    }

    pub(super) fn is_inside_margin(&self, p: [usize; 3]) -> bool {
        let (shape, margin) = (self.shape(), self.margin);
        (0..3).all(|a| p[a] >= margin[a] && p[a].saturating_add(margin[a]) < shape[a])
    }

    /// Where no FOV may be centred.
    pub(super) fn mask(&self) -> Option<&'a Mask> {
        self.restrictor.and_then(|r| r.mask.as_ref())
    }

    /// Where no object may start.
    pub(super) fn seed_mask(&self) -> Option<&'a Mask> {
        self.restrictor.and_then(|r| r.seed_mask.as_ref())
    }

    /// Calls `mark` for each voxel of a plane, by its index there, that is labelled or masked.
    pub(super) fn for_excluded(&self, z: usize, mut mark: impl FnMut(usize)) {
        let [_, ny, nx] = self.shape();
        if let Some(labels) = self.labels {
            let plane = &labels[z * ny * nx..][..ny * nx];
            plane.iter().enumerate().filter(|(_, l)| **l > 0).for_each(|(i, _)| mark(i));
        }
        for mask in [self.mask(), self.seed_mask()].into_iter().flatten() {
            mask.for_each_of_plane(z, |y, x| mark(y * nx + x));
        }
    }
}
