//! The two features of a `tf.train.Example` that coordinates have, read from the protobuf wire format:
//! Example { Features features = 1 }, Features { map<string, Feature> feature = 1 }, Feature { BytesList = 1
//! or Int64List = 3 }, lists { repeated value = 1 }.

/// What a record says.
#[derive(Debug, PartialEq)]
pub(super) struct Example {
    pub(super) centre_xyz: [i64; 3],
    pub(super) volume: Vec<u8>,
}

type Parsed<T> = Result<T, String>;

impl Example {
    /// Reads a record. Other features are passed over.
    pub(super) fn parse(bytes: &[u8]) -> Parsed<Self> {
        let (mut centre, mut volume) = (None, None);
        for features in messages(bytes, 1)? {
            for entry in messages(features, 1)? {
                let key = messages(entry, 1)?.pop().unwrap_or_default();
                let feature = messages(entry, 2)?.pop().unwrap_or_default();
                match key {
                    b"center" => centre = Some(integers(feature)?),
                    b"label_volume_name" => volume = text(feature)?,
                    _ => {}
                }
            }
        }
        let centre = centre.ok_or("center is missing")?;
        let found = centre.len();
        let centre_xyz =
            centre.try_into().map_err(|_| format!("center: expected 3 numbers, found {found}"))?;
        Ok(Self { centre_xyz, volume: volume.ok_or("label_volume_name is missing")? })
    }
}

/// The first value of a BytesList.
fn text(feature: &[u8]) -> Parsed<Option<Vec<u8>>> {
    let mut found = None;
    for list in messages(feature, 1)? {
        found = found.or(messages(list, 1)?.first().map(|v| v.to_vec()));
    }
    Ok(found)
}

/// The values of an Int64List, packed or not.
fn integers(feature: &[u8]) -> Parsed<Vec<i64>> {
    let mut values = Vec::new();
    for list in messages(feature, 3)? {
        for field in fields(list)? {
            match field {
                (1, Value::Varint(value)) => values.push(value as i64),
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        values.push(varint(&mut packed)? as i64);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(values)
}

/// All values of a field that are messages, strings or bytes.
fn messages(bytes: &[u8], wanted: u64) -> Parsed<Vec<&[u8]>> {
    let all = fields(bytes)?.into_iter();
    Ok(all
        .filter_map(|(number, value)| match value {
            Value::Bytes(bytes) if number == wanted => Some(bytes),
            _ => None,
        })
        .collect())
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

fn fields(mut bytes: &[u8]) -> Parsed<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut bytes)?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            5 => take(&mut bytes, 4).map(|_| Value::Fixed)?,
            kind => return Err(format!("not a tf.train.Example: field of kind {kind}")),
        };
        found.push((tag >> 3, value));
    }
    Ok(found)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Parsed<&'a [u8]> {
    let there = bytes.len();
    let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (taken, rest) = split
        .ok_or_else(|| format!("not a tf.train.Example: a field of {length} bytes in {there}"))?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Parsed<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) =
            bytes.split_first().ok_or("not a tf.train.Example: it ends in a number")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("not a tf.train.Example: a number of more than 64 bits".to_owned())
}

/// The writer of the tests.
#[cfg(test)]
#[path = "../../../tests/tests/varint.rs"]
mod written;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::written::varint as written;
    use super::*;

    fn field(number: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        bytes.extend(written(body.len() as u64));
        bytes.extend(body);
        bytes
    }

    fn entry(key: &str, feature: &[u8]) -> Vec<u8> {
        field(1, &[field(1, key.as_bytes()), field(2, feature)].concat())
    }

    /// A record as TensorFlow writes it.
    pub(in super::super) fn example(centre_xyz: [i64; 3], volume: &str) -> Vec<u8> {
        let packed: Vec<u8> = centre_xyz.iter().flat_map(|v| written(*v as u64)).collect();
        let centre = entry("center", &field(3, &field(1, &packed)));
        let name = entry("label_volume_name", &field(1, &field(1, volume.as_bytes())));
        field(1, &[centre, name].concat())
    }

    #[test]
    fn packed_and_single_numbers_are_read() {
        let parsed = Example::parse(&example([1, 300, -2], "name")).unwrap();
        assert_eq!(parsed, Example { centre_xyz: [1, 300, -2], volume: b"name".to_vec() });
        let singly: Vec<u8> = [7, 8, 9].into_iter().flat_map(|v| [8, v]).collect();
        let centre = entry("center", &field(3, &singly));
        let name = entry("label_volume_name", &field(1, &field(1, b"n")));
        let other = entry("more", &[13, 0, 0, 0, 0]);
        let parsed = Example::parse(&field(1, &[centre, other, name].concat())).unwrap();
        assert_eq!(parsed.centre_xyz, [7, 8, 9]);
    }

    #[test]
    fn what_is_missing_or_cut_is_said() {
        let whole = example([1, 2, 3], "name");
        for cut in 0..whole.len() {
            assert!(Example::parse(&whole[..cut]).is_err(), "{cut}");
        }
        let two = entry("center", &field(3, &field(1, &[1, 2])));
        assert!(
            Example::parse(&field(1, &two)).unwrap_err().contains("expected 3 numbers, found 2")
        );
    }
}
