//! How an axis is cut into tiles.

/// A one-dimensional tile: F(3, 3) or F(5, 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tile {
    /// 3 outputs from 5 inputs.
    F3,
    /// 5 outputs from 7 inputs.
    F5,
}

/// The most points of a tile.
pub(super) const MAX_POINTS: usize = 7;
/// The most outputs of a tile.
pub(super) const MAX_OUTPUTS: usize = 5;

impl Tile {
    pub(super) const fn outputs(self) -> usize {
        match self {
            Self::F3 => 3,
            Self::F5 => 5,
        }
    }

    /// Products, and inputs.
    pub(super) const fn points(self) -> usize {
        self.outputs() + 2
    }
}

/// A tile at its place on an axis; it may reach over the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) tile: Tile,
    /// First output.
    pub(super) start: usize,
}

/// Tiles along z and y; along x all are F(3, 3), so that all products of a strip have one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tiling {
    pub(super) z: Vec<Placed>,
    pub(super) y: Vec<Placed>,
    /// Number of tiles in x.
    pub(super) x: usize,
}

impl Tiling {
    /// With tiles up to `largest`: larger ones save products and cost digits.
    pub(super) fn new([nz, ny, nx]: [usize; 3], largest: Tile) -> Self {
        Self { z: cut(nz, largest), y: cut(ny, largest), x: nx.div_ceil(Tile::F3.outputs()) }
    }

    /// The kinds of tile that there are, each once.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let has = |axis: &[Placed], tile| axis.iter().any(|placed| placed.tile == tile);
        let tiles = [Tile::F5, Tile::F3];
        let pairs = tiles.into_iter().flat_map(|z| tiles.map(|y| Kind { z, y }));
        pairs.filter(|kind| has(&self.z, kind.z) && has(&self.y, kind.y)).collect()
    }
}

/// Tiles in z and y; in x there is one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) z: Tile,
    pub(super) y: Tile,
}

impl Kind {
    /// Products of a tile in three dimensions.
    pub(super) const fn points(self) -> usize {
        self.z.points() * self.y.points() * Tile::F3.points()
    }
}

/// The tiles with the fewest products that cover an axis: F(5, 3) first, then F(3, 3).
fn cut(length: usize, largest: Tile) -> Vec<Placed> {
    let small = |fives: usize| length.saturating_sub(5 * fives).div_ceil(3);
    let products = |fives: &usize| 7 * fives + 5 * small(*fives);
    let most = if largest == Tile::F5 { length.div_ceil(5) } else { 0 };
    let fives = (0..=most).min_by_key(products).unwrap_or(0);
    let tiles = std::iter::repeat_n(Tile::F5, fives);
    let tiles = tiles.chain(std::iter::repeat_n(Tile::F3, small(fives)));
    let mut start = 0;
    tiles
        .map(|tile| {
            let placed = Placed { tile, start };
            start += tile.outputs();
            placed
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_view_of_33_is_six_fives_and_a_three() {
        let tiles = cut(33, Tile::F5);
        assert_eq!(tiles.len(), 7);
        assert!(tiles[..6].iter().all(|t| t.tile == Tile::F5));
        assert_eq!(tiles[6], Placed { tile: Tile::F3, start: 30 });
    }

    #[test]
    fn tiles_cover_every_length_without_a_tile_too_many() {
        for (length, largest) in (0..200).flat_map(|l| [(l, Tile::F3), (l, Tile::F5)]) {
            let tiles = cut(length, largest);
            let end = tiles.last().map_or(0, |t| t.start + t.tile.outputs());
            assert!((length..length + 5).contains(&end), "{length}: {tiles:?}");
            assert!(tiles.iter().all(|t| t.start < length));
            let joined = tiles.windows(2).all(|t| t[0].start + t[0].tile.outputs() == t[1].start);
            assert!(joined, "{length}: {tiles:?}");
        }
    }
}
