//! An object that grows: its centres, what it was refused, its queue, and the tiles that were written.

use super::Saved;
use super::bytes::{Reader, Writer, damaged};
use crate::error::Result;
use crate::ffn::canvas::{Canvas, Position};
use crate::ffn::flood::Flood;
use crate::ffn::home::Home;
use crate::ffn::object_logits::{TILE_EDGE, TILE_VOXELS};
use crate::ffn::residence::TileValues;

/// A tile with its number.
const TILE_BYTES: usize = 12 + 4 * TILE_VOXELS;

/// The object, without what is saved of it already.
pub(super) fn write_flood(out: &mut Writer, flood: &Flood, before: Option<Saved>) {
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

pub(super) fn write_tiles(out: &mut Writer, tiles: &[TileValues]) {
    out.0.reserve_exact(8 + tiles.len() * TILE_BYTES);
    out.list(tiles, |out, (tile, values)| {
        tile.iter().for_each(|t| out.u32(*t));
        values.iter().for_each(|value| out.u32(value.to_bits()));
    });
}

pub(super) fn read_flood(
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
