//! A segmentation under way as bytes, so that another process can go on with it: what has changed since
//! the last time.
//!
//! Little endian. Saved are labels that were written with their probabilities, origins, counters, the seed whose turn it is, and
//! the object of that seed: its new centres, what it was refused, its queue, and the tiles that were written. Objects of
//! later seeds are not: they grow again.

use super::canvas::{Canvas, LabelRun, Position};
use super::flood::Flood;
use super::home::Home;
use super::object_logits::{TILE_EDGE, TILE_VOXELS};
use super::residence::{TileValues, Which};
use super::segment::{Counters, FloodEvent, Origin};
use super::segmenter::Segmenter;
use super::steps::Steps;
use crate::error::{Error, Result};

/// A tile with its number.
const TILE_BYTES: usize = 12 + 4 * TILE_VOXELS;

/// How much of a segmentation is saved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    origins: usize,
    /// Number of the attempt whose object is saved, and how much of it.
    attempt: Option<(u64, Saved)>,
}

/// How much of an object is saved.
#[derive(Debug, Clone, Copy, Default)]
struct Saved {
    centres: usize,
    refused: usize,
}

impl Saved {
    fn all_of(flood: &Flood) -> Self {
        Self { centres: flood.centres.len(), refused: flood.refused.len() }
    }
}

impl Segmenter<'_> {
    /// From now on notes which labels are written, so that [`Segmenter::take_changes`] can tell.
    #[must_use]
    pub fn noting_changes(mut self) -> Self {
        self.canvas.note_changes();
        self
    }

    /// What has changed since the last call, or since the beginning. To be called between two calls of
    /// [`Segmenter::advance`], with the same steps; where logits are kept there, it waits for one under way.
    /// `watch` is told of that step and of seeds that are settled by it, as in [`Segmenter::advance`].
    ///
    /// Memory: 8 bytes a voxel of the object's tiles that were written, 12 bytes a row of labels, 1 byte a
    /// voxel of them if probabilities are kept.
    ///
    /// # Errors
    /// What `steps` returns.
    pub fn take_changes(
        &mut self,
        steps: &mut dyn Steps,
        watch: &mut dyn FnMut(FloodEvent<'_>),
    ) -> Result<Vec<u8>> {
        self.come_to_rest(steps, watch)?;
        let tiles = self.changed_tiles(steps)?;
        let mut out = Writer::default();
        out.u64(self.turn as u64);
        out.u64(self.next_id as u64);
        counters(&self.counters).into_iter().for_each(|counter| out.u64(counter));
        out.u64(self.wasted_steps);
        out.list(&self.origins[self.saved.origins..], |out, origin| {
            out.u64(u64::from(origin.id));
            out.position(origin.seed_zyx);
            out.u64(origin.steps);
            out.u64(origin.voxels);
            out.u64(origin.seconds.to_bits());
        });
        let runs = self.canvas.take_changes();
        out.list(&runs, |out, run| {
            [run.start, run.len, run.label as u32].into_iter().for_each(|word| out.u32(word));
        });
        out.list(&self.canvas.probabilities_of(&runs), |out, quantised| out.0.push(*quantised));
        let attempt = self.attempts.get(&self.turn);
        out.u64(u64::from(attempt.is_some()));
        let mut saved = Progress { origins: self.origins.len(), attempt: None };
        if let Some(attempt) = attempt {
            let before = self.saved.attempt.filter(|(number, _)| *number == attempt.number);
            write_flood(&mut out, &attempt.flood, before.map(|(_, saved)| saved));
            write_tiles(&mut out, &tiles);
            saved.attempt = Some((attempt.number, Saved::all_of(&attempt.flood)));
        }
        self.saved = saved;
        Ok(out.0)
    }

    /// Tiles that were written since the last call, of the object whose turn it is. One that is lost goes.
    fn changed_tiles(&mut self, steps: &mut dyn Steps) -> Result<Vec<TileValues>> {
        let Some(attempt) = self.attempts.get_mut(&self.turn) else { return Ok(Vec::new()) };
        let away = match &mut attempt.flood.home {
            Home::Here(logits) => return Ok(logits.take_changed()),
            Home::Away(away) => away,
        };
        let read = steps.tiles().map(|tiles| tiles.read(&away.object, Which::Changed));
        let tiles = read.transpose()?.flatten();
        if tiles.is_none() {
            self.drop_attempt(self.turn);
        }
        let mut tiles = tiles.unwrap_or_default();
        tiles.sort_unstable_by_key(|(index, _)| *index);
        Ok(tiles)
    }

    /// Goes on where another segmenter of the same canvas and seeds was; its changes in their order. To
    /// be called before [`Segmenter::advance`].
    ///
    /// # Errors
    /// [`Error::Usage`] if they are of another canvas or other seeds.
    pub fn apply_changes(&mut self, changes: &[u8]) -> Result<()> {
        let mut from = Reader(changes);
        self.turn = from.at_most(self.seeds.len())?;
        self.next_id = i32::try_from(from.u64()?).map_err(|_| damaged())?;
        self.counters = read_counters(&mut from)?;
        self.wasted_steps = from.u64()?;
        let shape = self.canvas.shape();
        let origins = from.list(7 * 8, |from| {
            Ok(Origin {
                id: u32::try_from(from.u64()?).map_err(|_| damaged())?,
                seed_zyx: from.position(shape)?,
                steps: from.u64()?,
                voxels: from.u64()?,
                seconds: f64::from_bits(from.u64()?),
            })
        })?;
        self.origins.extend(origins);
        let runs = from.list(12, |from| {
            let [start, len, label] = [from.u32()?, from.u32()?, from.u32()?];
            Ok(LabelRun { start, len, label: label as i32 })
        })?;
        runs.iter().try_for_each(|run| self.canvas.write_run(run).ok_or_else(damaged))?;
        let probabilities = from.list(1, Reader::u8)?;
        self.canvas.restore_probabilities(&runs, &probabilities).ok_or_else(damaged)?;
        let before = self.attempts.remove(&self.turn);
        self.attempts.clear();
        self.saved = Progress { origins: self.origins.len(), attempt: None };
        if from.u64()? != 0 {
            let seed = *self.seeds.get(self.turn).ok_or_else(damaged)?;
            let flood = read_flood(&mut from, &self.canvas, seed, before.map(|b| b.flood))?;
            self.saved.attempt = Some((self.attempts_made, Saved::all_of(&flood)));
            self.insert(self.turn, flood);
        }
        self.covered_ahead();
        if from.0.is_empty() { Ok(()) } else { Err(damaged()) }
    }
}

