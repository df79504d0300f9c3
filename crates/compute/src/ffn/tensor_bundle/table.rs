//! The sorted table of an index file, as LevelDB writes it, uncompressed.

/// Last eight bytes of every table, little-endian.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER_BYTES: usize = 48;

type Pair = (Vec<u8>, Vec<u8>);

/// All keys and values in order; the error says what is damaged.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Pair>, String> {
    let found = bytes.len();
    let start = found.checked_sub(FOOTER_BYTES).ok_or_else(|| {
        format!("truncated: expected at least {FOOTER_BYTES} bytes, found {found}")
    })?;
    let mut footer = Cursor::new(&bytes[start..]);
    let magic = u64::from_le_bytes(bytes[found - 8..].try_into().map_err(|_| "no magic number")?);
    if magic != MAGIC {
        return Err(format!("not a checkpoint index: expected magic {MAGIC:#x}, found {magic:#x}"));
    }
    let _metaindex = footer.handle()?;
    let index = block(bytes, footer.handle()?)?;
    let mut all = Vec::new();
    for (_, handle) in block_entries(index)? {
        all.extend(block_entries(block(bytes, Cursor::new(&handle).handle()?)?)?);
    }
    Ok(all)
}

/// Content of a block, without its trailer of one type byte and four checksum bytes.
fn block(bytes: &[u8], (offset, size): (u64, u64)) -> Result<&[u8], String> {
    let range = || {
        let (start, size) = (usize::try_from(offset).ok()?, usize::try_from(size).ok()?);
        let end = start.checked_add(size)?;
        let trailer = bytes.get(end..end.checked_add(5)?)?;
        Some((bytes.get(start..end)?, trailer, &bytes[start..=end]))
    };
    let (content, trailer, covered) =
        range().ok_or_else(|| format!("truncated: block at {offset} of {size} bytes"))?;
    if trailer[0] != 0 {
        return Err(format!("block at {offset} is compressed (type {}); expected 0", trailer[0]));
    }
    let stored = u32::from_le_bytes([trailer[1], trailer[2], trailer[3], trailer[4]]);
    if super::masked_crc32c(covered) != stored {
        return Err(format!("the checksum of the block at {offset} does not match"));
    }
    Ok(content)
}

/// Prefix-compressed keys with their values; ends where the restart array begins.
fn block_entries(block: &[u8]) -> Result<Vec<Pair>, String> {
    let damaged = || "a block of the table is damaged".to_owned();
    let count_at = block.len().checked_sub(4).ok_or_else(damaged)?;
    let count = u32::from_le_bytes(block[count_at..].try_into().map_err(|_| damaged())?);
    let end = (count as usize).checked_mul(4).and_then(|n| count_at.checked_sub(n));
    let mut cursor = Cursor::new(&block[..end.ok_or_else(damaged)?]);
    let (mut key, mut pairs) = (Vec::new(), Vec::new());
    while !cursor.bytes.is_empty() {
        let (shared, unshared, length) = (cursor.size()?, cursor.size()?, cursor.size()?);
        if shared > key.len() {
            return Err(damaged());
        }
        key.truncate(shared);
        key.extend_from_slice(cursor.take(unshared)?);
        pairs.push((key.clone(), cursor.take(length)?.to_vec()));
    }
    Ok(pairs)
}

/// Reads from the front of a slice.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (head, rest) =
            self.bytes.split_at_checked(count).ok_or("a length goes past the end of its block")?;
        self.bytes = rest;
        Ok(head)
    }

    /// An unsigned number, seven bits a byte, lowest first.
    pub(super) fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is longer than 64 bits".into())
    }

    fn size(&mut self) -> Result<usize, String> {
        usize::try_from(self.varint()?).map_err(|e| e.to_string())
    }

    /// Offset and size of a block.
    fn handle(&mut self) -> Result<(u64, u64), String> {
        Ok((self.varint()?, self.varint()?))
    }
}
