//! Labels with the part of the image that they show, and what lies around a point of them.

use exavox_compute::ffn::Network;
use exavox_compute::ffn::agglomerate::{PairBlock, PairFlood, Resegmentation};
use exavox_io::{BoundingBox, Volume, Voxels};

use super::{AgglomerateSettings, Border};
use crate::error::Result;
use crate::label_volume::read_labels;
use crate::segment::OpenMasks;
use crate::segment::inference::read_more;

/// Labels, and the part of the image that they show.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) labels: &'a Volume,
    pub(super) image: &'a Volume,
    pub(super) masks: &'a OpenMasks,
    /// Part of the image, of the labels' shape.
    pub(super) region: BoundingBox,
    pub(super) voxel_size_zyx: [f64; 3],
    pub(super) settings: &'a AgglomerateSettings,
}

/// The block around a point, and the part of it that is compared; both in voxels of the labels.
pub(super) struct Surroundings {
    pub(super) block: BoundingBox,
    pub(super) analysis: BoundingBox,
}

/// Why nothing is segmented where the block must not be moved.
pub(super) const LEAVES_VOLUME: &str = "the block leaves the volume";

impl Scene<'_> {
    /// `None` if the block would leave the volume and must not be moved.
    pub(super) fn around(&self, point: [u64; 3]) -> Option<Surroundings> {
        let shape = self.labels.shape();
        let radius = self.settings.radius().map(|r| r as u64);
        let analysis = self.settings.analysis_radius().map(|r| r as u64);
        let leaves = (0..3).any(|a| point[a] < radius[a] || point[a] + radius[a] >= shape[a]);
        if leaves && self.settings.border == Border::Refuse {
            return None;
        }
        let size: [u64; 3] = std::array::from_fn(|a| (2 * radius[a] + 1).min(shape[a]));
        let start =
            std::array::from_fn(|a| point[a].saturating_sub(radius[a]).min(shape[a] - size[a]));
        let block = BoundingBox::from_start_shape(start, size);
        let low = std::array::from_fn(|a| point[a].saturating_sub(analysis[a]).max(start[a]));
        let high = std::array::from_fn(|a| (point[a] + analysis[a] + 1).min(block.end[a]));
        Some(Surroundings { block, analysis: BoundingBox::new(low, high) })
    }

    /// Image of a box of the labels.
    pub(super) fn read_image(&self, area: &BoundingBox) -> Result<Voxels> {
        Ok(self.image.read(self.settings.segment.channel, &self.in_image(area))?)
    }

    /// A box of the labels in voxels of the image.
    fn in_image(&self, area: &BoundingBox) -> BoundingBox {
        let start = std::array::from_fn(|a| area.start[a] + self.region.start[a]);
        BoundingBox::from_start_shape(start, area.shape())
    }

    /// Segments both segments of a pair again, or one if the second id is 0, and calls with the block and what
    /// came of it.
    pub(super) fn resegment<T>(
        &self,
        ids: [u64; 2],
        point: [u64; 3],
        around: &Surroundings,
        network: &mut dyn Network,
        take: impl FnOnce(&PairBlock<'_>, &Resegmentation) -> Result<T>,
    ) -> Result<T> {
        let start = around.block.start;
        let labels = read_labels(self.labels, &around.block)?;
        let image = self.read_image(&around.block)?;
        let inside = |p: [u64; 3]| [0, 1, 2].map(|a| (p[a] - start[a]) as usize);
        let block = PairBlock {
            labels: &labels,
            shape: image.shape(),
            ids,
            point_zyx: inside(point),
            analysis: [inside(around.analysis.start), inside(around.analysis.end)],
            voxel_size_zyx: self.voxel_size_zyx,
        };
        let segment = &self.settings.segment;
        let in_image = self.in_image(&around.block);
        let restrictor = self.masks.restrictor(self.image, &in_image)?;
        restrictor.check(image.shape())?;
        let more = read_more(self.image, segment, &in_image)?;
        let mut flood = PairFlood {
            network,
            model: segment.model,
            inference: segment.inference,
            options: self.settings.resegmentation(),
            restrict: &restrictor,
        };
        let found = flood.run(image, more, &block)?;
        take(&block, &found)
    }
}
