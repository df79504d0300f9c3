//! Numbers, positions and lists as bytes.

use crate::error::{Error, Result};
use crate::ffn::canvas::Position;

/// What is written so far.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn position(&mut self, position: Position) {
        position.iter().for_each(|p| self.u64(*p as u64));
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u64(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }
}

/// What is still to be read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn u8(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*first))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }

    pub(super) fn at_most(&mut self, most: usize) -> Result<usize> {
        let value = usize::try_from(self.u64()?).ok().filter(|value| *value <= most);
        value.ok_or_else(damaged)
    }

    pub(super) fn position(&mut self, shape: [usize; 3]) -> Result<Position> {
        let mut position = [0; 3];
        for a in 0..3 {
            // A shape is never 0: there is no FOV that small.
            position[a] = self.at_most(shape[a] - 1)?;
        }
        Ok(position)
    }

    /// A list whose items take so many bytes each; memory is taken only for what is there.
    pub(super) fn list<T>(
        &mut self,
        bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.at_most(self.0.len() / bytes)?;
        (0..count).map(|_| read(self)).collect()
    }
}

pub(super) fn damaged() -> Error {
    Error::Usage("is not what was saved of this segmentation".into())
}
