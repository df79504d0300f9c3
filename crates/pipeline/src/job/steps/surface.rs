//! The labels on the surface of a block: all that its neighbours have to know of it.

use std::path::Path;

use exavox_io::store::Durability;

use super::files;
use crate::blocks::Digest;
use crate::error::{Error, Result};

const MAGIC: [u8; 8] = *b"exvxsrf1";
const HEADER: usize = 24;
/// Fast, and planes of labels shrink to a tenth.
const ZSTD_LEVEL: i32 = 1;

/// The labels of a block that lie on its six sides, or were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surface {
    /// `[z, y, x]` of the block.
    shape: [usize; 3],
    /// The labels, ascending.
    labels: Vec<u32>,
    /// A number for each of them, such as its value or its size.
    attributes: Vec<u64>,
    /// Indices from 1 on into `labels`, 0 = none, of the voxels that were asked for.
    asked: Vec<u32>,
    /// The same for the six sides: low and high z, y, x; each in C order.
    planes: [Vec<u32>; 6],
}

impl Surface {
    /// Of a block of labels from 1 to `count`, in C order; besides those on the surface it has the labels
    /// of the voxels `asked`, by their index in the block. `attribute` gives the number of a label.
    pub(super) fn new(
        shape: [usize; 3],
        block: &[u32],
        count: usize,
        asked: &[usize],
        attribute: impl Fn(u32) -> u64,
    ) -> Self {
        let mut planes = std::array::from_fn(|side| plane(shape, block, side));
        let mut asked: Vec<u32> = asked.iter().map(|voxel| block[*voxel]).collect();
        let mut index = vec![0_u32; count + 1];
        planes.iter().flatten().chain(&asked).for_each(|label| index[*label as usize] = 1);
        index[0] = 0;
        let mut labels = Vec::new();
        for (label, index) in (0..).zip(&mut index) {
            if *index == 1 {
                labels.push(label);
                *index = labels.len() as u32;
            }
        }
        let places = planes.iter_mut().flatten().chain(&mut asked);
        places.for_each(|label| *label = index[*label as usize]);
        let attributes = labels.iter().map(|label| attribute(*label)).collect();
        Self { shape, labels, attributes, asked, planes }
    }

    /// Shape of the block.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The labels, ascending.
    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The number of each label.
    pub(super) fn attributes(&self) -> &[u64] {
        &self.attributes
    }

    /// Index of the label at each voxel that was asked for, if it has one.
    pub(super) fn asked(&self) -> impl ExactSizeIterator<Item = Option<usize>> + '_ {
        self.asked.iter().map(|index| (*index as usize).checked_sub(1))
    }

    /// A side: along an axis (0 = z), the low or the high one. Indices of labels from 1 on, 0 = none.
    pub(super) fn side(&self, axis: usize, high: bool) -> &[u32] {
        &self.planes[2 * axis + usize::from(high)]
    }

    /// Bytes that it takes in memory.
    pub(super) fn bytes(&self) -> u64 {
        raw_bytes(self.shape, self.labels.len(), self.asked.len()) as u64
    }

    /// Writes it; gives the digest of what it holds.
    pub(super) fn write(&self, path: &Path, durability: Durability) -> Result<Digest> {
        let raw = self.raw();
        let packed = zstd::bulk::compress(&raw, ZSTD_LEVEL)
            .map_err(|e| Error::settings(path.display().to_string(), e.to_string()))?;
        let mut bytes = Vec::with_capacity(HEADER + packed.len());
        bytes.extend(MAGIC);
        bytes.extend((self.labels.len() as u32).to_le_bytes());
        bytes.extend((self.asked.len() as u32).to_le_bytes());
        bytes.extend((packed.len() as u32).to_le_bytes());
        let check = crc32c::crc32c_append(crc32c::crc32c(&bytes), &packed);
        bytes.extend(check.to_le_bytes());
        bytes.extend(&packed);
        files::write(path, &bytes, durability)?;
        Ok(Digest::of(&raw))
    }

    /// Reads that of a block of `shape`.
    pub(super) fn read(path: &Path, shape: [usize; 3]) -> Result<Self> {
        let damaged =
            |what: &str| Error::settings(path.display().to_string(), format!("damaged: {what}"));
        let bytes = files::read(path, HEADER + zstd::zstd_safe::compress_bound(largest(shape)))?;
        if bytes.len() < HEADER || bytes[..8] != MAGIC {
            return Err(damaged("no labels of a surface"));
        }
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let packed = &bytes[HEADER..];
        let check = crc32c::crc32c_append(crc32c::crc32c(&bytes[..HEADER - 4]), packed);
        if number(16) as usize != packed.len() || number(HEADER - 4) != check {
            return Err(damaged("its checksum is another"));
        }
        let (labels, asked) = (number(8) as usize, number(12) as usize);
        if labels > surface_voxels(shape) + asked {
            return Err(damaged("more labels than voxels"));
        }
        let length = raw_bytes(shape, labels, asked);
        let raw = zstd::bulk::decompress(packed, length).map_err(|e| damaged(&e.to_string()))?;
        if raw.len() != length {
            return Err(damaged("not as long as its labels"));
        }
        Ok(Self::from_raw(shape, labels, asked, &raw))
    }

    /// The digest that [`Surface::write`] gave.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.raw())
    }

    fn raw(&self) -> Vec<u8> {
        let mut raw = bytemuck::cast_slice(&self.attributes).to_vec();
        for part in [&self.labels, &self.asked].into_iter().chain(&self.planes) {
            raw.extend_from_slice(bytemuck::cast_slice(part));
        }
        raw
    }

    /// `raw` has the length of these parts.
    fn from_raw(shape: [usize; 3], labels: usize, asked: usize, raw: &[u8]) -> Self {
        let (attributes, mut rest) = raw.split_at(8 * labels);
        let mut take = |count: usize| {
            let (part, after) = rest.split_at(4 * count);
            rest = after;
            bytemuck::pod_collect_to_vec::<u8, u32>(part)
        };
        let (labels, asked) = (take(labels), take(asked));
        let planes = std::array::from_fn(|side| take(side_voxels(shape, side / 2)));
        let attributes = bytemuck::pod_collect_to_vec(attributes);
        Self { shape, labels, attributes, asked, planes }
    }
}

