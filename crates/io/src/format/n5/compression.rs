//! Compression of blocks, each decoded into exactly the known size.

use serde_json::{Value, json};
use zarrs::array::codec::{BloscCompressor, BloscShuffleMode, blosc_compress_bytes};

use crate::codec;
use crate::error::{Error, Place, Result};
use crate::volume::Codec;

mod lz4;

/// Most memory that an xz block may ask for: its dictionary, 64 MiB at the highest preset.
const XZ_KIB: u32 = 128 << 10;

/// Compression of the blocks of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Raw,
    Gzip {
        level: u32,
    },
    /// `gzip` with `useZlib`.
    Zlib,
    Zstd {
        level: i32,
    },
    Blosc {
        level: u32,
    },
    Lz4,
    Xz,
    Bzip2,
}

impl Compression {
    /// Names that the attribute `type` can have.
    pub(super) const ALL_TYPES: [&'static str; 8] =
        ["raw", "gzip", "zlib", "zstd", "blosc", "lz4", "xz", "bzip2"];

    /// The compression of a name, as it is read.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "raw" => Self::Raw,
            "gzip" => Self::Gzip { level: 6 },
            "zlib" => Self::Zlib,
            "zstd" => Self::Zstd { level: 3 },
            "blosc" => Self::Blosc { level: 5 },
            "lz4" => Self::Lz4,
            "xz" => Self::Xz,
            "bzip2" => Self::Bzip2,
            _ => return None,
        })
    }

    /// Reads the attribute `compression` of a dataset, or the older `compressionType`.
    ///
    /// # Errors
    /// [`Error::Format`] if there is none, [`Error::Unsupported`] if it is not known.
    pub(super) fn parse(attributes: &Value, place: &Place) -> Result<Self> {
        let compression = &attributes["compression"];
        let old = attributes.get("compressionType").and_then(Value::as_str);
        let Some(name) = compression.get("type").and_then(Value::as_str).or(old) else {
            let message = "attribute compression: expected an object with a type";
            return Err(Error::format(place.clone(), message));
        };
        match Self::named(name) {
            Some(Self::Gzip { .. }) if compression["useZlib"] == json!(true) => Ok(Self::Zlib),
            Some(known) => Ok(known),
            None => {
                let known = Self::ALL_TYPES.join(", ");
                let message = format!("compression '{name}'; known are {known}");
                Err(Error::unsupported(place.clone(), message))
            }
        }
    }

    /// The compression of new blocks.
    ///
    /// # Errors
    /// A level that does not exist.
    pub(super) fn for_writing(codec: Codec) -> Result<Self, String> {
        match codec {
            Codec::Raw => Ok(Self::Raw),
            Codec::Gzip(level) if level <= 9 => Ok(Self::Gzip { level }),
            Codec::Zstd(level) if (1..=22).contains(&level) => Ok(Self::Zstd { level }),
            Codec::Blosc(level) if level <= 9 => Ok(Self::Blosc { level }),
            Codec::Gzip(level) => Err(format!("gzip level {level}; expected 0 to 9")),
            Codec::Zstd(level) => Err(format!("zstd level {level}; expected 1 to 22")),
            Codec::Blosc(level) => Err(format!("blosc level {level}; expected 0 to 9")),
        }
    }

    /// The attribute `compression`.
    pub(super) fn attribute(self) -> Value {
        match self {
            Self::Gzip { level } => json!({ "type": "gzip", "level": level, "useZlib": false }),
            Self::Zstd { level } => json!({ "type": "zstd", "level": level }),
            Self::Blosc { level } => json!({
                "type": "blosc", "cname": "lz4", "clevel": level, "shuffle": 1, "blocksize": 0,
            }),
            other => json!({ "type": other.name() }),
        }
    }

    /// Name of the codec, as metadata give it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Gzip { .. } => "gzip",
            Self::Zlib => "zlib",
            Self::Zstd { .. } => "zstd",
            Self::Blosc { .. } => "blosc",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// Decodes `data` into exactly `out.len()` bytes.
    ///
    /// # Errors
    /// What is wrong, expected and found.
    pub(super) fn decode(self, data: &[u8], out: &mut [u8]) -> Result<(), String> {
        match self {
            Self::Raw => codec::copy_exact(data, out),
            Self::Gzip { .. } => codec::decode_gzip(data, out),
            Self::Zlib => codec::decode_zlib(data, out),
            Self::Zstd { .. } => codec::decode_zstd(data, out),
            Self::Blosc { .. } => codec::decode_blosc(data, out),
            Self::Lz4 => lz4::decode(data, out),
            Self::Xz => {
                let decoder = lzma_rust2::XzReader::new_mem_limit(data, true, XZ_KIB);
                codec::read_exactly(decoder, out, "xz")
            }
            Self::Bzip2 => codec::read_exactly(bzip2::read::BzDecoder::new(data), out, "bzip2"),
        }
    }

    /// Adds the encoded `values`, of `size` bytes each, to `out`.
    ///
    /// # Errors
    /// What the compressor says; a compression that is read only.
    pub(super) fn encode(
        self,
        values: &[u8],
        size: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        match self {
            Self::Raw => out.extend_from_slice(values),
            Self::Gzip { level } => out.extend(codec::encode_gzip(values, level)?),
            Self::Zstd { level } => {
                let encoded = codec::encode_zstd(values, level)?;
                out.extend_from_slice(&encoded);
                codec::recycle(encoded);
            }
            Self::Blosc { level } => out.extend(encode_blosc(values, size, level)?),
            other => return Err(format!("{} is read, not written", other.name())),
        }
        Ok(())
    }
}

