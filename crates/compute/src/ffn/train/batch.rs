//! A batch of fields of view, and its parts for several devices.

use crate::error::{Error, Result};

/// Fields of view of one step, `count` of them, one after the other in C order.
#[derive(Debug, Clone, Copy)]
pub struct TrainBatch<'a> {
    /// Number of fields of view.
    pub count: usize,
    /// Normalised image, `[count, channel, z, y, x]` with the channels in the order of the network.
    pub images: &'a [f32],
    /// The object so far, in logits, `[count, z, y, x]`.
    pub seeds: &'a [f32],
    /// Probability that a voxel belongs to the object, `[count, z, y, x]`.
    pub labels: &'a [f32],
    /// Weight of each voxel in the loss, `[count, z, y, x]`. Where the network says nothing, labels and weights
    /// do not count.
    pub weights: &'a [f32],
}

/// Values of one field of view.
#[derive(Debug, Clone, Copy)]
pub(super) struct FovValues {
    /// Of the image: the voxels of all channels.
    pub(super) image: usize,
    /// Of everything else: the voxels.
    pub(super) voxels: usize,
}

impl<'a> TrainBatch<'a> {
    /// `Ok` if there is a field of view, and all slices are of as many.
    pub(super) fn check(&self, fov: FovValues) -> Result<()> {
        if self.count == 0 {
            return Err(Error::Usage("training: expected a field of view, found none".to_owned()));
        }
        let slices = [
            ("images", self.images, fov.image),
            ("seeds", self.seeds, fov.voxels),
            ("labels", self.labels, fov.voxels),
            ("weights", self.weights, fov.voxels),
        ];
        for (name, slice, one) in slices {
            let (count, expected) = (self.count, self.count.checked_mul(one));
            if Some(slice.len()) != expected {
                return Err(Error::Usage(format!(
                    "{name} of {count} FOVs: expected {} values, found {}",
                    expected.unwrap_or(usize::MAX),
                    slice.len()
                )));
            }
        }
        Ok(())
    }

    /// The contiguous fields of view that fall to one of several devices, as many to each or one more to
    /// the first ones.
    pub(super) fn part(&self, fov: FovValues, i: usize, devices: usize) -> Self {
        let (each, more) = (self.count / devices, self.count % devices);
        let (start, end) = (each * i + more.min(i), each * (i + 1) + more.min(i + 1));
        let of = |slice: &'a [f32], one: usize| &slice[start * one..end * one];
        Self {
            count: end - start,
            images: of(self.images, fov.image),
            seeds: of(self.seeds, fov.voxels),
            labels: of(self.labels, fov.voxels),
            weights: of(self.weights, fov.voxels),
        }
    }
}
