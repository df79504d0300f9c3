//! Blocks that are downsampled slab by slab: a block of a coarse volume is made of many times as many
//! voxels, which need not be in memory at once.

use exavox_compute::ops::downsample::{DownsampleMethod, downsample, downsampled_shape};
use exavox_io::trace::{Activity, span};
use exavox_io::{BoundingBox, Metadata, Volume, Voxels};

use super::blocks::common_multiple;
use crate::error::Result;

/// Bytes of a slab below which it is not worth cutting.
const SMALL_SLAB: u64 = 16 << 20;

/// How blocks are cut along z: at whole cells, and at whole chunks of the source, so that no chunk is
/// decoded twice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slabs {
    factor: [u64; 3],
    /// Planes of the thinnest slab.
    step: u64,
    voxel_bytes: u64,
}

impl Slabs {
    pub(crate) fn new(source: &Metadata, factor: [u64; 3]) -> Self {
        let step = common_multiple(factor[0], source.chunk_shape[0]);
        Self { factor, step, voxel_bytes: source.dtype.size() as u64 }
    }

    /// Shape of the slabs of a block of a shape, all in voxels of the source.
    pub(crate) fn shape(&self, block: [u64; 3]) -> [u64; 3] {
        let [depth, height, width] = block;
        let plane = height.saturating_mul(width).saturating_mul(self.voxel_bytes).max(1);
        let planes = (SMALL_SLAB / plane).max(self.step);
        [depth.min(planes - planes % self.step), height, width]
    }

    /// Reads a block of the source and makes a block of the coarse volume of it. It starts at a
    /// multiple of the factor.
    pub(crate) fn downsample(
        &self,
        source: &Volume,
        channel: usize,
        block: &BoundingBox,
        method: DownsampleMethod,
    ) -> Result<Voxels> {
        let factor = self.factor.map(|f| usize::try_from(f).unwrap_or(usize::MAX));
        let slab = self.shape(block.shape());
        if slab == block.shape() {
            let voxels = source.read(channel, block)?;
            let _span = span(Activity::Compute, block.start);
            return Ok(downsample(&voxels, factor, method)?);
        }
        let shape = downsampled_shape(block.shape(), self.factor).map(|v| v as usize);
        let mut out = Voxels::zeros(source.metadata().dtype, shape)?;
        for tile in block.tiles(slab) {
            let voxels = source.read(channel, &tile)?;
            let _span = span(Activity::Compute, tile.start);
            let part = downsample(&voxels, factor, method)?;
            let z = ((tile.start[0] - block.start[0]) / self.factor[0]) as usize;
            out.copy_box([z, 0, 0], &part, &BoundingBox::whole(part.shape().map(|v| v as u64)))?;
        }
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_io::{DataType, VolumeWriter, WriteOptions};

    use super::*;

    #[test]
    fn slabs_make_the_block() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a.npy").display().to_string();
        let writer = VolumeWriter::create(&name, &WriteOptions::new(DataType::U16, [23, 9, 7]));
        let values = (0..23 * 9 * 7).map(|i| (i * 31) as u16).collect();
        let whole = Voxels::from_vec([23, 9, 7], values).unwrap();
        let writer = writer.unwrap();
        writer.write(0, [0; 3], &whole).unwrap();
        writer.finish().unwrap();
        let source = Volume::open(&name).unwrap();
        let mut slabs = Slabs::new(source.metadata(), [3, 2, 2]);
        let block = BoundingBox::new([3, 2, 0], [23, 9, 7]);
        let expected = slabs.downsample(&source, 0, &block, DownsampleMethod::Mean).unwrap();
        assert_eq!((slabs.shape(block.shape()), expected.shape()), ([20, 7, 7], [7, 4, 4]));
        // As if a plane had so many bytes that each slab is as thin as can be.
        slabs.voxel_bytes = 1 << 40;
        assert_eq!(slabs.shape(block.shape()), [3, 7, 7]);
        let found = slabs.downsample(&source, 0, &block, DownsampleMethod::Mean).unwrap();
        assert!(found == expected);
    }
}
