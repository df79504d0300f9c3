//! The header of 1024 bytes: 4-byte words, in the byte order that the machine stamp gives.

use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::raw::Endian;
use crate::geometry::VoxelSize;
use crate::volume::WriteOptions;

/// Bytes of the header.
pub(super) const SIZE: usize = 1024;
/// Ångström in a nanometre.
const ANGSTROM: f64 = 10.0;
/// Space groups of stacks of volumes.
const STACKS: std::ops::RangeInclusive<i32> = 401..=630;
/// At 152 if IMOD wrote the file; bit 0 of the next word then says whether bytes have a sign.
const IMOD_STAMP: i32 = 1_146_047_817;
/// Most volumes of a stack.
const MAX_VOLUMES: u64 = 1 << 16;

/// Values of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// As they are.
    Plain(DataType),
    /// `float16`.
    Half,
}

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) endian: Endian,
    pub(super) values: Values,
    /// Voxels of one volume along z, y, x.
    pub(super) shape: [u64; 3],
    /// Volumes in the file.
    pub(super) volumes: u64,
    pub(super) voxel_size: Option<VoxelSize>,
    /// Bytes between header and data.
    pub(super) extended_bytes: u64,
}

impl Header {
    /// Takes the header apart.
    ///
    /// # Errors
    /// [`Error::Format`] for sizes that cannot be, [`Error::Unsupported`] for other modes and orders of
    /// axes; both with what was found.
    pub(super) fn parse(bytes: &[u8; SIZE], place: &Place) -> Result<Self> {
        let damaged = |message: String| Error::format(place.clone(), message);
        let endian = endian(bytes).ok_or_else(|| {
            damaged(format!("MRC machine stamp {:02x?}; expected 44 44 or 11 11", &bytes[212..216]))
        })?;
        let words = Words { bytes, endian };
        let size = |at: usize, axis: &str| {
            let found = words.int(at);
            u64::try_from(found).ok().filter(|v| *v > 0).ok_or_else(|| {
                damaged(format!("MRC header: {found} voxels along {axis}; expected 1 or more"))
            })
        };
        let [x, y, sections] = [size(0, "x")?, size(4, "y")?, size(8, "z")?];
        let order = [64, 68, 72].map(|at| words.int(at));
        if order != [1, 2, 3] && order != [0, 0, 0] {
            let message = format!("MRC axes in order {order:?}; expected [1, 2, 3] (x, y, z)");
            return Err(Error::unsupported(place.clone(), message));
        }
        let extended = words.int(92);
        let extended_bytes = u64::try_from(extended)
            .map_err(|_| damaged(format!("MRC header: extended header of {extended} bytes")))?;
        let volumes = volumes(&words, sections).map_err(damaged)?;
        Ok(Self {
            endian,
            values: values(&words, place)?,
            shape: [sections / volumes, y, x],
            volumes,
            voxel_size: voxel_size(&words),
            extended_bytes,
        })
    }
}

fn endian(bytes: &[u8; SIZE]) -> Option<Endian> {
    match bytes[212..214] {
        [0x44, _] => Some(Endian::Little),
        [0x11, 0x11] => Some(Endian::Big),
        // Old writers left it out: a mode is a small number in one of the two orders.
        [0, 0] => match bytes[12..16] {
            [_, 0, 0, 0] => Some(Endian::Little),
            [0, 0, 0, _] => Some(Endian::Big),
            _ => None,
        },
        _ => None,
    }
}

fn values(words: &Words<'_>, place: &Place) -> Result<Values> {
    let imod_unsigned = words.int(152) == IMOD_STAMP && words.int(156) & 1 == 0;
    match words.int(12) {
        0 if imod_unsigned => Ok(Values::Plain(DataType::U8)),
        0 => Ok(Values::Plain(DataType::I8)),
        1 => Ok(Values::Plain(DataType::I16)),
        2 => Ok(Values::Plain(DataType::F32)),
        6 => Ok(Values::Plain(DataType::U16)),
        12 => Ok(Values::Half),
        mode => {
            let message = format!("MRC mode {mode}; known are 0, 1, 2, 6 and 12");
            Err(Error::unsupported(place.clone(), message))
        }
    }
}

