//! Logits of one object: tiles where steps have been, nothing elsewhere.

use rustc_hash::FxHashMap;

use super::canvas::Position;

/// Edge of a tile, voxels.
pub(super) const TILE_EDGE: usize = 16;
/// Voxels of a tile.
pub(super) const TILE_VOXELS: usize = TILE_EDGE * TILE_EDGE * TILE_EDGE;

/// Number of a tile along z, y and x.
pub type TileIndex = [u32; 3];

/// A bit for each voxel of a tile, in C order, the lowest first.
pub type TileBits = [u64; TILE_VOXELS / 64];

#[derive(Clone)]
pub(super) struct Tile {
    /// C order `[z, y, x]`; NaN where no step has been.
    pub(super) values: Vec<f32>,
    /// Whether it was written since [`ObjectLogits::take_changed`].
    changed: bool,
}

/// Logits of an object in tiles of 16 voxels along each axis; NaN where no step has been.
///
/// Memory: 4 bytes a voxel of the tiles that were touched.
#[derive(Clone, Default)]
pub struct ObjectLogits {
    tiles: FxHashMap<TileIndex, Tile>,
}

/// The part of a window that lies in one tile.
struct Overlap {
    tile: TileIndex,
    /// Start in the tile.
    in_tile: [usize; 3],
    /// Start in the window.
    in_window: [usize; 3],
    shape: [usize; 3],
}

impl Overlap {
    /// Starts of each row, in the tile and in a window of `shape`.
    fn rows(&self, window: [usize; 3]) -> impl Iterator<Item = (usize, usize)> {
        let (tile, at, shape) = (self.in_tile, self.in_window, self.shape);
        (0..shape[0]).flat_map(move |z| {
            (0..shape[1]).map(move |y| {
                let row = ((tile[0] + z) * TILE_EDGE + tile[1] + y) * TILE_EDGE + tile[2];
                (row, ((at[0] + z) * window[1] + at[1] + y) * window[2] + at[2])
            })
        })
    }
}

/// The tiles that a window touches.
fn overlaps(start: Position, shape: [usize; 3]) -> impl Iterator<Item = Overlap> {
    let tiles = [0, 1, 2].map(|a| start[a] / TILE_EDGE..(start[a] + shape[a]).div_ceil(TILE_EDGE));
    let [along_z, along_y, along_x] = tiles;
    let of = move |tile: [usize; 3]| {
        let low: [usize; 3] = std::array::from_fn(|a| start[a].max(tile[a] * TILE_EDGE));
        let high: [usize; 3] =
            std::array::from_fn(|a| (start[a] + shape[a]).min((tile[a] + 1) * TILE_EDGE));
        Overlap {
            tile: tile.map(|t| t as u32),
            in_tile: std::array::from_fn(|a| low[a] - tile[a] * TILE_EDGE),
            in_window: std::array::from_fn(|a| low[a] - start[a]),
            shape: std::array::from_fn(|a| high[a] - low[a]),
        }
    };
    along_z.flat_map(move |z| {
        let along_x = along_x.clone();
        along_y.clone().flat_map(move |y| along_x.clone().map(move |x| of([z, y, x])))
    })
}

/// The tiles that a window touches, in C order.
#[cfg(feature = "cube")]
pub(super) fn tiles_of(start: Position, shape: [usize; 3]) -> impl Iterator<Item = TileIndex> {
    overlaps(start, shape).map(|overlap| overlap.tile)
}

/// The tile of a voxel, and its place there.
pub(super) fn place([z, y, x]: Position) -> (TileIndex, usize) {
    let inside = |p: usize| p % TILE_EDGE;
    let tile = [z, y, x].map(|p| (p / TILE_EDGE) as u32);
    (tile, (inside(z) * TILE_EDGE + inside(y)) * TILE_EDGE + inside(x))
}

impl ObjectLogits {
    /// The logit of a voxel; NaN where no step has been.
    pub fn at(&self, position: [usize; 3]) -> f32 {
        let (tile, at) = place(position);
        self.tiles.get(&tile).map_or(f32::NAN, |tile| tile.values[at])
    }

    /// The logits of a box, C order `[z, y, x]`; NaN where no step has been.
    pub fn read(&self, start: [usize; 3], shape: [usize; 3]) -> Vec<f32> {
        let mut values = vec![0.0; shape.iter().product()];
        self.gather(start, shape, f32::NAN, &mut values);
        values
    }

    /// The box, start and end, outside which there is nothing; empty if there is nothing at all. A
    /// multiple of tiles: it may be larger than the volume.
    pub fn bounds(&self) -> [[usize; 3]; 2] {
        let tiles = || self.tiles.keys();
        let low = |a: usize| tiles().map(|t| t[a]).min().unwrap_or(0) as usize;
        let high = |a: usize| tiles().map(|t| t[a] + 1).max().unwrap_or(0) as usize;
        [[0, 1, 2].map(|a| low(a) * TILE_EDGE), [0, 1, 2].map(|a| high(a) * TILE_EDGE)]
    }

    /// Made of tiles.
    pub(super) fn of_tiles(tiles: Vec<(TileIndex, Vec<f32>)>) -> Self {
        let mut logits = Self::default();
        tiles.into_iter().for_each(|(index, values)| logits.restore(index, values));
        logits
    }