/// The object, without what is saved of it already.
fn write_flood(out: &mut Writer, flood: &Flood, before: Option<Saved>) {
    out.u64(u64::from(before.is_some()));
    out.u64(flood.seconds().to_bits());
    let Saved { centres, refused } = before.unwrap_or_default();
    out.list(&flood.centres[centres..], |out, centre| out.position(*centre));
    out.list(&flood.deleted[centres..], |out, deleted| out.u32(*deleted));
    out.list(&flood.refused[refused..], |out, position| out.position(*position));
    let pending: Vec<Position> = flood.pending.into_iter().collect();
    out.list(&pending, |out, position| out.position(*position));
    out.list(&flood.policy.queued(), |out, position| out.position(*position));
    out.list(&flood.policy.done(), |out, cell| {
        cell.iter().for_each(|c| out.u64(*c as u64));
    });
}

fn write_tiles(out: &mut Writer, tiles: &[TileValues]) {
    out.0.reserve_exact(8 + tiles.len() * TILE_BYTES);
    out.list(tiles, |out, (tile, values)| {
        tile.iter().for_each(|t| out.u32(*t));
        values.iter().for_each(|value| out.u32(value.to_bits()));
    });
}

fn read_flood(
    from: &mut Reader<'_>,
    canvas: &Canvas,
    seed: Position,
    before: Option<Flood>,
) -> Result<Flood> {
    let mut flood = match (from.u64()?, before) {
        (0, _) => Flood::new(canvas, seed),
        (_, Some(before)) if before.seed == seed => before,
        _ => return Err(damaged()),
    };
    let shape = canvas.shape();
    flood.seconds_before = f64::from_bits(from.u64()?);
    let centres = from.list(24, |from| from.position(shape))?;
    for centre in &centres {
        flood.extend_to(*centre);
    }
    flood.centres.extend(centres);
    flood.deleted.extend(from.list(4, Reader::u32)?);
    flood.refused.extend(from.list(24, |from| from.position(shape))?);
    flood.pending = from.list(24, |from| from.position(shape))?.first().copied();
    let queued = from.list(24, |from| from.position(shape))?;
    let done =
        from.list(24, |from| Ok([from.u64()? as i64, from.u64()? as i64, from.u64()? as i64]))?;
    flood.policy.restore(queued, done);
    let tiles = from.list(TILE_BYTES, |from| {
        let tile = [from.u32()?, from.u32()?, from.u32()?];
        let values: Vec<f32> =
            (0..TILE_VOXELS).map(|_| from.u32().map(f32::from_bits)).collect::<Result<_>>()?;
        let inside = (0..3).all(|a| (tile[a] as usize) * TILE_EDGE < shape[a]);
        if inside { Ok((tile, values)) } else { Err(damaged()) }
    })?;
    if let Home::Here(logits) = &mut flood.home {
        tiles.into_iter().for_each(|(tile, values)| logits.restore(tile, values));
    }
    let outside = flood.pending.is_some_and(|position| !canvas.holds_fov(position));
    if outside || flood.centres.len() != flood.deleted.len() {
        return Err(damaged());
    }
    Ok(flood)
}

