//! From labels to bytes.

use std::collections::HashMap;

use super::block::{Block, BlockGrid, Header, WIDTHS};
use super::label::Label;

/// Tables up to this length are searched from end to end; longer ones are sorted first.
const SHORT_TABLE: usize = 16;

/// Encodes all channels; `labels` has the size of `shape` `[c, z, y, x]`, `block` no zeros.
pub(crate) fn encode_labels<T: Label>(
    labels: &[T],
    shape: [usize; 4],
    block: [usize; 3],
) -> Result<Vec<u8>, String> {
    let grid = BlockGrid { shape: [shape[1], shape[2], shape[3]], block };
    let voxels: usize = grid.shape.iter().product();
    let mut words = vec![0; shape[0]];
    for (channel, labels) in labels.chunks_exact(voxels.max(1)).enumerate() {
        words[channel] =
            u32::try_from(words.len()).map_err(|_| "more than 16 GiB of labels".to_owned())?;
        let encoder = Encoder::new(grid, words);
        words = encoder.encode_channel(labels)?;
    }
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

struct Encoder<T> {
    grid: BlockGrid,
    words: Vec<u32>,
    /// Word where the channel starts.
    origin: usize,
    /// Where the tables are that have been written.
    tables: HashMap<Vec<T>, usize>,
    /// Labels of the block at hand, each once.
    table: Vec<T>,
    /// Place in `table` of each voxel of a block; 0 for those outside the channel.
    indices: Vec<u32>,
}

impl<T: Label> Encoder<T> {
    fn new(grid: BlockGrid, words: Vec<u32>) -> Self {
        let origin = words.len();
        let indices = vec![0; grid.block.iter().product()];
        Self { grid, words, origin, tables: HashMap::new(), table: Vec::new(), indices }
    }

    fn encode_channel(mut self, labels: &[T]) -> Result<Vec<u32>, String> {
        let count: usize = self.grid.counts().iter().product();
        self.words.resize(self.origin + 2 * count, 0);
        for (number, block) in self.grid.blocks().enumerate() {
            let header = self.encode_block(labels, block).to_words()?;
            let at = self.origin + 2 * number;
            self.words[at..at + 2].copy_from_slice(&header);
        }
        Ok(self.words)
    }

    fn encode_block(&mut self, labels: &[T], block: Block) -> Header {
        if block.count != self.grid.block {
            self.indices.fill(0);
        }
        if self.index_in_order_of_appearance(labels, block) {
            self.sort_short_table();
        } else {
            self.index_in_long_table(labels, block);
        }
        let width = width_for(self.table.len());
        let indices = self.words.len() - self.origin;
        self.push_indices(width);
        Header { table: self.push_table(), width, indices }
    }

    /// Fills table and indices; `false` if the table gets too long for this way.
    fn index_in_order_of_appearance(&mut self, labels: &[T], block: Block) -> bool {
        self.table.clear();
        let (mut last, mut index) = (T::default(), None);
        for (from, to) in self.grid.rows(block) {
            let row = &labels[from..from + block.count[2]];
            for (label, place) in row.iter().zip(&mut self.indices[to..]) {
                if index.is_none() || *label != last {
                    let known = self.table.iter().position(|known| known == label);
                    if known.is_none() {
                        self.table.push(*label);
                    }
                    last = *label;
                    index = Some(known.unwrap_or(self.table.len() - 1) as u32);
                }
                *place = index.unwrap_or(0);
            }
            if self.table.len() > SHORT_TABLE {
                return false;
            }
        }
        true
    }

    /// Sorts the table, so that blocks with the same labels have the same.
    fn sort_short_table(&mut self) {
        if self.table.is_sorted() {
            return;
        }
        let unsorted = self.table.clone();
        self.table.sort_unstable();
        let mut place = [0; SHORT_TABLE];
        for (place, label) in place.iter_mut().zip(&unsorted) {
            *place = self.table.partition_point(|known| known < label) as u32;
        }
        for index in &mut self.indices {
            *index = place[*index as usize % SHORT_TABLE];
        }
    }

    fn index_in_long_table(&mut self, labels: &[T], block: Block) {
        self.table.clear();
        for (from, _) in self.grid.rows(block) {
            self.table.extend_from_slice(&labels[from..from + block.count[2]]);
        }
        self.table.sort_unstable();
        self.table.dedup();
        for (from, to) in self.grid.rows(block) {
            let row = &labels[from..from + block.count[2]];
            for (label, place) in row.iter().zip(&mut self.indices[to..]) {
                *place = self.table.partition_point(|known| known < label) as u32;
            }
        }
    }

    fn push_indices(&mut self, width: u32) {
        if width == 0 {
            return;
        }
        let per_word = 32 / width as usize;
        let pack = |indices: &[u32]| indices.iter().rev().fold(0, |w, i| shifted(w, width) | i);
        self.words.extend(self.indices.chunks(per_word).map(pack));
    }

    /// Writes the table if there is no equal one; where it is.
    fn push_table(&mut self) -> usize {
        if let Some(place) = self.tables.get(&self.table) {
            return *place;
        }
        let place = self.words.len() - self.origin;
        self.table.iter().for_each(|label| label.push_to(&mut self.words));
        self.tables.insert(self.table.clone(), place);
        place
    }
}

/// `word << width`, 0 if all bits go.
fn shifted(word: u32, width: u32) -> u32 {
    word.checked_shl(width).unwrap_or(0)
}

/// The least width whose indices reach a table of so many labels.
fn width_for(labels: usize) -> u32 {
    let fits = |width: &u32| (labels as u64) <= 1 << *width;
    WIDTHS.into_iter().find(fits).unwrap_or(32)
}
