//! How a volume is cut for a projection: tiles across the axis, blocks along it.

use std::ops::Range;

use exavox_io::{Axis, BoundingBox, Metadata};

/// The cut of a region. A *band* is a range along the slower of the two axes that stay, a *tile* the
/// part of a band in a range along the faster one; a tile is read in *steps* along the projected axis.
/// All borders lie at multiples of the block's shape, counted from the volume's origin, so that no
/// chunk is decoded twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    region: BoundingBox,
    block: [u64; 3],
    axis: usize,
}

/// What the cut depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutting {
    pub(super) axis: Axis,
    pub(super) region: BoundingBox,
    /// Bytes of a block with which the engine works well.
    pub(super) block_bytes: u64,
    /// Bytes that one cell of the output keeps in memory until its tile is done.
    pub(super) cell_bytes: u64,
    /// Bytes that all cells of a tile may keep.
    pub(super) tile_bytes: u64,
}

impl Plan {
    /// The cut of a volume.
    pub(super) fn new(metadata: &Metadata, cutting: &Cutting) -> Self {
        let axis = cutting.axis.zyx_index().unwrap_or(0);
        let shape = cutting.region.shape();
        let mut block = unit(metadata).map(|size| size.max(1));
        let bytes = |block: &[u64; 3]| {
            block.iter().copied().fold(metadata.dtype.size() as u64, u64::saturating_mul)
        };
        for a in [2, 1, 0] {
            let times = (cutting.block_bytes / bytes(&block)).max(1);
            block[a] = block[a].saturating_mul(times);
            if block[a] < shape[a] {
                break;
            }
            block[a] = shape[a].next_multiple_of(unit(metadata)[a].max(1));
        }
        let mut plan = Self { region: cutting.region, block, axis };
        plan.shrink(cutting, unit(metadata));
        plan
    }

    /// Makes tiles smaller until their cells fit into memory: whole chunks if that is enough, parts
    /// of chunks (which are decoded again for each part) if not.
    fn shrink(&mut self, cutting: &Cutting, unit: [u64; 3]) {
        let cells = (cutting.tile_bytes / cutting.cell_bytes.max(1)).max(1);
        let [b, c] = self.kept_axes();
        for (shrunk, other) in [(b, c), (c, b)] {
            let most = (cells / self.block[other]).max(1);
            if self.block[shrunk] > most {
                let whole = most - most % unit[shrunk].max(1);
                self.block[shrunk] = if whole > 0 { whole } else { most };
            }
        }
    }

    /// The two axes that stay, slower first.
    pub(super) fn kept_axes(&self) -> [usize; 2] {
        match self.axis {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        }
    }

    /// Bands of a channel.
    pub(super) fn bands(&self) -> u64 {
        self.pieces(self.kept_axes()[0])
    }

    /// Tiles of a band.
    pub(super) fn tiles(&self) -> u64 {
        self.pieces(self.kept_axes()[1])
    }

    /// A band, whole along the other two axes.
    pub(super) fn band(&self, band: u64) -> BoundingBox {
        self.narrowed(self.region, self.kept_axes()[0], band)
    }

    /// A tile, whole along the projected axis.
    pub(super) fn tile(&self, band: u64, tile: u64) -> BoundingBox {
        self.narrowed(self.band(band), self.kept_axes()[1], tile)
    }

    /// The blocks of a tile, in their order along the axis.
    pub(super) fn steps(&self, tile: BoundingBox) -> impl Iterator<Item = BoundingBox> + use<> {
        let plan = *self;
        (0..self.pieces(self.axis)).map(move |step| plan.narrowed(tile, plan.axis, step))
    }

    /// A box of the source as a box of the output: from the region's start, 1 along the axis.
    pub(super) fn projected(&self, source: &BoundingBox) -> BoundingBox {
        let mut output = source.relative_to(self.region.start);
        (output.start[self.axis], output.end[self.axis]) = (0, 1);
        output
    }

    fn narrowed(&self, mut whole: BoundingBox, axis: usize, piece: u64) -> BoundingBox {
        let Range { start, end } = self.range(axis, piece);
        (whole.start[axis], whole.end[axis]) = (start, end);
        whole
    }

    fn pieces(&self, axis: usize) -> u64 {
        let first = self.region.start[axis] / self.block[axis];
        self.region.end[axis].div_ceil(self.block[axis]) - first
    }

    fn range(&self, axis: usize, piece: u64) -> Range<u64> {
        let (start, end) = (self.region.start[axis], self.region.end[axis]);
        let at = (start / self.block[axis] + piece).saturating_mul(self.block[axis]);
        at.max(start)..at.saturating_add(self.block[axis]).min(end)
    }
}

/// The smallest piece worth reading at once: a chunk, or one row where rows lie bare in the file.
fn unit(metadata: &Metadata) -> [u64; 3] {
    let (chunk, shape) = (metadata.chunk_shape, metadata.shape);
    if metadata.codecs.is_empty() && chunk[2] >= shape[2] {
        return [1, 1, shape[2]];
    }
    std::array::from_fn(|a| chunk[a].min(shape[a]))
}

#[cfg(test)]
mod tests {
    use exavox_io::DataType;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_and_steps_cover_the_region_once(
            shape in [1..30u64, 1..30u64, 1..30u64], chunk in [1..12u64, 1..12u64, 1..12u64],
            compressed in any::<bool>(), a in 0..3usize, z0 in 0..30u64,
            block_bytes in 1..3000u64, tile_bytes in 1..3000u64, cell_bytes in 1..60u64,
        ) {
            let mut metadata = Metadata::new("test", DataType::U16, shape);
            metadata.chunk_shape = chunk;
            metadata.codecs = vec!["zstd".to_owned(); usize::from(compressed)];
            let region = BoundingBox::new([z0 % shape[0], 0, 0], shape);
            let cutting =
                Cutting { axis: Axis::ZYX[a], region, block_bytes, cell_bytes, tile_bytes };
            let plan = Plan::new(&metadata, &cutting);
            let mut voxels = 0;
            for (band, tile) in (0..plan.bands()).flat_map(|b| (0..plan.tiles()).map(move |t| (b, t))) {
                let tile = plan.tile(band, tile);
                let cells = plan.projected(&tile).num_voxels();
                prop_assert!(cells == 1 || cells * cell_bytes <= tile_bytes);
                let mut next = region.start[a];
                for step in plan.steps(tile) {
                    prop_assert!(region.contains(&step) && !step.is_empty());
                    prop_assert_eq!(step.start[a], next);
                    next = step.end[a];
                    voxels += step.num_voxels();
                }
                prop_assert_eq!(next, region.end[a]);
            }
            prop_assert_eq!(voxels, region.num_voxels());
        }
    }

    #[test]
    fn compressed_chunks_are_read_whole_and_bare_rows_a_few_at_a_time() {
        let region = BoundingBox::whole([100, 1000, 1000]);
        let cutting = Cutting {
            axis: Axis::Z,
            region,
            block_bytes: 16_000,
            cell_bytes: 2,
            tile_bytes: 1 << 30,
        };
        let mut metadata = Metadata::new("test", DataType::U16, region.end);
        assert_eq!(Plan::new(&metadata, &cutting).block, [1, 8, 1000]);
        metadata.chunk_shape = [10, 64, 64];
        metadata.codecs = vec!["zstd".to_owned()];
        assert_eq!(Plan::new(&metadata, &cutting).block, [10, 64, 64]);
    }
}
