//! One block: a header, then the compressed values in big-endian order, the fastest axis first.

use std::borrow::Cow;

use crate::format::raw::Endian;

use super::compression::Compression;

/// Values follow the header at once.
const MODE_DEFAULT: u16 = 0;
/// The number of values stands before them.
const MODE_VARLENGTH: u16 = 1;

/// How the blocks of a dataset are encoded. Sizes are in the order on disk, fastest axis first.
#[derive(Debug, Clone)]
pub(super) struct BlockCodec {
    pub(super) compression: Compression,
    /// Voxels of a block that is not at an end.
    pub(super) block_size: Vec<u64>,
    /// Bytes of a value.
    pub(super) size: usize,
}

impl BlockCodec {
    /// Decodes a block of `shape` into `out`, in this machine's byte order. A block stored larger (up to
    /// the block size) is cropped; one stored smaller is filled with zeros.
    ///
    /// # Errors
    /// What is wrong with the bytes, expected and found.
    pub(super) fn decode(&self, bytes: &[u8], shape: &[u64], out: &mut [u8]) -> Result<(), String> {
        let (stored, data) = self.header(bytes)?;
        if stored == shape {
            self.compression.decode(data, out)?;
            Endian::Big.to_native(out, self.size);
            return Ok(());
        }
        let count: u64 = stored.iter().product();
        let mut whole = vec![0; count as usize * self.size];
        self.compression.decode(data, &mut whole)?;
        Endian::Big.to_native(&mut whole, self.size);
        out.fill(0);
        copy_common(&whole, &stored, out, shape, self.size);
        Ok(())
    }

    /// Shape of a block as its header gives it, and the data after the header.
    fn header<'b>(&self, bytes: &'b [u8]) -> Result<(Vec<u64>, &'b [u8]), String> {
        let mut fields = Fields { bytes };
        let mode = fields.u16()?;
        let (axes, expected) = (fields.u16()?, self.block_size.len());
        if usize::from(axes) != expected {
            return Err(format!("block of {axes} axes, the dataset has {expected}"));
        }
        let stored: Vec<u64> =
            (0..axes).map(|_| fields.u32().map(u64::from)).collect::<Result<_, _>>()?;
        let fits = stored.iter().zip(&self.block_size).all(|(s, b)| (1..=*b).contains(s));
        if !fits {
            let block_size = &self.block_size;
            return Err(format!("block of shape {stored:?}, the dataset's is {block_size:?}"));
        }
        match mode {
            MODE_DEFAULT => {}
            MODE_VARLENGTH => {
                let (found, count) = (u64::from(fields.u32()?), stored.iter().product::<u64>());
                if found != count {
                    return Err(format!(
                        "block of {found} values, its shape {stored:?} has {count}"
                    ));
                }
            }
            other => return Err(format!("block mode {other}; known are 0 and 1")),
        }
        Ok((stored, fields.bytes))
    }

    /// Encodes the values (this machine's order) of a block of `shape`.
    ///
    /// # Errors
    /// What the compressor says.
    pub(super) fn encode(&self, shape: &[u64], values: &[u8]) -> Result<Vec<u8>, String> {
        let mut block = Vec::with_capacity(4 + 4 * shape.len());
        block.extend(MODE_DEFAULT.to_be_bytes());
        block.extend((shape.len() as u16).to_be_bytes());
        for size in shape {
            let size = u32::try_from(*size).map_err(|_| format!("block of shape {shape:?}"))?;
            block.extend(size.to_be_bytes());
        }
        let values = if self.size == 1 {
            Cow::Borrowed(values)
        } else {
            let mut big = values.to_vec();
            Endian::Big.to_native(&mut big, self.size);
            Cow::Owned(big)
        };
        self.compression.encode(&values, self.size, &mut block)?;
        Ok(block)
    }
}

/// Big-endian numbers from the front of a block.
struct Fields<'b> {
    bytes: &'b [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (field, rest) = self.bytes.split_first_chunk::<N>().ok_or("truncated in the header")?;
        self.bytes = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.take().map(u32::from_be_bytes)
    }
}

