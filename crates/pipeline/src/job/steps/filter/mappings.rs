//! The mappings of CLAHE's tiles: counted and made tile by tile, kept on disk, and looked up by the blocks
//! that lie near.

use exavox_compute::ops::filter::{ClaheOptions, ClaheTiles, LevelCounts, Mapping};
use exavox_io::{BoundingBox, Volume};

use super::super::part_files::{PartFiles, PartStage};
use super::super::source::{Source, voxels_of};
use crate::blocks::{BlockGrid, Stage, StagePlan, fitting_block};
use crate::error::Result;
use crate::job::StageContext;

/// Tiles of a block at most.
const BLOCK_TILES: u64 = 4096;
/// Voxels of a block, unless one tile has more.
const BLOCK_VOXELS: u64 = 1 << 24;
/// Voxels that are read at once.
const SLAB_VOXELS: u64 = 1 << 21;
/// Bytes of a mapping.
const MAPPING: usize = size_of::<Mapping>();

/// Blocks of tiles.
#[derive(Debug)]
pub(super) struct Mappings {
    grid: BlockGrid,
    /// Voxels of a tile.
    tile: [u64; 3],
}

impl Mappings {
    /// Of all channels of a source.
    pub(super) fn new(source: &Source, options: &ClaheOptions) -> Result<Self> {
        let shape = source.region.shape().map(|v| v as usize);
        let tiles = ClaheTiles::new(shape, options, [0.0, 1.0])?;
        let (count, tile) = (tiles.count(), tiles.size());
        let chunk = source.metadata.chunk_shape;
        // Tiles that share chunks are made together.
        let mut granule: [u64; 3] =
            std::array::from_fn(|a| chunk[a].div_ceil(tile[a]).clamp(1, count[a]));
        while voxels_of(granule) > BLOCK_TILES {
            let longest = (0..3).max_by_key(|a| granule[*a]).unwrap_or(0);
            granule[longest] = granule[longest].div_ceil(2);
        }
        let most = (BLOCK_VOXELS / voxels_of(tile).max(1)).clamp(1, BLOCK_TILES);
        let block = fitting_block(count, granule, most);
        Ok(Self { grid: BlockGrid::new(BoundingBox::whole(count), block)?, tile })
    }

    /// The stage that makes them.
    pub(super) fn plan(&self, source: &Source) -> StagePlan {
        let (tiles, channels) = (self.grid.block_shape(), source.channels.len() as u64);
        let voxels = voxels_of(std::array::from_fn(|a| tiles[a].saturating_mul(self.tile[a])));
        let slab = SLAB_VOXELS.max(voxels_of(source.metadata.chunk_shape));
        let counts = voxels_of(tiles).saturating_mul(size_of::<LevelCounts>() as u64);
        let made = voxels_of(tiles).saturating_mul(channels).saturating_mul(MAPPING as u64);
        StagePlan {
            blocks: self.grid.len(),
            voxels_per_block: voxels,
            bytes_per_block: slab
                .saturating_mul(source.voxel_bytes())
                .saturating_add(source.decoding_bytes())
                .saturating_add(counts)
                .saturating_add(made.saturating_mul(2)),
            read_bytes_per_block: voxels
                .saturating_mul(source.voxel_bytes())
                .saturating_mul(channels),
            write_bytes_per_block: made,
            ..StagePlan::single("mappings")
        }
    }

    /// Bytes of the mappings near a block of a shape, and of the files in which they are.
    pub(super) fn near_bytes(&self, block: [u64; 3]) -> u64 {
        let near = std::array::from_fn(|a| block[a].div_ceil(self.tile[a]).saturating_add(2));
        let file = voxels_of(self.grid.block_shape());
        voxels_of(near).saturating_add(2 * file).saturating_mul(MAPPING as u64)
    }

    /// The files.
    pub(super) fn files(&self, context: &StageContext<'_>) -> PartFiles {
        PartFiles::new(context.data.join("mappings"), context.durability)
    }

    /// The tiles of each channel.
    pub(super) fn tiles(
        &self,
        source: &Source,
        options: &ClaheOptions,
        found: &[[f64; 2]],
    ) -> Result<Vec<ClaheTiles>> {
        let shape = source.region.shape().map(|v| v as usize);
        found.iter().map(|ends| Ok(ClaheTiles::new(shape, options, *ends)?)).collect()
    }

    /// Opens the stage that makes them.
    pub(super) fn open<'a>(
        &'a self,
        source: &'a Source,
        options: &ClaheOptions,
        found: &[[f64; 2]],
        context: &StageContext<'_>,
    ) -> Result<Box<dyn Stage + 'a>> {
        let (volume, tiles) = (source.open(context)?, self.tiles(source, options, found)?);
        let make = move |block: u64| {
            let mut bytes = Vec::new();
            for (channel, tiles) in tiles.iter().enumerate() {
                self.make(source, &volume, (channel, tiles), block, &mut bytes)?;
            }
            Ok(bytes)
        };
        let describe = move |block: u64| format!("tiles {}", self.grid.block(block));
        let files = self.files(context);
        Ok(Box::new(PartStage { files, make: Box::new(make), describe: Box::new(describe) }))
    }

    /// Appends the mappings of the tiles of a block.
    fn make(
        &self,
        source: &Source,
        volume: &Volume,
        (channel, tiles): (usize, &ClaheTiles),
        block: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let of = self.grid.block(block);
        let mut counts = vec![[0; 256]; of.num_voxels() as usize];
        let reach = tiles.reach(&of);
        let slab = fitting_block(reach.shape(), source.metadata.chunk_shape, SLAB_VOXELS);
        for area in reach.tiles(slab) {
            let voxels = source.read(volume, channel, &area)?;
            tiles.count_levels(&voxels, area.start, &of, &mut counts)?;
        }
        for counts in counts {
            tiles.mapping(counts).iter().for_each(|level| bytes.extend(level.to_le_bytes()));
        }
        Ok(())
    }

    /// Reads the mappings of the tiles of a box, in C order.
    pub(super) fn read(
        &self,
        files: &PartFiles,
        channel: usize,
        channels: usize,
        near: &BoundingBox,
    ) -> Result<Vec<Mapping>> {
        let mut mappings = vec![[0; 256]; near.num_voxels() as usize];
        for block in self.grid.touching(near) {
            let (of, bytes) = (self.grid.block(block), files.read(block)?);
            let per_channel = of.num_voxels() as usize * MAPPING;
            if bytes.len() != per_channel * channels {
                return Err(files.damaged(block));
            }
            let bytes = &bytes[channel * per_channel..][..per_channel];
            let Some(common) = of.intersect(near) else { continue };
            for tile in common.tiles([1; 3]) {
                let from = &bytes[index_in(&of, tile.start) * MAPPING..][..MAPPING];
                let to = &mut mappings[index_in(near, tile.start)];
                let levels = from.as_chunks::<2>().0;
                to.iter_mut().zip(levels).for_each(|(to, level)| *to = u16::from_le_bytes(*level));
            }
        }
        Ok(mappings)
    }
}

/// Index in C order of a place in a box.
fn index_in(area: &BoundingBox, at: [u64; 3]) -> usize {
    let [_, ny, nx] = area.shape();
    let [z, y, x]: [u64; 3] = std::array::from_fn(|a| at[a] - area.start[a]);
    ((z * ny + y) * nx + x) as usize
}
