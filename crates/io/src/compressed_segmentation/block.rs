//! The grid of blocks over one channel, and the header of a block.

/// Widths that the index of a voxel can have, in bits.
pub(super) const WIDTHS: [u32; 7] = [0, 1, 2, 4, 8, 16, 32];

/// A table must start before this word of a channel: 24 bits.
const TABLE_OFFSETS: usize = 1 << 24;

/// One channel `[z, y, x]` in blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockGrid {
    pub(super) shape: [usize; 3],
    pub(super) block: [usize; 3],
}

/// A block: its first voxel, and how many of its voxels are inside the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: [usize; 3],
    pub(super) count: [usize; 3],
}

impl BlockGrid {
    /// Number of blocks along each axis.
    pub(super) fn counts(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.shape[a].div_ceil(self.block[a]))
    }

    /// Blocks in the order of their headers.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        let (counts, this) = (self.counts(), *self);
        let rows = (0..counts[0]).flat_map(move |z| (0..counts[1]).map(move |y| (z, y)));
        rows.flat_map(move |(z, y)| (0..counts[2]).map(move |x| this.at([z, y, x])))
    }

    fn at(&self, index: [usize; 3]) -> Block {
        let start = std::array::from_fn(|a| index[a] * self.block[a]);
        let count = std::array::from_fn(|a| self.block[a].min(self.shape[a] - start[a]));
        Block { start, count }
    }

    /// Where the rows along x of a block are: in the channel, and among the voxels of the block.
    pub(super) fn rows(&self, block: Block) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (shape, edges) = (self.shape, self.block);
        let Block { start, count } = block;
        (0..count[0]).flat_map(move |z| {
            (0..count[1]).map(move |y| {
                let row = (start[0] + z) * shape[1] + start[1] + y;
                (row * shape[2] + start[2], (z * edges[1] + y) * edges[2])
            })
        })
    }

    /// Voxels from the first of a block to its last that is inside the channel.
    pub(super) fn extent(&self, block: Block) -> usize {
        let [z, y, x] = block.count;
        ((z - 1) * self.block[1] + y - 1) * self.block[2] + x
    }
}

/// Header of a block; offsets in words of 32 bits from the start of the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) table: usize,
    pub(super) width: u32,
    pub(super) indices: usize,
}

impl Header {
    pub(super) fn from_words([first, second]: [u32; 2]) -> Self {
        let table = first as usize % TABLE_OFFSETS;
        Self { table, width: first >> 24, indices: second as usize }
    }

    /// The two words; an error where an offset has no room.
    pub(super) fn to_words(self) -> Result<[u32; 2], String> {
        match u32::try_from(self.indices) {
            Ok(indices) if self.table < TABLE_OFFSETS => {
                Ok([self.table as u32 | self.width << 24, indices])
            }
            _ => Err("too many different labels for one chunk: use smaller chunks".to_owned()),
        }
    }
}
