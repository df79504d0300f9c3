//! LZ4 as the writers of N5 frame it: Java writes streams of `LZ4Block`s, the Rust crate `n5` LZ4 frames,
//! z5 bare blocks. The first bytes tell which.

use std::hash::Hasher;

use twox_hash::XxHash32;

use crate::codec::{read_exactly, wrong_size};

/// Before each part of a stream of lz4-java.
const BLOCK_MAGIC: &[u8] = b"LZ4Block";
const FRAME_MAGIC: &[u8] = &0x184D_2204_u32.to_le_bytes();
/// Magic, token, two lengths, checksum.
const BLOCK_HEADER: usize = 21;
const METHOD_RAW: u8 = 0x10;
const METHOD_LZ4: u8 = 0x20;
const SEED: u32 = 0x9747_B28C;
/// lz4-java keeps 28 bits of the hash.
const CHECKSUM_BITS: u32 = 0x0FFF_FFFF;

/// Decodes any of the three framings into exactly `out.len()` bytes.
pub(super) fn decode(data: &[u8], out: &mut [u8]) -> Result<(), String> {
    if data.starts_with(BLOCK_MAGIC) {
        decode_stream(data, out)
    } else if data.starts_with(FRAME_MAGIC) {
        read_exactly(lz4_flex::frame::FrameDecoder::new(data), out, "lz4 frame")
    } else {
        decode_bare(data, out)
    }
}

fn decode_bare(data: &[u8], out: &mut [u8]) -> Result<(), String> {
    let expected = out.len();
    let found = lz4_flex::block::decompress_into(data, out)
        .map_err(|e| format!("lz4 block: {e}, expected {expected} bytes"))?;
    if found == expected { Ok(()) } else { Err(wrong_size(found, expected)) }
}

/// Parts of a stream, each compressed by itself, up to one of length 0.
fn decode_stream(mut data: &[u8], out: &mut [u8]) -> Result<(), String> {
    let (mut filled, expected) = (0_usize, out.len());
    while let Some(part) = Part::read(&mut data)? {
        let Some(target) = out.get_mut(filled..filled.saturating_add(part.length)) else {
            return Err(format!("decoded to more than the expected {expected} bytes"));
        };
        part.decode(target)?;
        filled += part.length;
    }
    if filled != expected {
        return Err(wrong_size(filled, expected));
    }
    Ok(())
}

struct Part<'d> {
    method: u8,
    length: usize,
    checksum: u32,
    data: &'d [u8],
}

impl<'d> Part<'d> {
    /// The next part of a stream; `None` at its end mark.
    fn read(stream: &mut &'d [u8]) -> Result<Option<Self>, String> {
        let truncated = || "truncated: an LZ4Block stream without its end mark".to_owned();
        let (header, rest) = stream.split_at_checked(BLOCK_HEADER).ok_or_else(truncated)?;
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        if !header.starts_with(BLOCK_MAGIC) {
            return Err("expected the next LZ4Block, found other bytes".to_owned());
        }
        let (compressed, length) = (number(9) as usize, number(13) as usize);
        if length == 0 {
            return Ok(None);
        }
        let (data, rest) = rest.split_at_checked(compressed).ok_or_else(truncated)?;
        *stream = rest;
        // The lower half of the token is the level.
        Ok(Some(Self { method: header[8] & 0xF0, length, checksum: number(17), data }))
    }

    fn decode(&self, out: &mut [u8]) -> Result<(), String> {
        match self.method {
            METHOD_RAW if self.data.len() == out.len() => out.copy_from_slice(self.data),
            METHOD_RAW => return Err(wrong_size(self.data.len(), out.len())),
            METHOD_LZ4 => decode_bare(self.data, out)?,
            other => return Err(format!("LZ4Block of method {other:#04x}")),
        }
        let mut hasher = XxHash32::with_seed(SEED);
        hasher.write(out);
        let found = hasher.finish() as u32 & CHECKSUM_BITS;
        if found != self.checksum {
            return Err(format!("LZ4Block: checksum {found:#x}, expected {:#x}", self.checksum));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A stream of lz4-java of two parts, one compressed and one not, and its end mark.
    fn stream(values: &[u8]) -> Vec<u8> {
        let (first, second) = values.split_at(values.len() / 2);
        let packed = lz4_flex::block::compress(first);
        let mut out = Vec::new();
        for (method, data, values) in
            [(METHOD_LZ4, &packed[..], first), (METHOD_RAW, second, second), (METHOD_RAW, &[], &[])]
        {
            let mut hasher = XxHash32::with_seed(SEED);
            hasher.write(values);
            out.extend(BLOCK_MAGIC);
            out.push(method | 5);
            let checksum =
                if values.is_empty() { 0 } else { hasher.finish() as u32 & CHECKSUM_BITS };
            for number in [data.len() as u32, values.len() as u32, checksum] {
                out.extend(number.to_le_bytes());
            }
            out.extend(data);
        }
        out
    }

    fn frame(values: &[u8]) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(values).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_framing_is_told_by_the_first_bytes_and_damage_is_seen() {
        let values: Vec<u8> = (0..400_u16).map(|i| (i / 7) as u8).collect();
        let framings = [stream(&values), frame(&values), lz4_flex::block::compress(&values)];
        for (n, data) in framings.iter().enumerate() {
            let mut out = vec![0; values.len()];
            decode(data, &mut out).unwrap();
            assert!(out == values, "framing {n}");
            for size in [values.len() - 1, values.len() + 1] {
                assert!(decode(data, &mut vec![0; size]).is_err(), "framing {n} into {size}");
            }
            for end in 0..data.len() {
                // The last bytes of a frame are its checksum, which may be left out.
                let cut = decode(&data[..end], &mut out);
                assert!(cut.is_err() || out == values, "framing {n} cut to {end}");
            }
            for at in 0..data.len() {
                let mut damaged = data.clone();
                damaged[at] ^= 0x15;
                let mut out = vec![0; values.len()];
                let decoded = decode(&damaged, &mut out);
                // A bare block has no checksum: other values may come out, never a panic.
                assert!(n == 2 || decoded.is_err() || out == values, "framing {n} at {at}");
            }
        }
    }
}