fn counters(counters: &Counters) -> [u64; 10] {
    let Counters {
        seeds,
        skip_invalid_pos,
        skip_restricted_pos,
        skip_too_close,
        segment_at_calls,
        fov_steps,
        seed_got_too_weak,
        too_small,
        voxels_segmented,
        voxels_overlapping,
    } = *counters;
    [
        seeds,
        skip_invalid_pos,
        skip_restricted_pos,
        skip_too_close,
        segment_at_calls,
        fov_steps,
        seed_got_too_weak,
        too_small,
        voxels_segmented,
        voxels_overlapping,
    ]
}

fn read_counters(from: &mut Reader<'_>) -> Result<Counters> {
    Ok(Counters {
        seeds: from.u64()?,
        skip_invalid_pos: from.u64()?,
        skip_restricted_pos: from.u64()?,
        skip_too_close: from.u64()?,
        segment_at_calls: from.u64()?,
        fov_steps: from.u64()?,
        seed_got_too_weak: from.u64()?,
        too_small: from.u64()?,
        voxels_segmented: from.u64()?,
        voxels_overlapping: from.u64()?,
    })
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn position(&mut self, position: Position) {
        position.iter().for_each(|p| self.u64(*p as u64));
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u64(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u8(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*first))
    }

    fn u64(&mut self) -> Result<u64> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }

    fn at_most(&mut self, most: usize) -> Result<usize> {
        let value = usize::try_from(self.u64()?).ok().filter(|value| *value <= most);
        value.ok_or_else(damaged)
    }

    fn position(&mut self, shape: [usize; 3]) -> Result<Position> {
        let mut position = [0; 3];
        for a in 0..3 {
            // A shape is never 0: there is no FOV that small.
            position[a] = self.at_most(shape[a] - 1)?;
        }
        Ok(position)
    }

    /// A list whose items take so many bytes each; memory is taken only for what is there.
    fn list<T>(
        &mut self,
        bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.at_most(self.0.len() / bytes)?;
        (0..count).map(|_| read(self)).collect()
    }
}

fn damaged() -> Error {
    Error::Usage("is not what was saved of this segmentation".into())
}
