//! One multi-page TIFF file as the output of a volume.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::sink::TiffSink;
use crate::error::Result;
use crate::format::plane_source::planes_of;
use crate::staging::Staged;
use crate::volume::{WriteOptions, WriteOrder, Writer};
use crate::voxels::Voxels;

/// A volume of one or more channels in one file.
pub(super) struct TiffWriter {
    sink: Mutex<TiffSink>,
    shape: [u64; 3],
}

impl TiffWriter {
    pub(super) fn create(path: &Path, options: &WriteOptions) -> Result<Self> {
        let staged = Staged::new(path, options.mode)?;
        let sink = Mutex::new(TiffSink::create(path, staged, options)?);
        Ok(Self { sink, shape: options.shape })
    }
}

impl Writer for TiffWriter {
    fn write(&self, channel: usize, start: [u64; 3], voxels: &Voxels) -> Result<()> {
        let first = channel as u64 * self.shape[0] + start[0];
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, plane) in (first..).zip(planes_of(voxels)) {
            sink.write_plane(index, voxels.dtype(), plane)?;
        }
        Ok(())
    }

    fn granule(&self) -> [u64; 3] {
        [1, self.shape[1], self.shape[2]]
    }

    fn order(&self) -> WriteOrder {
        WriteOrder::Strict
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.sink.into_inner().unwrap_or_else(PoisonError::into_inner).close()?.commit()
    }
}
