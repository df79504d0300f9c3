//! Compression of whole objects, chunks and indexes: gzip and zstd, decoded within a bound.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use crate::codec;

/// `minishard_index_encoding` and `data_encoding` of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    /// None.
    #[default]
    Raw,
    /// Gzip.
    Gzip,
}

/// Compression that the first bytes of an object show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Container {
    /// What an object looks like.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The content, of at most `limit` bytes.
    pub(super) fn unpack(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let over = (limit as u64).saturating_add(1);
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(bytes).take(over).read_to_end(&mut out),
            Self::Zstd => zstd::Decoder::new(bytes)
                .and_then(|decoder| decoder.take(over).read_to_end(&mut out)),
        };
        read.map_err(|e| self.damaged(&e))?;
        if out.len() > limit {
            return Err(format!("{} holds more than {limit} bytes", self.name()));
        }
        Ok(out)
    }

    /// Fills `out` with content that must be exactly as long.
    pub(super) fn unpack_into(self, bytes: &[u8], out: &mut [u8]) -> Result<(), String> {
        match self {
            Self::Gzip => codec::decode_gzip(bytes, out),
            Self::Zstd => codec::decode_zstd(bytes, out),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn damaged(self, error: &std::io::Error) -> String {
        format!("{} cannot be decoded: {error}", self.name())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn content_of_another_length_is_refused() {
        let content = vec![7; 1000];
        let packed =
            [codec::encode_gzip(&content, 6).unwrap(), zstd::bulk::compress(&content, 1).unwrap()];
        for bytes in &packed {
            let container = Container::of(bytes).unwrap();
            assert_eq!(container.unpack(bytes, 1000).unwrap(), content);
            container.unpack(bytes, 999).unwrap_err();
            let mut out = vec![0; 1000];
            container.unpack_into(bytes, &mut out).unwrap();
            assert_eq!(out, content);
            for size in [999, 1001] {
                container.unpack_into(bytes, &mut vec![0; size]).unwrap_err();
            }
            container.unpack(&bytes[..bytes.len() - 3], 1000).unwrap_err();
        }
        assert_eq!(Container::of(&content), None);
    }
}