/// Labels of a side in C order.
fn plane(shape: [usize; 3], block: &[u32], side: usize) -> Vec<u32> {
    let [nz, ny, nx] = shape;
    let high = side % 2 == 1;
    match side / 2 {
        0 => {
            let first = if high { (nz - 1) * ny * nx } else { 0 };
            block[first..first + ny * nx].to_vec()
        }
        1 => {
            let row = if high { ny - 1 } else { 0 };
            let rows = (0..nz).map(|z| (z * ny + row) * nx);
            rows.flat_map(|first| &block[first..first + nx]).copied().collect()
        }
        _ => {
            let x = if high { nx - 1 } else { 0 };
            block[x..].iter().step_by(nx).copied().collect()
        }
    }
}

fn side_voxels(shape: [usize; 3], axis: usize) -> usize {
    shape.iter().product::<usize>() / shape[axis]
}

fn surface_voxels(shape: [usize; 3]) -> usize {
    (0..3).map(|axis| 2 * side_voxels(shape, axis)).sum()
}

fn raw_bytes(shape: [usize; 3], labels: usize, asked: usize) -> usize {
    12 * labels + 4 * asked + 4 * surface_voxels(shape)
}

/// More than any surface of a block takes, uncompressed: every voxel may have been asked for.
fn largest(shape: [usize; 3]) -> usize {
    16 * (surface_voxels(shape) + shape.iter().product::<usize>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blocks() -> impl Strategy<Value = ([usize; 3], Vec<u32>)> {
        prop::array::uniform3(1_usize..6).prop_flat_map(|shape| {
            let voxels = shape.iter().product::<usize>();
            (Just(shape), prop::collection::vec(0_u32..9, voxels))
        })
    }

    proptest! {
        #[test]
        fn sides_hold_the_labels_of_the_block((shape, block) in blocks(), at in 0_usize..125) {
            let asked = [at % block.len(), 0];
            let surface = Surface::new(shape, &block, 8, &asked, |label| u64::from(label) * 3);
            let label = |index: u32| index.checked_sub(1).map_or(0, |i| surface.labels()[i as usize]);
            for axis in 0..3 {
                for high in [false, true] {
                    let inside = (0..block.len()).filter(|i| {
                        let [_, ny, nx] = shape;
                        let at = [i / (ny * nx), i / nx % ny, i % nx][axis];
                        at == if high { shape[axis] - 1 } else { 0 }
                    });
                    let expected: Vec<u32> = inside.map(|i| block[i]).collect();
                    let found: Vec<u32> = surface.side(axis, high).iter().map(|i| label(*i)).collect();
                    prop_assert_eq!(found, expected);
                }
            }
            let found: Vec<u32> =
                surface.asked().map(|i| i.map_or(0, |i| surface.labels()[i])).collect();
            prop_assert_eq!(found, asked.map(|voxel| block[voxel]).to_vec());
            prop_assert!(surface.labels().is_sorted_by(|a, b| a < b));
            let numbers: Vec<u64> = surface.labels().iter().map(|l| u64::from(*l) * 3).collect();
            prop_assert_eq!(surface.attributes(), &numbers[..]);
        }
    }

    #[test]
    fn what_is_read_is_what_was_written_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (path, shape) = (folder.path().join("a/7.surface"), [3, 4, 5]);
        let block: Vec<u32> = (0..60).map(|i| i * 7 % 13).collect();
        let surface = Surface::new(shape, &block, 12, &[31], u64::from);
        let digest = surface.write(&path, Durability::Buffered).unwrap();
        let found = Surface::read(&path, shape).unwrap();
        assert!(found == surface && found.digest() == digest);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            let error = Surface::read(&path, shape).unwrap_err().to_string();
            assert!(error.contains("7.surface: damaged"), "{error}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(Surface::read(&path, shape).is_err(), "{at}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(Surface::read(&path, [3, 4, 6]).is_err());
    }
}
