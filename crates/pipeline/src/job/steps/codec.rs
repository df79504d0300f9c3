//! Names of compressions.

use std::fmt;
use std::str::FromStr;

use exavox_io::volume::Codec;
use serde::{Deserialize, Serialize};

/// A compression by its name: `raw`, `zstd`, `zstd:7`, `blosc`, `blosc:5`, `gzip`, `gzip:5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecName(pub Codec);

impl FromStr for CodecName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let level_in = |default: i32, low: i32, high: i32| match level.map(str::parse) {
            None => Ok(default),
            Some(Ok(level)) if (low..=high).contains(&level) => Ok(level),
            Some(_) => Err(format!("the level of {name} is a number from {low} to {high}")),
        };
        let codec = match name {
            "raw" if level.is_none() => Codec::Raw,
            "zstd" => Codec::Zstd(level_in(3, 1, 22)?),
            "gzip" => Codec::Gzip(level_in(6, 0, 9)?.unsigned_abs()),
            "blosc" => Codec::Blosc(level_in(5, 0, 9)?.unsigned_abs()),
            _ => return Err("expected raw, zstd[:LEVEL], blosc[:LEVEL] or gzip[:LEVEL]".to_owned()),
        };
        Ok(Self(codec))
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Codec::Raw => f.write_str("raw"),
            Codec::Zstd(level) => write!(f, "zstd:{level}"),
            Codec::Blosc(level) => write!(f, "blosc:{level}"),
            Codec::Gzip(level) => write!(f, "gzip:{level}"),
        }
    }
}

impl Serialize for CodecName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CodecName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for text in ["raw", "zstd:7", "blosc:0", "gzip:9"] {
            assert_eq!(text.parse::<CodecName>().unwrap().to_string(), text);
        }
        assert_eq!("zstd".parse(), Ok(CodecName(Codec::Zstd(3))));
        for text in ["", "raw:1", "zstd:0", "zstd:23", "gzip:-1", "gzip:x", "lzma"] {
            assert!(text.parse::<CodecName>().is_err(), "{text}");
        }
    }
}