    /// The same, all of them written since [`ObjectLogits::take_changed`].
    pub(super) fn of_written(tiles: Vec<(TileIndex, Vec<f32>)>) -> Self {
        let mut logits = Self::of_tiles(tiles);
        logits.tiles.values_mut().for_each(|tile| tile.changed = true);
        logits
    }

    pub(super) fn num_tiles(&self) -> usize {
        self.tiles.len()
    }

    pub(super) fn copy_tiles(&self) -> Vec<(TileIndex, Vec<f32>)> {
        self.tiles().map(|(index, tile)| (index, tile.values.clone())).collect()
    }

    /// Memory of the tiles.
    pub(super) fn bytes(&self) -> usize {
        self.tiles.len() * TILE_VOXELS * size_of::<f32>()
    }

    pub(super) fn set(&mut self, position: Position, logit: f32) {
        let (tile, at) = place(position);
        self.tile_mut(tile).values[at] = logit;
    }

    /// Copies a window; `pad` where no step has been.
    pub(super) fn gather(&self, start: Position, shape: [usize; 3], pad: f32, to: &mut [f32]) {
        for overlap in overlaps(start, shape) {
            let tile = self.tiles.get(&overlap.tile);
            let length = overlap.shape[2];
            for (from, at) in overlap.rows(shape) {
                let target = &mut to[at..at + length];
                let Some(tile) = tile else {
                    target.fill(pad);
                    continue;
                };
                for (target, logit) in target.iter_mut().zip(&tile.values[from..from + length]) {
                    *target = if logit.is_nan() { pad } else { *logit };
                }
            }
        }
    }

    /// Lets `write(new, old)` replace each voxel of a window.
    pub(super) fn replace(
        &mut self,
        start: Position,
        shape: [usize; 3],
        window: &mut [f32],
        mut write: impl FnMut(&mut f32, &mut f32),
    ) {
        for overlap in overlaps(start, shape) {
            let tile = self.tile_mut(overlap.tile);
            let length = overlap.shape[2];
            for (from, at) in overlap.rows(shape) {
                let old = &mut tile.values[from..from + length];
                window[at..at + length].iter_mut().zip(old).for_each(|(new, old)| write(new, old));
            }
        }
    }

    pub(super) fn tiles(&self) -> impl Iterator<Item = (TileIndex, &Tile)> {
        self.tiles.iter().map(|(index, tile)| (*index, tile))
    }

    /// The tiles that were written since the last call, in order of their numbers.
    pub(super) fn take_changed(&mut self) -> Vec<(TileIndex, Vec<f32>)> {
        let changed = self.tiles.iter_mut().filter(|(_, tile)| tile.changed);
        let mut changed: Vec<_> = changed
            .map(|(index, tile)| {
                tile.changed = false;
                (*index, tile.values.clone())
            })
            .collect();
        changed.sort_unstable_by_key(|(index, _)| *index);
        changed
    }

    /// Puts a tile there that an earlier run has saved.
    pub(super) fn restore(&mut self, index: TileIndex, values: Vec<f32>) {
        self.tiles.insert(index, Tile { values, changed: false });
    }

    fn tile_mut(&mut self, index: TileIndex) -> &mut Tile {
        let empty = || Tile { values: vec![f32::NAN; TILE_VOXELS], changed: true };
        let tile = self.tiles.entry(index).or_insert_with(empty);
        tile.changed = true;
        tile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn windows_of_tiles_are_windows_of_an_array(
            windows in prop::collection::vec(([0usize..20, 0usize..30, 0usize..40], [1usize..20, 1usize..20, 1usize..20]), 1..6),
        ) {
            const SHAPE: [usize; 3] = [40, 50, 60];
            let mut array = vec![f32::NAN; SHAPE.iter().product()];
            let mut logits = ObjectLogits::default();
            let places = |start: Position, shape: [usize; 3]| -> Vec<usize> {
                (0..shape.iter().product::<usize>()).map(|i| {
                    let p = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
                    ((start[0] + p[0]) * SHAPE[1] + start[1] + p[1]) * SHAPE[2] + start[2] + p[2]
                }).collect()
            };
            for (number, (start, shape)) in windows.into_iter().enumerate() {
                let places = places(start, shape);
                let mut found = vec![0.0; places.len()];
                logits.gather(start, shape, 7.0, &mut found);
                let padded = |at: &usize| if array[*at].is_nan() { 7.0 } else { array[*at] };
                prop_assert_eq!(&found, &places.iter().map(padded).collect::<Vec<_>>());
                let mut new: Vec<f32> = (0..places.len()).map(|i| (i + number) as f32).collect();
                for (at, new) in places.iter().zip(&new) {
                    array[*at] = *new;
                }
                logits.replace(start, shape, &mut new, |new, old| *old = *new);
                let [low, high] = logits.bounds();
                prop_assert!((0..3).all(|a| low[a] <= start[a] && start[a] + shape[a] <= high[a]));
            }
            for at in (0..array.len()).step_by(7) {
                let p = [at / (SHAPE[1] * SHAPE[2]), at / SHAPE[2] % SHAPE[1], at % SHAPE[2]];
                prop_assert!(logits.at(p) == array[at] || logits.at(p).is_nan() && array[at].is_nan());
            }
        }
    }
}
