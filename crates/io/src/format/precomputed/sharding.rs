//! The `sharding` of a scale: which shard and minishard a chunk is in.

use serde::{Deserialize, Serialize};

use super::compression::Compression;
use super::murmur::murmurhash3_x86_128;

/// The only kind of sharding there is.
const KIND: &str = "neuroglancer_uint64_sharded_v1";

/// `sharding` of a scale in `info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sharding {
    #[serde(rename = "@type")]
    kind: String,
    /// Chunks whose numbers differ in so many low bits only are in the same minishard.
    pub(super) preshift_bits: u32,
    pub(super) hash: Hash,
    pub(super) minishard_bits: u32,
    pub(super) shard_bits: u32,
    #[serde(default)]
    pub(super) minishard_index_encoding: Compression,
    #[serde(default)]
    pub(super) data_encoding: Compression,
}

/// How numbers of chunks are spread over shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hash {
    /// Not: a shard is a box of chunks.
    #[serde(rename = "identity")]
    Identity,
    /// MurmurHash3_x86_128.
    #[serde(rename = "murmurhash3_x86_128")]
    Murmur,
}

impl Sharding {
    /// Shards that are boxes of `2^chunk_bits` chunks of a grid whose numbers have `total_bits` bits.
    pub(super) fn of_boxes(total_bits: u32, chunk_bits: u32, compression: Compression) -> Self {
        // 512 chunks in a minishard: its index, which a reader takes whole, has 12 KiB.
        let preshift_bits = chunk_bits.min(9);
        Self {
            kind: KIND.to_owned(),
            preshift_bits,
            hash: Hash::Identity,
            minishard_bits: chunk_bits - preshift_bits,
            shard_bits: total_bits - chunk_bits,
            minishard_index_encoding: compression,
            data_encoding: compression,
        }
    }

    /// Refuses what the specification does not allow.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.kind != KIND {
            return Err(format!("sharding '{}', known is {KIND}", self.kind));
        }
        let Self { preshift_bits, minishard_bits, shard_bits, .. } = self;
        let fits = *preshift_bits <= 64 && *minishard_bits <= 32 && *shard_bits <= 64;
        if !fits || minishard_bits + shard_bits > 64 {
            return Err(format!(
                "sharding by {preshift_bits}, {minishard_bits} and {shard_bits} bits: a number has 64"
            ));
        }
        Ok(())
    }

    /// Shard and minishard of a chunk.
    pub(super) fn place_of(&self, chunk: u64) -> (u64, u64) {
        let shifted = shift(chunk, self.preshift_bits);
        let hashed = match self.hash {
            Hash::Identity => shifted,
            Hash::Murmur => murmurhash3_x86_128(shifted),
        };
        let low = |value: u64, bits: u32| value & !u64::MAX.checked_shl(bits).unwrap_or(0);
        let shard = low(shift(hashed, self.minishard_bits), self.shard_bits);
        (shard, low(hashed, self.minishard_bits))
    }

    /// Name of a shard's object in the directory of the scale.
    pub(super) fn file_name(&self, shard: u64) -> String {
        let digits = self.shard_bits.div_ceil(4) as usize;
        format!("{shard:0digits$x}.shard")
    }

    /// Minishards of a shard.
    pub(super) fn minishards(&self) -> u64 {
        1 << self.minishard_bits
    }

    /// Bytes of a shard's index, which all offsets count from.
    pub(super) fn index_bytes(&self) -> u64 {
        16 * self.minishards()
    }

    /// Low bits of a chunk's number that do not tell its shard, if shards are boxes.
    pub(super) fn box_bits(&self) -> Option<u32> {
        (self.hash == Hash::Identity).then_some(self.preshift_bits + self.minishard_bits)
    }
}

fn shift(value: u64, bits: u32) -> u64 {
    value.checked_shr(bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharding(preshift_bits: u32, hash: Hash, minishard_bits: u32, shard_bits: u32) -> Sharding {
        let boxes = Sharding::of_boxes(0, 0, Compression::Raw);
        Sharding { preshift_bits, hash, minishard_bits, shard_bits, ..boxes }
    }

    #[test]
    fn bits_tell_minishard_and_shard() {
        let identity = sharding(2, Hash::Identity, 3, 4);
        assert_eq!(identity.place_of(0b111_0101_0111), (0b1010, 0b101));
        assert_eq!((identity.index_bytes(), identity.file_name(10)), (128, "a.shard".to_owned()));
        assert_eq!(sharding(0, Hash::Identity, 0, 9).file_name(10), "00a.shard");
        assert_eq!(sharding(0, Hash::Identity, 0, 0).file_name(0), "0.shard");
        assert_eq!(sharding(64, Hash::Identity, 0, 64).place_of(u64::MAX), (0, 0));
        assert_eq!(sharding(0, Hash::Identity, 0, 64).place_of(u64::MAX), (u64::MAX, 0));
    }

    #[test]
    fn impossible_bits_are_refused() {
        assert!(sharding(64, Hash::Murmur, 32, 32).check().is_ok());
        for (preshift, minishard, shard) in [(65, 0, 0), (0, 33, 0), (0, 32, 33), (0, 0, u32::MAX)]
        {
            assert!(sharding(preshift, Hash::Identity, minishard, shard).check().is_err());
        }
    }
}
