//! The codecs of a chunk. The common chains (plain, zstd, gzip; little-endian, C order) are coded
//! straight between the buffers; all others go through `zarrs`.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::Value;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, CodecOptions};
use zarrs::array::{Array, ArrayBytes, ArrayMetadata};
use zarrs::storage::store::MemoryStore;

use crate::codec;
use crate::error::{Error, Place, Result};

use super::codecs;

/// A chain of codecs between the voxels of one chunk shape and bytes.
pub(super) struct Chain {
    /// Holds codecs, type, fill value and names of chunks; its store stays empty.
    array: Array<MemoryStore>,
    chunk_shape: Vec<NonZeroU64>,
    direct: Option<Direct>,
}

/// Chains that are coded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direct {
    Plain,
    Zstd(i32),
    Gzip(u32),
}

impl Chain {
    /// The codecs of an array's metadata document; `path` is the array's key prefix.
    pub(super) fn new(document: &Value, path: &str, place: &Place) -> Result<Self> {
        codecs::register();
        let metadata: ArrayMetadata = serde_json::from_value(document.clone())
            .map_err(|e| Error::format(place.clone(), format!("array metadata: {e}")))?;
        // What is left to be wrong here is a codec or a fill value that `zarrs` does not know.
        let unknown = |e: String| Error::unsupported(place.clone(), e);
        let array = Array::new_with_metadata(Arc::default(), &format!("/{path}"), metadata)
            .map_err(|e| unknown(e.to_string()))?;
        let origin = vec![0; array.dimensionality()];
        let chunk_shape = array.chunk_shape(&origin).map_err(|e| unknown(e.to_string()))?;
        Ok(Self { chunk_shape: chunk_shape.to_vec(), array, direct: Direct::of(document) })
    }

    /// Key of a chunk or shard.
    pub(super) fn key(&self, stored_index: &[u64]) -> String {
        self.array.chunk_key(stored_index).to_string()
    }

    /// Bytes of one voxel of a chunk that is not there.
    pub(super) fn fill_value(&self) -> &[u8] {
        self.array.fill_value().as_ne_bytes()
    }

    pub(super) fn is_plain(&self) -> bool {
        self.direct == Some(Direct::Plain)
    }

    /// Decodes a chunk into exactly `out.len()` bytes.
    pub(super) fn decode(&self, encoded: &[u8], out: &mut [u8]) -> Result<(), String> {
        match self.direct {
            Some(Direct::Plain) => codec::copy_exact(encoded, out),
            Some(Direct::Zstd(_)) => codec::decode_zstd(encoded, out),
            Some(Direct::Gzip(_)) => codec::decode_gzip(encoded, out),
            None => {
                let decoded = self.array.codecs().decode(
                    Cow::Borrowed(encoded),
                    &self.chunk_shape,
                    self.array.data_type(),
                    self.array.fill_value(),
                    &CodecOptions::default(),
                );
                let bytes = decoded.and_then(|d| Ok(d.into_fixed()?));
                codec::copy_exact(&bytes.map_err(|e| e.to_string())?, out)
            }
        }
    }

    /// Encodes the values of a whole chunk or shard.
    pub(super) fn encode<'v>(&self, values: Cow<'v, [u8]>) -> Result<Cow<'v, [u8]>, String> {
        match self.direct {
            Some(Direct::Plain) => Ok(values),
            Some(Direct::Zstd(level)) => codec::encode_zstd(&values, level).map(Cow::Owned),
            Some(Direct::Gzip(level)) => codec::encode_gzip(&values, level).map(Cow::Owned),
            None => {
                let encoded = self.array.codecs().encode(
                    ArrayBytes::new_flen(values),
                    &self.chunk_shape,
                    self.array.data_type(),
                    self.array.fill_value(),
                    &CodecOptions::default(),
                );
                encoded.map(|bytes| Cow::Owned(bytes.into_owned())).map_err(|e| e.to_string())
            }
        }
    }
}

impl Direct {
    /// The chain of an array's document, if it is one of these.
    pub(super) fn of(document: &Value) -> Option<Self> {
        // The values would have to be turned around on machines of the other byte order.
        if cfg!(target_endian = "big") {
            return None;
        }
        match document.get("zarr_format")?.as_u64()? {
            2 => Self::of_v2(document),
            _ => Self::of_v3(document.get("codecs")?.as_array()?),
        }
    }

    fn of_v2(document: &Value) -> Option<Self> {
        let filters = document.get("filters").and_then(Value::as_array);
        let plain = document.get("order")?.as_str()? == "C"
            && filters.is_none_or(Vec::is_empty)
            && !document.get("dtype")?.as_str()?.starts_with('>');
        let compressor = document.get("compressor").filter(|c| !c.is_null());
        let chain = match compressor {
            None => Self::Plain,
            Some(c) => Self::compressor(c.get("id")?.as_str()?, c)?,
        };
        plain.then_some(chain)
    }

    fn of_v3(codecs: &[Value]) -> Option<Self> {
        let name = |c: &Value| c.as_str().or_else(|| c.get("name")?.as_str()).map(str::to_owned);
        let configuration = |c: &Value| c.get("configuration").cloned().unwrap_or(Value::Null);
        let (first, rest) = codecs.split_first()?;
        let endian = configuration(first).get("endian").cloned();
        let plain = name(first)? == "bytes" && endian.is_none_or(|e| e == "little");
        let chain = match rest {
            [] => Self::Plain,
            [codec] => Self::compressor(&name(codec)?, &configuration(codec))?,
            _ => return None,
        };
        plain.then_some(chain)
    }

    fn compressor(name: &str, configuration: &Value) -> Option<Self> {
        let level = configuration.get("level").and_then(Value::as_i64);
        let checksum = configuration.get("checksum").is_some_and(|c| c == true);
        match name {
            "zstd" if !checksum => Some(Self::Zstd(i32::try_from(level.unwrap_or(3)).ok()?)),
            "gzip" => Some(Self::Gzip(u32::try_from(level.unwrap_or(5)).ok().filter(|l| *l <= 9)?)),
            _ => None,
        }
    }
}
