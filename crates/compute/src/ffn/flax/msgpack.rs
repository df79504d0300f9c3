//! msgpack as flax writes it, as a tree without the numbers of its arrays. Nothing takes more memory
//! than the file has bytes for. Specification: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use std::ops::Range;

use rmp::Marker;

/// Maps inside maps; a training state has less than ten.
const MAX_DEPTH: usize = 64;
/// Entries of all maps together; a training state has thousands.
const MAX_ENTRIES: usize = 1 << 20;
/// Axes of an array, as in NumPy.
const MAX_RANK: usize = 64;
/// Bytes of a name in a tree: names of parameters are short, and each leaf repeats those above it.
const MAX_KEY: usize = 256;
/// Pieces of an array; flax cuts at a gigabyte.
const MAX_CHUNKS: usize = 4096;

/// A value of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Lists are maps with numbers as keys, as flax has them.
    Map(Vec<(String, Value)>),
    Array(Array),
    Integer(u64),
    /// Text, numbers and what else networks are not made of.
    Other,
}

/// An array whose numbers are still in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    /// NumPy's name of the type.
    pub(super) dtype: String,
    /// Where the numbers are, C order: in one piece, or in several if flax has cut the array.
    pub(super) parts: Vec<Range<usize>>,
}

/// Reads a whole file.
///
/// # Errors
/// What is wrong, and at which byte.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut parser = Parser { bytes, at: 0, end: bytes.len(), depth: 0, entries: 0 };
    let value = parser.value()?;
    if parser.at != parser.end {
        return Err(format!("byte {}: expected the end of the file", parser.at));
    }
    Ok(value)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    depth: usize,
    entries: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Value, String> {
        let marker = Marker::from_u8(self.number::<1>()? as u8);
        match marker {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.map(marker),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => self.list(marker),
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => self.extension(marker),
            Marker::FixPos(value) => Ok(Value::Integer(u64::from(value))),
            Marker::U8 => self.number::<1>().map(Value::Integer),
            Marker::U16 => self.number::<2>().map(Value::Integer),
            Marker::U32 => self.number::<4>().map(Value::Integer),
            Marker::U64 => self.number::<8>().map(Value::Integer),
            _ => {
                let length = self.scalar_length(marker)?;
                self.take(length).map(|_| Value::Other)
            }
        }
    }

    /// Bytes behind the marker of something without a use here.
    fn scalar_length(&mut self, marker: Marker) -> Result<usize, String> {
        Ok(match marker {
            Marker::Null | Marker::True | Marker::False | Marker::FixNeg(_) => 0,
            Marker::I8 => 1,
            Marker::I16 => 2,
            Marker::I32 | Marker::F32 => 4,
            Marker::I64 | Marker::F64 => 8,
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 | Marker::Bin8 => self.number::<1>()? as usize,
            Marker::Str16 | Marker::Bin16 => self.number::<2>()? as usize,
            Marker::Str32 | Marker::Bin32 => self.number::<4>()? as usize,
            _ => return Err(format!("byte {}: not msgpack", self.at - 1)),
        })
    }

    fn map(&mut self, marker: Marker) -> Result<Value, String> {
        let count = match marker {
            Marker::FixMap(count) => usize::from(count),
            Marker::Map16 => self.number::<2>()? as usize,
            _ => self.number::<4>()? as usize,
        };
        self.enter(count, 2)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = self.key()?;
            entries.push((key, self.value()?));
        }
        self.depth -= 1;
        match chunked(&entries) {
            Some(array) => array.map(Value::Array),
            None => Ok(Value::Map(entries)),
        }
    }

    fn list(&mut self, marker: Marker) -> Result<Value, String> {
        let count = self.list_length(marker)?;
        self.enter(count, 1)?;
        let mut entries = Vec::new();
        for number in 0..count {
            entries.push((number.to_string(), self.value()?));
        }
        self.depth -= 1;
        Ok(Value::Map(entries))
    }

    fn list_length(&mut self, marker: Marker) -> Result<usize, String> {
        match marker {
            Marker::FixArray(count) => Ok(usize::from(count)),
            Marker::Array16 => Ok(self.number::<2>()? as usize),
            Marker::Array32 => Ok(self.number::<4>()? as usize),
            _ => Err(format!("byte {}: expected a list", self.at - 1)),
        }
    }

    /// Before so many entries are read, each of at least so many bytes.
    fn enter(&mut self, count: usize, bytes: usize) -> Result<(), String> {
        self.depth += 1;
        self.entries = self.entries.saturating_add(count);
        let (at, left) = (self.at, self.end - self.at);
        if self.depth > MAX_DEPTH {
            return Err(format!("byte {at}: more than {MAX_DEPTH} maps inside each other"));
        }
        if count.saturating_mul(bytes) > left {
            return Err(format!("byte {at}: {count} entries do not fit into {left} bytes"));
        }
        if self.entries > MAX_ENTRIES {
            return Err(format!("byte {at}: more than {MAX_ENTRIES} entries"));
        }
        Ok(())
    }

    fn key(&mut self) -> Result<String, String> {
        let at = self.at;
        let marker = Marker::from_u8(self.number::<1>()? as u8);
        if let Marker::FixPos(number) = marker {
            return Ok(number.to_string());
        }
        let length = self.scalar_length(marker)?;
        if length > MAX_KEY {
            return Err(format!("byte {at}: a key of {length} bytes, expected at most {MAX_KEY}"));
        }
        let text = std::str::from_utf8(self.take(length)?);
        text.map(str::to_owned).map_err(|_| format!("byte {at}: a key that is no text"))
    }

    fn extension(&mut self, marker: Marker) -> Result<Value, String> {
        let length = match marker {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => self.number::<1>()? as usize,
            Marker::Ext16 => self.number::<2>()? as usize,
            _ => self.number::<4>()? as usize,
        };
        let code = self.number::<1>()?;
        let start = self.at;
        self.take(length)?;
        // 1: an array; 3: a number of NumPy, which is an array without axes; 2: a complex number.
        if code != 1 && code != 3 {
            return Ok(Value::Other);
        }
        let (end, depth) = (self.at, self.depth + 1);
        if depth > MAX_DEPTH {
            return Err(format!("byte {start}: more than {MAX_DEPTH} arrays inside each other"));
        }
        let mut inner = Parser { bytes: self.bytes, at: start, end, depth, entries: 0 };
        inner.array().map(Value::Array)
    }

    /// `(shape, type, numbers)`, up to the end.
    fn array(&mut self) -> Result<Array, String> {
        let at = self.at;
        let wrong = |why: &str| format!("byte {at}: an array {why}");
        let marker = Marker::from_u8(self.number::<1>()? as u8);
        if self.list_length(marker)? != 3 {
            return Err(wrong("is not (shape, type, numbers)"));
        }
        let Value::Map(axes) = self.value()? else { return Err(wrong("has no shape")) };
        let shape = sizes(&axes).ok_or_else(|| wrong("has no shape"))?;
        let dtype = self.key()?;
        let marker = Marker::from_u8(self.number::<1>()? as u8);
        let length = self.scalar_length(marker)?;
        let part = self.at..self.at + length;
        self.take(length)?;
        Ok(Array { shape, dtype, parts: std::iter::once(part).collect() })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (at, left) = (self.at, self.end - self.at);
        if length > left {
            return Err(format!("byte {at}: truncated: expected {length} bytes, found {left}"));
        }
        self.at += length;
        Ok(&self.bytes[at..at + length])
    }

    /// A number of so many bytes, the most significant first.
    fn number<const BYTES: usize>(&mut self) -> Result<u64, String> {
        Ok(self.take(BYTES)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

fn sizes(entries: &[(String, Value)]) -> Option<Vec<usize>> {
    let size = |(_, value): &(String, Value)| match value {
        Value::Integer(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    entries.iter().map(size).collect::<Option<Vec<_>>>().filter(|all| all.len() <= MAX_RANK)
}

/// An array of 2^30 bytes and more, which flax writes as a map of pieces; `None` if it is a plain map.
fn chunked(entries: &[(String, Value)]) -> Option<Result<Array, String>> {
    entry(entries, "__msgpack_chunked_array__")?;
    let whole = || {
        let (Value::Map(shape), Value::Map(chunks)) =
            (entry(entries, "shape")?, entry(entries, "chunks")?)
        else {
            return None;
        };
        if shape.len() > MAX_RANK || chunks.len() > MAX_CHUNKS {
            return None;
        }
        let axis = |number: usize| match entry(shape, &number.to_string())? {
            Value::Integer(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        let shape = (0..shape.len()).map(axis).collect::<Option<Vec<_>>>()?;
        let (mut dtype, mut parts) = (String::new(), Vec::new());
        for number in 0..chunks.len() {
            let Value::Array(chunk) = entry(chunks, &number.to_string())? else { return None };
            if number > 0 && chunk.dtype != dtype {
                return None;
            }
            dtype.clone_from(&chunk.dtype);
            parts.extend_from_slice(&chunk.parts);
        }
        Some(Array { shape, dtype, parts })
    };
    Some(whole().ok_or_else(|| "an array in pieces is damaged".to_owned()))
}

/// The value of a name.
pub(super) fn entry<'v>(entries: &'v [(String, Value)], name: &str) -> Option<&'v Value> {
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}
