//! Where the logits of a growing object are.

use rustc_hash::{FxHashMap, FxHashSet};

use super::canvas::Position;
use super::object_logits::{ObjectLogits, TILE_VOXELS};
use super::residence::{ObjectKey, ObjectTiles, Said};
use crate::error::Result;

/// On this side, or where the network is.
pub(super) enum Home {
    Here(ObjectLogits),
    Away(Away),
}

impl Default for Home {
    fn default() -> Self {
        Self::Here(ObjectLogits::default())
    }
}

/// What this side knows of logits that are elsewhere: those that will be asked for. Only a step over a
/// window changes logits there, and says what those of them became.
pub(super) struct Away {
    pub(super) object: ObjectKey,
    known: FxHashMap<Position, f32>,
    /// So many are looked through for those that will not be asked for.
    enough: usize,
    tiles: usize,
}

impl Home {
    /// The logit of the seed or of a voxel of the queue; NaN where no step has been.
    pub(super) fn at(&self, position: Position) -> f32 {
        match self {
            Self::Here(logits) => logits.at(position),
            Self::Away(away) => away.known.get(&position).copied().unwrap_or(f32::NAN),
        }
    }

    /// Memory of the tiles, wherever they are.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Here(logits) => logits.bytes(),
            Self::Away(away) => away.tiles * TILE_VOXELS * size_of::<f32>(),
        }
    }

    /// Moves logits to where the network is; `false` if there is no room. `is_new`: there is nothing but a seed, which
    /// the first step brings along. `asked`: the voxels whose logits will be asked for.
    pub(super) fn move_away(
        &mut self,
        to: &mut dyn ObjectTiles,
        is_new: bool,
        asked: impl Iterator<Item = Position>,
    ) -> Result<bool> {
        let Self::Here(logits) = self else { return Ok(true) };
        let object = ObjectKey::new();
        let known = asked.map(|position| (position, logits.at(position))).collect();
        let tiles = logits.num_tiles();
        let moves = is_new || to.restore(&object, logits.copy_tiles())?;
        if moves {
            *self = Self::Away(Away { object, known, enough: 64, tiles });
        }
        Ok(moves)
    }
}

impl Away {
    /// Notes what a step at `centre` has said of the voxels that were asked for, and of the faces.
    pub(super) fn note(&mut self, centre: Position, probes: &[Position], said: &Said) {
        self.tiles = said.tiles;
        self.known.extend(probes.iter().copied().zip(said.probes.iter().copied()));
        let faces = said.faces.iter().filter_map(|(logit, offset)| {
            let at = |a: usize| usize::try_from(centre[a] as i64 + offset[a]).ok();
            Some(([at(0)?, at(1)?, at(2)?], *logit))
        });
        // Without a maximum the offset is that of the centre, which is not asked for again.
        self.known.extend(faces.filter(|(position, _)| *position != centre));
    }

    /// Forgets what will not be asked for, once that is most.
    pub(super) fn forget_others(&mut self, asked: impl Iterator<Item = Position>) {
        if self.known.len() > self.enough {
            let asked: FxHashSet<Position> = asked.collect();
            self.known.retain(|position, _| asked.contains(position));
            self.enough = 2 * self.known.len() + 64;
        }
    }
}