/// Copies the voxels that two blocks have in common; both start at the same voxel. Shapes are fastest
/// axis first.
fn copy_common(from: &[u8], from_shape: &[u64], to: &mut [u8], to_shape: &[u64], size: usize) {
    let common: Vec<u64> = from_shape.iter().zip(to_shape).map(|(a, b)| *a.min(b)).collect();
    let rows: u64 = common.iter().skip(1).product();
    let length = common.first().map_or(0, |x| *x as usize * size);
    for row in 0..rows {
        let (mut rest, mut offsets, mut strides) = (row, [0, 0], [1, 1]);
        for axis in 0..common.len() {
            let at = if axis == 0 { 0 } else { rest % common[axis] };
            rest = if axis == 0 { rest } else { rest / common[axis] };
            for (n, shape) in [from_shape, to_shape].into_iter().enumerate() {
                offsets[n] += at * strides[n];
                strides[n] *= shape[axis];
            }
        }
        let [f, t] = offsets.map(|o| o as usize * size);
        to[t..t + length].copy_from_slice(&from[f..f + length]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::volume::Codec;

    const CODECS: [Codec; 4] = [Codec::Raw, Codec::Gzip(1), Codec::Zstd(1), Codec::Blosc(5)];

    fn codec(compression: Compression, block_size: &[u64]) -> BlockCodec {
        BlockCodec { compression, block_size: block_size.to_vec(), size: 2 }
    }

    fn of(codec: Codec) -> Compression {
        Compression::for_writing(codec).unwrap()
    }

    /// Voxel by voxel, with zeros where the stored block ends.
    fn naive(values: &[u8], stored: &[u64], shape: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        for z in 0..shape[2] {
            for y in 0..shape[1] {
                for x in 0..shape[0] {
                    let inside = x < stored[0] && y < stored[1] && z < stored[2];
                    let at = ((z * stored[1] + y) * stored[0] + x) as usize * 2;
                    out.extend(if inside { [values[at], values[at + 1]] } else { [0, 0] });
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn blocks_of_any_stored_shape_are_cropped_or_filled(
            stored in [1..6u64, 1..6u64, 1..6u64],
            shape in [1..6u64, 1..6u64, 1..6u64],
            which in 0..4usize,
            varlength: bool,
        ) {
            let codec = codec(of(CODECS[which]), &[5, 5, 5]);
            let count: u64 = stored.iter().product();
            let values: Vec<u8> = (0..count * 2).map(|i| (i % 250) as u8 + 1).collect();
            let mut bytes = codec.encode(&stored, &values).unwrap();
            if varlength {
                bytes[1] = 1;
                bytes.splice(16..16, (count as u32).to_be_bytes());
            }
            let mut out = vec![0xAA; shape.iter().product::<u64>() as usize * 2];
            codec.decode(&bytes, &shape, &mut out).unwrap();
            prop_assert_eq!(out, naive(&values, &stored, &shape));
        }

        #[test]
        fn hostile_bytes_are_refused_or_decoded_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            which in 0..8usize,
            headed: bool,
        ) {
            let compression = Compression::ALL_TYPES[which];
            let codec = codec(Compression::named(compression).unwrap(), &[4, 4, 4]);
            let mut block = if headed {
                vec![0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4]
            } else {
                Vec::new()
            };
            block.extend(bytes);
            let _ = codec.decode(&block, &[4, 4, 4], &mut [0; 128]);
        }

        #[test]
        fn damaged_blocks_do_not_panic(
            which in 0..4usize,
            at in any::<prop::sample::Index>(),
            flip in 1..=255u8,
            cut in any::<prop::sample::Index>(),
        ) {
            let codec = codec(of(CODECS[which]), &[4, 4, 4]);
            let values: Vec<u8> = (0..128).collect();
            let mut bytes = codec.encode(&[4, 4, 4], &values).unwrap();
            let cut = cut.index(bytes.len());
            prop_assert!(codec.decode(&bytes[..cut], &[4, 4, 4], &mut [0; 128]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = codec.decode(&bytes, &[4, 4, 4], &mut [0; 128]);
        }
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let codec = codec(Compression::named("raw").unwrap(), &[2, 2, 2]);
        let block = |header: &[u8]| [header, &[0; 16]].concat();
        let good = [0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2];
        let decode = |bytes: &[u8]| codec.decode(bytes, &[2, 2, 2], &mut [0; 16]);
        decode(&block(&good)).unwrap();
        let changed = |at: usize, value: u8| {
            let mut header = good;
            header[at] = value;
            decode(&block(&header)).unwrap_err()
        };
        assert!(changed(1, 2).contains("mode 2"));
        assert!(changed(3, 4).contains("4 axes"));
        assert!(changed(4, 255).contains("4278190082"));
        assert!(changed(7, 0).contains("[0, 2, 2]"));
        assert!(changed(1, 1).contains("values"));
        assert!(decode(&good[..9]).unwrap_err().contains("truncated"));
        assert!(decode(&good).unwrap_err().contains("expected 16"));
    }
}
