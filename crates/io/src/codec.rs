//! Compression of chunks straight between buffers, into exactly the size that is known beforehand:
//! compressed data never decides how much memory is taken.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};

use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Levels up to which [`encode_zstd`] looks for matches of 5 bytes at least. Short matches are not
/// worth looking for in images: on electron microscopy, chunks of 64^3 voxels are written at 1.8 times
/// the rate and become 0.06 % larger.
const LONG_MATCHES_UP_TO_LEVEL: i32 = 3;

thread_local! {
    // Contexts are large; one a thread is enough.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    // Pages of a fresh buffer have to be provided by the system, which takes as long as compressing
    // a tenth of a chunk.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Largest buffer that a thread keeps, so that shards do not stay in memory for good.
const SPARE_BYTES: usize = 32 << 20;

/// Takes an encoded chunk back when it has been written: its memory is used for the thread's next one.
pub(crate) fn recycle(encoded: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| {
        if (spare.capacity()..=SPARE_BYTES).contains(&encoded.capacity()) {
            *spare = encoded;
        }
    });
}

/// Copies bytes of a size that must be `out`'s.
pub(crate) fn copy_exact(bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
    if bytes.len() != out.len() {
        return Err(wrong_size(bytes.len(), out.len()));
    }
    out.copy_from_slice(bytes);
    Ok(())
}

/// Decodes one or more Zstandard frames that hold exactly `out.len()` bytes.
pub(crate) fn decode_zstd(encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(|e| e.to_string())?),
        };
        let expected = out.len();
        let decoded = decompressor.decompress_to_buffer(encoded, out);
        let count = decoded
            .map_err(|e| format!("zstd: {e}: expected {expected} bytes from {}", encoded.len()))?;
        if count == out.len() { Ok(()) } else { Err(wrong_size(count, out.len())) }
    })
}

/// Encodes as one Zstandard frame with the content's size.
pub(crate) fn encode_zstd(values: &[u8], level: i32) -> Result<Vec<u8>, String> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            *slot = Some((level, compressor(level).map_err(|e| e.to_string())?));
        }
        match slot {
            Some((_, compressor)) => {
                let mut encoded = SPARE.take();
                encoded.clear();
                encoded.reserve(zstd::zstd_safe::compress_bound(values.len()));
                let done = compressor.compress_to_buffer(values, &mut encoded);
                done.map(|_| encoded).map_err(|e| e.to_string())
            }
            None => Err("no zstd compressor".to_owned()),
        }
    })
}

fn compressor(level: i32) -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    if (1..=LONG_MATCHES_UP_TO_LEVEL).contains(&level) {
        compressor.set_parameter(CParameter::MinMatch(5))?;
    }
    Ok(compressor)
}

/// Decodes gzip members that hold exactly `out.len()` bytes; its checksum is checked.
pub(crate) fn decode_gzip(encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
    read_exactly(flate2::read::MultiGzDecoder::new(encoded), out, "gzip")
}

/// Decodes a zlib stream that holds exactly `out.len()` bytes; its checksum is checked.
pub(crate) fn decode_zlib(encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
    read_exactly(flate2::read::ZlibDecoder::new(encoded), out, "zlib")
}

/// Encodes as one gzip member.
pub(crate) fn encode_gzip(values: &[u8], level: u32) -> Result<Vec<u8>, String> {
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level.min(9)));
    encoder.write_all(values).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
}

/// Decodes a Blosc buffer that holds exactly `out.len()` bytes.
pub(crate) fn decode_blosc(encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
    let claimed = blosc_validate(encoded).ok_or("blosc: not a valid buffer")?;
    if claimed != out.len() {
        return Err(wrong_size(claimed, out.len()));
    }
    let values = blosc_decompress_bytes(encoded, claimed, 1).map_err(|e| format!("blosc: {e}"))?;
    copy_exact(&values, out)
}

/// Fills `out` from a decoder that must end there: its checksum is at the end.
pub(crate) fn read_exactly(
    mut decoder: impl Read,
    out: &mut [u8],
    codec: &str,
) -> Result<(), String> {
    let mut filled = 0;
    while filled < out.len() {
        match decoder.read(&mut out[filled..]) {
            Ok(0) => return Err(format!("{codec}: {}", wrong_size(filled, out.len()))),
            Ok(count) => filled += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("{codec}: {e}")),
        }
    }
    match decoder.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => {
            Err(format!("{codec}: decodes to more than {} bytes, which were expected", out.len()))
        }
        Err(e) => Err(format!("{codec}: {e}")),
    }
}

pub(crate) fn wrong_size(found: usize, expected: usize) -> String {
    format!("expected {expected} bytes, found {found}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Decode = fn(&[u8], &mut [u8]) -> Result<(), String>;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(values: Vec<u8>, level in 1..9i32, cut in 0.0..1.0) {
            let zstd = encode_zstd(&values, level).unwrap();
            let gzip = encode_gzip(&values, level as u32).unwrap();
            for (encoded, decode) in [(zstd, decode_zstd as Decode), (gzip, decode_gzip)] {
                let mut out = vec![0; values.len()];
                decode(&encoded, &mut out).unwrap();
                prop_assert_eq!(&out, &values);
                decode(&encoded, &mut vec![0; values.len() + 1]).unwrap_err();
                if !values.is_empty() {
                    decode(&encoded, &mut vec![0; values.len() - 1]).unwrap_err();
                }
                let cut = (encoded.len() as f64 * cut) as usize;
                decode(&encoded[..cut], &mut vec![0; values.len() + 1]).unwrap_err();
            }
        }

        #[test]
        fn garbage_is_an_error_or_decodes(bytes: Vec<u8>, size in 0..300usize) {
            for decode in [decode_zstd as Decode, decode_gzip, decode_zlib, decode_blosc] {
                // No panic, and never a byte more or less than was asked for.
                let mut out = vec![0; size];
                let decoded = decode(&bytes, &mut out);
                prop_assert!(decoded.is_err() || size == 0 || !bytes.is_empty());
                prop_assert_eq!(out.len(), size);
            }
        }
    }

    #[test]
    fn a_frame_that_claims_an_exbibyte_is_refused() {
        let bomb = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0];
        decode_zstd(&bomb, &mut [0; 100]).unwrap_err();
    }

    #[test]
    fn large_buffers_are_not_kept() {
        recycle(Vec::with_capacity(SPARE_BYTES));
        recycle(Vec::with_capacity(SPARE_BYTES + 1));
        assert_eq!(SPARE.take().capacity(), SPARE_BYTES);
    }

    #[test]
    fn a_changed_byte_in_gzip_is_found_by_its_checksum() {
        let values: Vec<u8> = (0..1000_u32).map(|v| (v * v % 251) as u8).collect();
        let mut encoded = encode_gzip(&values, 6).unwrap();
        let at = encoded.len() - 6;
        encoded[at] ^= 1;
        let error = decode_gzip(&encoded, &mut vec![0; 1000]).unwrap_err();
        assert!(error.contains("gzip"), "{error}");
    }
}
