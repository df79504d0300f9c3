//! Numbers as protobuf and Thrift write them.

/// Seven bits a byte, the lowest first; all bytes but the last have the highest bit.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