fn encode_blosc(values: &[u8], size: usize, level: u32) -> Result<Vec<u8>, String> {
    let level = u8::try_from(level).ok().and_then(|level| level.try_into().ok());
    let level = level.ok_or("blosc: no such level")?;
    let (shuffle, compressor) = (BloscShuffleMode::Shuffle, BloscCompressor::LZ4);
    blosc_compress_bytes(values, level, shuffle, size, compressor, 0, 1)
        .map_err(|e| format!("blosc: {e}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn more_than_expected_is_refused_before_memory_is_taken() {
        let million = vec![0; 1 << 20];
        for codec in [Codec::Gzip(1), Codec::Zstd(1), Codec::Blosc(1), Codec::Raw] {
            let compression = Compression::for_writing(codec).unwrap();
            let mut encoded = Vec::new();
            compression.encode(&million, 1, &mut encoded).unwrap();
            for size in [1 << 10, 1 << 21] {
                let error = compression.decode(&encoded, &mut vec![0; size]).unwrap_err();
                assert!(error.contains("expected"), "{codec:?}: {error}");
            }
            let mut out = vec![1; 1 << 20];
            compression.decode(&encoded, &mut out).unwrap();
            assert!(out == million);
        }
    }

    /// The values 1 to 6 as the specification prints them, big-endian `uint16`.
    const VALUES: [u8; 12] = [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6];
    const BZIP2: &str = "425a68393141592653 59023e0dd200000040007f00200031 \
        0c010d31a87394337c5dc914e1424008f83748";
    const GZIP: &str = "1f8b08000000000000006360646062606660616065600300aaea6dbf0c000000";
    const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a3 \
        01000b00010002000300040005000600 0d0309ca34ec15a70001240ca618d8d81fb6f37d010000000004595a";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
        let byte =
            |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn blocks_of_the_specification_are_decoded_and_damage_is_seen() {
        for (name, hex) in [("bzip2", BZIP2), ("gzip", GZIP), ("xz", XZ)] {
            let (compression, data) = (Compression::named(name).unwrap(), bytes(hex));
            let mut out = [0xAA; 12];
            compression.decode(&data, &mut out).unwrap();
            assert_eq!(out, VALUES, "{name}");
            for end in 0..data.len() {
                let cut = compression.decode(&data[..end], &mut [0; 12]);
                assert!(cut.is_err(), "{name} cut to {end}");
            }
            for at in 0..data.len() {
                let mut damaged = data.clone();
                damaged[at] ^= 0x55;
                let mut out = [0; 12];
                // Fields that say nothing of the values (time, system) may differ.
                let decoded = compression.decode(&damaged, &mut out);
                assert!(decoded.is_err() || out == VALUES, "{name} damaged at {at}");
            }
        }
    }

    #[test]
    fn an_xz_dictionary_of_gigabytes_is_refused() {
        // Stream header, then a block header whose dictionary is 4 GiB - 1 (property 40).
        let mut data = vec![0xFD, b'7', b'z', b'X', b'Z', 0, 0, 1, 0x69, 0x22, 0xDE, 0x36];
        let header = [2, 0, 0x21, 1, 40, 0, 0, 0];
        data.extend(header);
        let mut crc = flate2::Crc::new();
        crc.update(&header);
        data.extend(crc.sum().to_le_bytes());
        data.extend([0; 32]);
        let error = Compression::Xz.decode(&data, &mut [0; 16]).unwrap_err();
        assert!(error.contains("mem_limit"), "{error}");
    }
}
