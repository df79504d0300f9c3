//! The index of a minishard: where its chunks are in the shard.

/// A chunk in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Number of the chunk.
    pub(super) chunk: u64,
    /// First byte, from the end of the shard's index.
    pub(super) start: u64,
    /// Number of bytes.
    pub(super) size: u64,
}

/// The chunks of a minishard, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Minishard {
    entries: Vec<Entry>,
}

impl Minishard {
    /// From the bytes of an index: `[3, n]` numbers, each row as differences.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let numbers = bytes.as_chunks::<8>().0;
        let count = numbers.len() / 3;
        if bytes.len() != count * 24 {
            return Err(format!("{} bytes are not a number of entries of 24", bytes.len()));
        }
        let number = |row: usize, i: usize| u64::from_le_bytes(numbers[row * count + i]);
        let (mut chunk, mut end) = (0_u64, 0_u64);
        let mut entries = Vec::with_capacity(count);
        for i in 0..count {
            chunk = chunk.wrapping_add(number(0, i));
            let start = end.wrapping_add(number(1, i));
            let size = number(2, i);
            end = start.checked_add(size).ok_or_else(|| {
                format!("number {chunk} has {size} bytes from {start}: beyond all files")
            })?;
            entries.push(Entry { chunk, start, size });
        }
        entries.sort_unstable();
        Ok(Self { entries })
    }

    /// The bytes of an index of entries in the order of their numbers.
    pub(super) fn to_bytes(entries: &[Entry]) -> Vec<u8> {
        let before = |i: usize| i.checked_sub(1).and_then(|i| entries.get(i));
        let chunks = entries.iter().enumerate().map(|(i, entry)| {
            let previous = before(i).map_or(0, |previous| previous.chunk);
            entry.chunk.wrapping_sub(previous)
        });
        let starts = entries.iter().enumerate().map(|(i, entry)| {
            let end = before(i).map_or(0, |previous| previous.start + previous.size);
            entry.start.wrapping_sub(end)
        });
        let sizes = entries.iter().map(|entry| entry.size);
        chunks.chain(starts).chain(sizes).flat_map(u64::to_le_bytes).collect()
    }

    /// The entry of a chunk, if it is there.
    pub(super) fn find(&self, chunk: u64) -> Option<Entry> {
        let at = self.entries.binary_search_by_key(&chunk, |entry| entry.chunk).ok()?;
        self.entries.get(at).copied()
    }

    /// Memory that the entries take.
    pub(super) fn bytes(&self) -> u64 {
        (self.entries.len() * size_of::<Entry>()) as u64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_is_read(
            raw in proptest::collection::btree_map(any::<u64>(), (0..1u64 << 60, 0..1u64 << 60), 0..20),
        ) {
            let entries: Vec<Entry> =
                raw.into_iter().map(|(chunk, (start, size))| Entry { chunk, start, size }).collect();
            let read = Minishard::from_bytes(&Minishard::to_bytes(&entries)).unwrap();
            prop_assert_eq!(&read.entries, &entries);
            for entry in entries {
                prop_assert_eq!(read.find(entry.chunk), Some(entry));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = Minishard::from_bytes(&bytes) {
                prop_assert_eq!(read.entries.len() * 24, bytes.len());
            }
        }
    }
}
