//! Values as 32-bit integers in the same order.

use exavox_io::Element;

/// An element type whose values map to `i32` so that the order stays. Types of 64 bits do not fit;
/// for them the keys are meaningless and never used.
pub(super) trait Ordered: Element {
    /// The key; NaN comes after everything.
    fn key_nan_highest(self) -> i32;
    /// The key; NaN comes before everything.
    fn key_nan_lowest(self) -> i32;
    /// The value of a key; either key of NaN gives NaN.
    fn from_key(key: i32) -> Self;
    /// The low 32 bits of an integer, sign extended: sums of words are sums of values modulo 2^32.
    fn word(self) -> i32;
}

macro_rules! integer {
    ($($type:ty, $offset:expr;)*) => {$(
        impl Ordered for $type {
            fn key_nan_highest(self) -> i32 {
                self.word() ^ $offset
            }
            fn key_nan_lowest(self) -> i32 {
                self.word() ^ $offset
            }
            fn from_key(key: i32) -> Self {
                (key ^ $offset) as Self
            }
            fn word(self) -> i32 {
                self as i32
            }
        }
    )*};
}

integer! {
    u8, 0;
    u16, 0;
    u32, i32::MIN;
    u64, 0;
    i8, 0;
    i16, 0;
    i32, 0;
    i64, 0;
}

impl Ordered for f32 {
    fn key_nan_highest(self) -> i32 {
        if self.is_nan() { i32::MAX } else { key(self) }
    }

    fn key_nan_lowest(self) -> i32 {
        if self.is_nan() { i32::MIN } else { key(self) }
    }

    fn from_key(key: i32) -> Self {
        match key {
            i32::MAX | i32::MIN => Self::NAN,
            _ => Self::from_bits((key ^ ((key >> 31) & i32::MAX)) as u32),
        }
    }

    fn word(self) -> i32 {
        self as i32
    }
}

/// Bits of a negative float fall as the value rises: all but the sign are flipped. Minus zero
/// becomes zero first, since the two are equal.
fn key(value: f32) -> i32 {
    let bits = (value + 0.0).to_bits() as i32;
    bits ^ ((bits >> 31) & i32::MAX)
}

impl Ordered for f64 {
    fn key_nan_highest(self) -> i32 {
        0
    }

    fn key_nan_lowest(self) -> i32 {
        0
    }

    fn from_key(_key: i32) -> Self {
        0.0
    }

    fn word(self) -> i32 {
        0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_floats_rise_with_the_floats_and_come_back() {
        let rising = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::INFINITY];
        for pair in rising.windows(2) {
            assert!(pair[0].key_nan_highest() < pair[1].key_nan_highest(), "{pair:?}");
        }
        for value in rising {
            assert_eq!(f32::from_key(value.key_nan_lowest()), value);
        }
        assert_eq!((-0.0f32).key_nan_highest(), 0.0f32.key_nan_highest());
        assert!(f32::from_key(f32::NAN.key_nan_highest()).is_nan());
        assert!(f32::NAN.key_nan_highest() > f32::INFINITY.key_nan_highest());
    }
}