/// Volumes in a file of so many sections.
fn volumes(words: &Words<'_>, sections: u64) -> Result<u64, String> {
    if !STACKS.contains(&words.int(88)) {
        return Ok(1);
    }
    let of_one = words.int(36);
    let count = u64::try_from(of_one)
        .ok()
        .filter(|v| *v > 0 && sections.is_multiple_of(*v))
        .map(|v| sections / v)
        .filter(|count| *count <= MAX_VOLUMES);
    count.ok_or_else(|| format!("MRC stack of {sections} sections in volumes of {of_one}"))
}

/// Cell size over the number of samples along it.
fn voxel_size(words: &Words<'_>) -> Option<VoxelSize> {
    let nm = |axis: usize| {
        let (cell, samples) = (words.float(40 + 4 * axis), words.int(28 + 4 * axis));
        f64::from(cell) / f64::from(samples) / ANGSTROM
    };
    VoxelSize::from_nm_zyx([nm(2), nm(1), nm(0)])
}

struct Words<'b> {
    bytes: &'b [u8; SIZE],
    endian: Endian,
}

impl Words<'_> {
    fn word(&self, at: usize) -> [u8; 4] {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[at..at + 4]);
        self.endian.to_native(&mut word, 4);
        word
    }

    fn int(&self, at: usize) -> i32 {
        i32::from_ne_bytes(self.word(at))
    }

    fn float(&self, at: usize) -> f32 {
        f32::from_ne_bytes(self.word(at))
    }
}

/// The header of a new file, little-endian.
///
/// # Errors
/// [`Error::Unsupported`] for types that MRC does not have, and sizes that do not fit.
pub(super) fn bytes(options: &WriteOptions, place: &Place) -> Result<[u8; SIZE]> {
    let mode: i32 = match options.dtype {
        DataType::I8 => 0,
        DataType::I16 => 1,
        DataType::F32 => 2,
        DataType::U16 => 6,
        other => {
            let message = format!("{other} in MRC, which has int8, int16, uint16 and float32");
            return Err(Error::unsupported(place.clone(), message));
        }
    };
    let volumes = options.channels.len() as u64;
    let [z, y, x] = options.shape;
    let too_large =
        || Error::unsupported(place.clone(), format!("shape {:?} in MRC", options.shape));
    let int = |size: u64| i32::try_from(size).map_err(|_| too_large());
    let [samples_z, y, x] = [int(z)?, int(y)?, int(x)?];
    let sections = int(z.saturating_mul(volumes))?;
    // 1: one volume; 401: a stack of volumes.
    let space_group: i32 = if volumes > 1 { 401 } else { 1 };
    let mut header = [0; SIZE];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let ints = [
        (0, x),
        (4, y),
        (8, sections),
        (12, mode),
        (28, x),
        (32, y),
        (36, samples_z),
        (64, 1),
        (68, 2),
        (72, 3),
        (88, space_group),
        (108, 20_141),
        (220, 1),
    ];
    for (at, value) in ints {
        put(at, &value.to_le_bytes());
    }
    if let Some(size) = options.voxel_size {
        let samples = [x, y, samples_z];
        for axis in 0..3 {
            let cell = size.nm_zyx[2 - axis] * ANGSTROM * f64::from(samples[axis]);
            put(40 + 4 * axis, &(cell as f32).to_le_bytes());
        }
    }
    // Right angles; minimum above maximum, mean below both, negative deviation: not computed.
    for (at, value) in [52, 56, 60].map(|at| (at, 90.0_f32)) {
        put(at, &value.to_le_bytes());
    }
    for (at, value) in [(76, 0.0_f32), (80, -1.0), (84, -2.0), (216, -1.0)] {
        put(at, &value.to_le_bytes());
    }
    put(208, b"MAP ");
    put(212, &[0x44, 0x44, 0, 0]);
    put(224, b"exavox");
    Ok(header)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid() -> [u8; SIZE] {
        bytes(&WriteOptions::new(DataType::I16, [3, 4, 5]), &Place::new("v")).unwrap()
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(
            changes in proptest::collection::vec((0..256_usize, any::<[u8; 4]>()), 0..20),
        ) {
            let mut header = valid();
            for (word, bytes) in changes {
                header[4 * word..4 * word + 4].copy_from_slice(&bytes);
            }
            match Header::parse(&header, &Place::new("v.mrc")) {
                Ok(parsed) => prop_assert!(!parsed.shape.contains(&0) && parsed.volumes > 0),
                Err(error) => prop_assert!(error.to_string().contains("v.mrc")),
            }
        }
    }
}
