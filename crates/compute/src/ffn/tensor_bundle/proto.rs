//! The two protocol-buffer messages of a tensor bundle, `BundleHeaderProto` and `BundleEntryProto`.
//! Ten fields of two messages: not worth a code generator.

use super::table::Cursor;

/// Where a tensor lies.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) dtype: u64,
    pub(super) shape: Vec<u64>,
    pub(super) shard: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) crc32c: u32,
}

/// What holds for the whole bundle.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) num_shards: u64,
}

enum Value<'a> {
    Number(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    Fixed64,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut header = Self { num_shards: 0 };
        for field in fields(bytes)? {
            match field {
                (1, Value::Number(n)) => header.num_shards = n,
                (2, Value::Number(n)) if n != 0 => {
                    return Err("the tensors are big-endian; little-endian is read".into());
                }
                _ => {}
            }
        }
        Ok(header)
    }
}

impl Entry {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut entry = Self::default();
        for field in fields(bytes)? {
            match field {
                (1, Value::Number(n)) => entry.dtype = n,
                (2, Value::Bytes(shape)) => entry.shape = parse_shape(shape)?,
                (3, Value::Number(n)) => entry.shard = n,
                (4, Value::Number(n)) => entry.offset = n,
                (5, Value::Number(n)) => entry.size = n,
                (6, Value::Fixed32(n)) => entry.crc32c = n,
                (7, _) => {
                    return Err("the tensor is stored in slices; whole tensors are read".into());
                }
                _ => {}
            }
        }
        Ok(entry)
    }
}

/// `TensorShapeProto`: repeated field 2 `dim`, of which field 1 is the size.
fn parse_shape(bytes: &[u8]) -> Result<Vec<u64>, String> {
    let mut shape = Vec::new();
    for field in fields(bytes)? {
        if let (2, Value::Bytes(dim)) = field {
            let size = fields(dim)?.into_iter().find_map(|f| match f {
                (1, Value::Number(n)) => Some(n),
                _ => None,
            });
            shape.push(size.unwrap_or(0));
        }
    }
    Ok(shape)
}

/// The fields of a message in order, by number.
fn fields(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, String> {
    let mut cursor = Cursor::new(bytes);
    let mut fields = Vec::new();
    while !cursor.bytes.is_empty() {
        let tag = cursor.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(cursor.varint()?),
            1 => {
                cursor.take(8)?;
                Value::Fixed64
            }
            2 => {
                let length = usize::try_from(cursor.varint()?).map_err(|e| e.to_string())?;
                Value::Bytes(cursor.take(length)?)
            }
            5 => {
                let b = cursor.take(4)?;
                Value::Fixed32(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            }
            wire => return Err(format!("unknown wire type {wire}")),
        };
        fields.push((tag >> 3, value));
    }
    Ok(fields)
}
