//! What TIFF, PNG and folders of planes have in common: they are read plane by plane.

use std::ops::Range;

use crate::bounding_box::BoundingBox;
use crate::error::Result;
use crate::metadata::Metadata;
use crate::volume::Reader;
use crate::voxels::Voxels;

/// A rectangle of one plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Rows (y).
    pub(crate) rows: Range<u64>,
    /// Columns (x).
    pub(crate) columns: Range<u64>,
}

impl Window {
    /// The rows and columns of a box.
    pub(crate) fn of(region: &BoundingBox) -> Self {
        Self { rows: region.start[1]..region.end[1], columns: region.start[2]..region.end[2] }
    }

    /// Columns.
    pub(crate) fn width(&self) -> u64 {
        self.columns.end - self.columns.start
    }

    /// The part inside `other`, if there is one.
    pub(crate) fn intersect(&self, other: &Self) -> Option<Self> {
        let rows = self.rows.start.max(other.rows.start)..self.rows.end.min(other.rows.end);
        let columns =
            self.columns.start.max(other.columns.start)..self.columns.end.min(other.columns.end);
        (!rows.is_empty() && !columns.is_empty()).then_some(Self { rows, columns })
    }
}

/// A volume that is read plane by plane, from many threads at once.
pub(crate) trait PlaneSource: Send + Sync {
    fn metadata(&self) -> &Metadata;

    /// Fills `out` with the window of plane `z` of a channel: rows in C order, this machine's byte
    /// order. All of it lies inside the volume; `out` has exactly the window's bytes.
    fn read_plane(&self, channel: usize, z: u64, window: &Window, out: &mut [u8]) -> Result<()>;
}

impl<S: PlaneSource> Reader for S {
    fn metadata(&self) -> &Metadata {
        PlaneSource::metadata(self)
    }

    fn read_into(&self, channel: usize, region: &BoundingBox, out: &mut Voxels) -> Result<()> {
        let window = Window::of(region);
        let plane = out.bytes().len() / out.shape()[0].max(1);
        for (z, target) in (region.start[0]..).zip(out.bytes_mut().chunks_exact_mut(plane.max(1))) {
            self.read_plane(channel, z, &window, target)?;
        }
        Ok(())
    }
}

/// Copies columns `from` of one sample out of rows of `samples` interleaved samples of `size` bytes.
pub(crate) fn copy_sample(
    row: &[u8],
    from: Range<usize>,
    sample: usize,
    samples: usize,
    size: usize,
    out: &mut [u8],
) {
    let pixel = samples * size;
    let row = &row[from.start * pixel..from.end * pixel];
    if samples == 1 {
        out.copy_from_slice(row);
        return;
    }
    for (source, target) in row.chunks_exact(pixel).zip(out.chunks_exact_mut(size)) {
        target.copy_from_slice(&source[sample * size..(sample + 1) * size]);
    }
}

/// Bytes of each plane of a block.
pub(crate) fn planes_of(voxels: &Voxels) -> impl Iterator<Item = &[u8]> {
    let [_, y, x] = voxels.shape();
    voxels.bytes().chunks_exact((y * x * voxels.dtype().size()).max(1))
}
