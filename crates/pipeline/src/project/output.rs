//! The projection of one channel on its way out: tiles come in any order, bands leave in order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use exavox_io::{BoundingBox, DataType, VolumeWriter, Voxels};

use super::plan::Plan;
use crate::error::Result;

/// Bytes that are gathered before they are written, if the format lets blocks be that small.
const WRITTEN_AT_ONCE: u64 = 1 << 20;

/// Collects the tiles of a channel. With a writer, rows are written as soon as a block of the writer
/// is full of them; without, they are kept.
pub(super) struct ChannelOutput {
    plan: Plan,
    dtype: DataType,
    shape: [u64; 3],
    writer: Option<VolumeWriter>,
    /// Bands that are begun or wait for an earlier one.
    bands: BTreeMap<u64, Band>,
    next_band: u64,
    window: Option<Window>,
    /// Rows (along the slower of the axes that stay) of all windows before.
    rows_written: u64,
}

struct Band {
    voxels: Voxels,
    tiles_left: u64,
}

/// A block of the output that fills with rows.
struct Window {
    voxels: Voxels,
    filled_bytes: usize,
}

impl ChannelOutput {
    /// An output of a type and shape `[z, y, x]`.
    pub(super) fn new(
        plan: Plan,
        dtype: DataType,
        shape: [u64; 3],
        writer: Option<VolumeWriter>,
    ) -> Self {
        let (bands, window) = (BTreeMap::new(), None);
        Self { plan, dtype, shape, writer, bands, next_band: 0, window, rows_written: 0 }
    }

    /// Takes the projection of a tile. True if it was the last one.
    pub(super) fn take(&mut self, band: u64, tile: &BoundingBox, voxels: &Voxels) -> Result<bool> {
        let band_box = self.plan.projected(&self.plan.band(band));
        let at = self.plan.projected(tile).relative_to(band_box.start).start.map(|v| v as usize);
        let entry = match self.bands.entry(band) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Band {
                voxels: Voxels::zeros(self.dtype, band_box.shape().map(|v| v as usize))?,
                tiles_left: self.plan.tiles(),
            }),
        };
        let whole = BoundingBox::whole(voxels.shape().map(|v| v as u64));
        entry.voxels.copy_box(at, voxels, &whole)?;
        entry.tiles_left -= 1;
        while self.bands.get(&self.next_band).is_some_and(|band| band.tiles_left == 0) {
            if let Some(band) = self.bands.remove(&self.next_band) {
                self.append(band.voxels.bytes())?;
            }
            self.next_band += 1;
        }
        Ok(self.next_band == self.plan.bands())
    }

    /// Puts whole rows, as bytes in C order, into windows, and writes those that are full.
    fn append(&mut self, mut rows: &[u8]) -> Result<()> {
        while !rows.is_empty() {
            let window = match &mut self.window {
                Some(window) => window,
                None => {
                    let voxels = Voxels::zeros(self.dtype, self.next_window_shape())?;
                    self.window.insert(Window { voxels, filled_bytes: 0 })
                }
            };
            let target = &mut window.voxels.bytes_mut()[window.filled_bytes..];
            let count = target.len().min(rows.len());
            target[..count].copy_from_slice(&rows[..count]);
            let full = count == target.len();
            window.filled_bytes += count;
            rows = &rows[count..];
            if full {
                self.write_window()?;
            }
        }
        Ok(())
    }

    /// Whole blocks of the writer, or all of a projection that is kept.
    fn next_window_shape(&self) -> [usize; 3] {
        let [b, _] = self.plan.kept_axes();
        let rows = match &self.writer {
            Some(writer) => {
                let wanted = (WRITTEN_AT_ONCE / self.row_bytes(b).max(1)).max(1);
                wanted.checked_next_multiple_of(writer.granule()[b].max(1)).unwrap_or(wanted)
            }
            None => self.shape[b],
        };
        let mut shape = self.shape;
        shape[b] = rows.min(self.shape[b] - self.rows_written);
        shape.map(|v| v as usize)
    }

    fn write_window(&mut self) -> Result<()> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let Some(window) = self.window.take() else { return Ok(()) };
        let [b, _] = self.plan.kept_axes();
        let mut start = [0; 3];
        start[b] = self.rows_written;
        self.rows_written += window.voxels.shape()[b] as u64;
        Ok(writer.write(0, start, &window.voxels)?)
    }

    /// Makes a written output visible, or gives one that was kept.
    pub(super) fn finish(mut self) -> Result<Option<Voxels>> {
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        Ok(self.window.map(|window| window.voxels))
    }

    fn row_bytes(&self, b: usize) -> u64 {
        let others = (0..3).filter(|a| *a != b).map(|a| self.shape[a]);
        others.fold(self.dtype.size() as u64, u64::saturating_mul)
    }
}
