//! Stages whose blocks are boxes of an output volume, each computed from its own box of the input.

use exavox_io::store::Durability;
use exavox_io::{BoundingBox, VolumeWriter, Voxels};

use crate::blocks::{BlockGrid, BlockWorker, Digest, Stage};
use crate::error::{Error, Result};
use crate::job::SharedTarget;

/// Computes the voxels of a box of one channel of the output.
pub(super) type Make<'a> = Box<dyn Fn(usize, &BoundingBox) -> Result<Voxels> + Send + Sync + 'a>;

/// Makes and writes boxes, all channels of the output for each.
pub(super) struct Blockwise<'a> {
    target: SharedTarget,
    grid: BlockGrid,
    durability: Durability,
    make: Make<'a>,
}

impl<'a> Blockwise<'a> {
    /// Blocks of `grid` of a target.
    pub(super) fn new(
        target: SharedTarget,
        grid: BlockGrid,
        durability: Durability,
        make: Make<'a>,
    ) -> Self {
        Self { target, grid, durability, make }
    }

    fn writer(&self) -> Result<VolumeWriter> {
        let writer = self.target.writer(self.durability)?;
        let (granule, block) = (writer.granule(), self.grid.block_shape());
        let end = self.grid.region().end;
        if (0..3).any(|a| block[a] < end[a] && !block[a].is_multiple_of(granule[a])) {
            let message = format!(
                "blocks of {block:?} are no multiples of what is written at once, {granule:?}"
            );
            return Err(Error::settings(self.target.name(), message));
        }
        Ok(writer)
    }

    fn channels(&self) -> std::ops::Range<usize> {
        0..self.target.options().channels.len()
    }

    fn run(&self, writer: &VolumeWriter, block: u64) -> Result<Digest> {
        let area = self.grid.block(block);
        let mut digests = Vec::new();
        for channel in self.channels() {
            let voxels = (self.make)(channel, &area)?;
            digests.push(voxels_digest(&voxels));
            writer.write(channel, area.start, &voxels)?;
        }
        if self.target.remove_late()? {
            let message = "has been finished by others meanwhile";
            return Err(Error::settings(self.target.name(), message));
        }
        Ok(joined(&digests))
    }
}

impl Stage for Blockwise<'_> {
    fn worker(&self) -> Result<Box<dyn BlockWorker + '_>> {
        if self.target.is_finished()? {
            // Finished when all blocks were done: only the ledger has lost them.
            return Ok(Box::new(|block| self.digest(block)));
        }
        let writer = self.writer()?;
        Ok(Box::new(move |block| self.run(&writer, block)))
    }

    fn describe(&self, block: u64) -> String {
        self.grid.block(block).to_string()
    }

    fn digest(&self, block: u64) -> Result<Digest> {
        if !self.target.is_finished()? {
            let message = "cannot be read before its step is finished";
            return Err(Error::settings(self.target.name(), message));
        }
        let (volume, area) = (self.target.open()?, self.grid.block(block));
        let digests: Result<Vec<Digest>> =
            self.channels().map(|c| Ok(voxels_digest(&volume.read(c, &area)?))).collect();
        Ok(joined(&digests?))
    }
}

/// Of shape, type and values.
pub(super) fn voxels_digest(voxels: &Voxels) -> Digest {
    let head = format!("{} {:?}", voxels.dtype(), voxels.shape());
    Digest::of_parts([head.as_bytes(), voxels.bytes()])
}

fn joined(digests: &[Digest]) -> Digest {
    match digests {
        [only] => *only,
        many => {
            let bytes: Vec<u8> = many.iter().flat_map(|d| d.0.to_le_bytes()).collect();
            Digest::of(&bytes)
        }
    }
}
