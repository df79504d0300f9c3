//! An object that has ended, waiting for its turn to become a segment.

use super::canvas::{Canvas, Position};
use super::flood::{End, Flood};
use super::home::Home;
use super::object_logits::{ObjectLogits, TILE_EDGE, TILE_VOXELS, TileBits, TileIndex};
use super::probability::{expit, quantise};
use super::residence::{ObjectTiles, Which};
use crate::error::Result;

/// What is left of a flood once no step follows: its voxels are bits, 32 times smaller than logits.
pub(super) struct Object {
    pub(super) steps: u64,
    pub(super) seconds: f64,
    /// Whether it ended because its seed was judged outside.
    pub(super) got_too_weak: bool,
    /// Whether its seed is outside now.
    pub(super) is_weak: bool,
    /// Voxels that are inside.
    tiles: Vec<(TileIndex, TileBits)>,
    /// Quantised probabilities of these voxels, in their order, if they are wanted.
    probabilities: Option<Vec<u8>>,
    /// Positions that were free, and where no FOV may be centred.
    refused: Vec<Position>,
}

/// Voxels of an object on a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Voxels {
    /// In no segment.
    pub(super) free: u64,
    /// In an earlier segment.
    pub(super) overlapping: u64,
}

impl Object {
    pub(super) fn new(flood: &Flood, canvas: &Canvas, inside: Inside) -> Self {
        let Inside { tiles, probabilities } = inside;
        Self {
            steps: flood.steps(),
            seconds: flood.seconds(),
            got_too_weak: matches!(flood.end, Some(End::SeedTooWeak(_))),
            is_weak: flood.home.at(flood.seed) < canvas.logits.move_threshold,
            tiles,
            probabilities,
            refused: flood.refused.clone(),
        }
    }

    /// Memory that grows with its voxels, but for their bits.
    pub(super) fn bytes(&self) -> usize {
        self.probabilities.as_ref().map_or(0, Vec::len)
    }

    /// Refusals that there would be if it grew now: positions in segments are not asked for.
    pub(super) fn refusals(&self, canvas: &Canvas) -> u64 {
        self.refused.iter().filter(|position| canvas.label_at(**position) <= 0).count() as u64
    }

    pub(super) fn count(&self, canvas: &Canvas) -> Voxels {
        let mut voxels = Voxels { free: 0, overlapping: 0 };
        for voxel in self.voxels() {
            match canvas.label_at(voxel) {
                ..=0 => voxels.free += 1,
                _ => voxels.overlapping += 1,
            }
        }
        voxels
    }

    /// Labels the voxels that are in no segment, and notes their probabilities if they are wanted.
    pub(super) fn write(&self, canvas: &mut Canvas, id: i32) {
        for (at, voxel) in self.voxels().enumerate() {
            if canvas.label_at(voxel) <= 0 {
                canvas.write_label(voxel, id);
                if let Some(probabilities) = &self.probabilities {
                    canvas.write_probability(voxel, probabilities[at]);
                }
            }
        }
    }

    fn voxels(&self) -> impl Iterator<Item = Position> {
        self.tiles.iter().flat_map(|(tile, words)| {
            let start = tile.map(|t| t as usize * TILE_EDGE);
            words.iter().enumerate().flat_map(move |(number, word)| {
                bits(*word).map(move |bit| {
                    let at = number * 64 + bit;
                    let inside =
                        [at / (TILE_EDGE * TILE_EDGE), at / TILE_EDGE % TILE_EDGE, at % TILE_EDGE];
                    std::array::from_fn(|a| start[a] + inside[a])
                })
            })
        })
    }
}

/// Voxels that are inside, tile by tile.
pub(super) struct Inside {
    tiles: Vec<(TileIndex, TileBits)>,
    probabilities: Option<Vec<u8>>,
}

impl Inside {
    /// `None` if the logits were where the network is, and are lost.
    ///
    /// # Errors
    /// What `away` returns.
    pub(super) fn of(
        home: &Home,
        canvas: &Canvas,
        away: Option<&mut dyn ObjectTiles>,
    ) -> Result<Option<Self>> {
        let (object, away) = match (home, away) {
            (Home::Here(_), _) => return Ok(Self::here(home, canvas)),
            (Home::Away(_), None) => return Ok(None),
            (Home::Away(home), Some(away)) => (&home.object, away),
        };
        if canvas.keeps_probabilities() {
            let tiles = away.read(object, Which::All)?;
            return Ok(tiles.map(|tiles| Self::of_logits(&ObjectLogits::of_tiles(tiles), canvas)));
        }
        let tiles = away.inside(object, canvas.logits.segment_threshold)?;
        Ok(tiles.map(|tiles| Self { tiles, probabilities: None }))
    }

    /// `None` if the logits are not on this side.
    pub(super) fn here(home: &Home, canvas: &Canvas) -> Option<Self> {
        match home {
            Home::Here(logits) => Some(Self::of_logits(logits, canvas)),
            Home::Away(_) => None,
        }
    }

    fn of_logits(logits: &ObjectLogits, canvas: &Canvas) -> Self {
        let threshold = canvas.logits.segment_threshold;
        let mut probabilities = canvas.keeps_probabilities().then(Vec::new);
        let tiles = logits.tiles().filter_map(|(index, tile)| {
            if let Some(kept) = &mut probabilities {
                let inside = tile.values.iter().filter(|logit| **logit >= threshold);
                kept.extend(inside.map(|logit| quantise(expit(*logit))));
            }
            let mut words = [0; TILE_VOXELS / 64];
            for (word, values) in words.iter_mut().zip(tile.values.chunks_exact(64)) {
                // NaN is not inside.
                let bits = values.iter().rev();
                *word = bits.fold(0, |word, logit| word << 1 | u64::from(*logit >= threshold));
            }
            words.iter().any(|word| *word != 0).then_some((index, words))
        });
        let tiles = tiles.collect();
        Self { tiles, probabilities }
    }
}

/// Numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}
