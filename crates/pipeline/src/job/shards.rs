//! Shards of work: ranges of blocks, one for each task of an array.

use std::ops::Range;

use crate::error::{Error, Result};

/// Blocks of shard `shard` of `shards`, which differ by at most one block in size.
///
/// # Errors
/// [`Error::Settings`] if there is no such shard.
pub fn shard_range(blocks: u64, shard: u64, shards: u64) -> Result<Range<u64>> {
    if shard >= shards {
        let message = format!("expected a number below {shards}");
        return Err(Error::settings(format!("shard {shard}"), message));
    }
    let cut = |n: u64| (u128::from(blocks) * u128::from(n) / u128::from(shards)) as u64;
    Ok(cut(shard)..cut(shard + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shards_tile_the_blocks() {
        for (blocks, shards) in [(0, 3), (1, 3), (10, 3), (100, 7), (u64::MAX, 5)] {
            let mut end = 0;
            for shard in 0..shards {
                let range = shard_range(blocks, shard, shards).unwrap();
                assert_eq!(range.start, end);
                end = range.end;
                let even = blocks / shards;
                assert!((even..=even + 1).contains(&(range.end - range.start)));
            }
            assert_eq!(end, blocks);
        }
        assert!(shard_range(10, 3, 3).is_err() && shard_range(10, 0, 0).is_err());
    }
}
