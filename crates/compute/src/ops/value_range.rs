//! A range of values, both ends included, that is exact for every type of voxel.

use std::fmt;
use std::str::FromStr;

use exavox_io::Element;

use crate::error::{Error, Result};

/// Values from `low` to `high`, both included. NaN is in no range.
///
/// Ends are whole numbers or floats, so that labels of 64 bits are told apart as well as fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRange {
    low: Number,
    high: Number,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl ValueRange {
    /// From one float to another; infinities are ends like any other.
    ///
    /// # Errors
    /// [`Error::Usage`] if an end is NaN, or `low` is above `high`.
    pub fn new(low: f64, high: f64) -> Result<Self> {
        Self::of(Number::Float(low), Number::Float(high))
    }

    /// From one whole number to another.
    ///
    /// # Errors
    /// [`Error::Usage`] if `low` is above `high`.
    pub fn of_integers(low: i128, high: i128) -> Result<Self> {
        Self::of(Number::Whole(low), Number::Whole(high))
    }

    fn of(low: Number, high: Number) -> Result<Self> {
        let nan = |n: Number| matches!(n, Number::Float(v) if v.is_nan());
        let above = match (low, high) {
            (Number::Whole(low), Number::Whole(high)) => low > high,
            _ => low.to_f64() > high.to_f64(),
        };
        let range = Self { low, high };
        if nan(low) || nan(high) || above {
            return Err(Error::Usage(format!("range {range} is empty; expected LOW:HIGH")));
        }
        Ok(range)
    }

    /// The smallest and the largest value of a type inside of the range.
    ///
    /// # Errors
    /// [`Error::Usage`] if the type has no value there, such as 300 to 400 for `uint8`.
    pub(crate) fn ends<T: Element>(&self) -> Result<(T, T)> {
        let none = || Error::Usage(format!("range {self} holds no value of {}", T::DTYPE));
        let (low, high) = match T::DTYPE.kind() {
            'f' => (self.low.float_up::<T>(), self.high.float_down::<T>()),
            _ => {
                let (low, high) = (self.low.ceil(), self.high.floor());
                let (low, high) = clamp::<T>(low, high).ok_or_else(none)?;
                return Ok((low, high));
            }
        };
        if low <= high { Ok((low, high)) } else { Err(none()) }
    }
}

/// Whole numbers clipped to an integer type; `None` if nothing is left.
fn clamp<T: Element>(low: i128, high: i128) -> Option<(T, T)> {
    let bits = 8 * size_of::<T>() as u32;
    let (least, most) = match T::DTYPE.kind() {
        'u' => (0, (1_i128 << bits) - 1),
        _ => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
    };
    let (low, high) = (low.max(least), high.min(most));
    (low <= high).then(|| (integer(low), integer(high)))
}

/// The integer of a type from its low bytes; `value` fits.
fn integer<T: Element>(value: i128) -> T {
    let mut out = T::default();
    let size = size_of::<T>();
    let bytes = value.to_le_bytes();
    let target = bytemuck::bytes_of_mut(&mut out);
    target.copy_from_slice(&bytes[..size]);
    if cfg!(target_endian = "big") {
        target.reverse();
    }
    out
}

impl Number {
    fn to_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    fn ceil(self) -> i128 {
        match self {
            Self::Whole(value) => value,
            Self::Float(value) => value.ceil() as i128,
        }
    }

    fn floor(self) -> i128 {
        match self {
            Self::Whole(value) => value,
            Self::Float(value) => value.floor() as i128,
        }
    }

    /// The smallest value of a float type that is not below.
    fn float_up<T: Element>(self) -> T {
        let near = T::from_f64(self.to_f64());
        if self.is_above(near.to_f64()) {
            next::<T>(near, f64::next_up, f32::next_up)
        } else {
            near
        }
    }

    /// The largest value of a float type that is not above.
    fn float_down<T: Element>(self) -> T {
        let near = T::from_f64(self.to_f64());
        let below = match self {
            Self::Whole(value) => near.to_f64() as i128 > value,
            Self::Float(value) => near.to_f64() > value,
        };
        if below { next::<T>(near, f64::next_down, f32::next_down) } else { near }
    }

    fn is_above(self, other: f64) -> bool {
        match self {
            Self::Whole(value) => value > other as i128,
            Self::Float(value) => value > other,
        }
    }
}

/// The neighbour of a float in its own type.
fn next<T: Element>(value: T, wide: fn(f64) -> f64, narrow: fn(f32) -> f32) -> T {
    let value = value.to_f64();
    match size_of::<T>() {
        4 => T::from_f64(f64::from(narrow(value as f32))),
        _ => T::from_f64(wide(value)),
    }
}

impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.low, self.high)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
        }
    }
}

impl FromStr for ValueRange {
    type Err = Error;

    /// Reads `LOW:HIGH`, both included; an end left out is infinite.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Usage(format!("range: expected LOW:HIGH, found '{text}'"));
        let (low, high) = text.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str, open: f64| -> Result<Number> {
            let text = text.trim();
            if text.is_empty() {
                return Ok(Number::Float(open));
            }
            let whole = text.parse().map(Number::Whole);
            whole.or_else(|_| text.parse().map(Number::Float)).map_err(|_| wrong())
        };
        Self::of(number(low, f64::NEG_INFINITY)?, number(high, f64::INFINITY)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ends<T: Element>(text: &str) -> Option<(T, T)> {
        text.parse::<ValueRange>().unwrap().ends::<T>().ok()
    }

    #[test]
    fn integers_are_exact_to_64_bits() {
        assert_eq!(
            ends::<u64>("9007199254740993:9007199254740993"),
            Some((9007199254740993, 9007199254740993))
        );
        assert_eq!(ends::<u64>("3:"), Some((3, u64::MAX)));
        assert_eq!(ends::<i64>(":"), Some((i64::MIN, i64::MAX)));
        assert_eq!(ends::<i8>("-300:-128"), Some((-128, -128)));
        assert_eq!(ends::<u8>("0.5:2.5"), Some((1, 2)));
        assert_eq!(ends::<u8>("-inf:inf"), Some((0, 255)));
    }

    #[test]
    fn a_range_without_values_of_the_type_is_refused() {
        for text in ["300:400", "-5:-1", "0.2:0.8", "256:"] {
            assert_eq!(ends::<u8>(text), None, "{text}");
        }
    }

    #[test]
    fn floats_have_the_ends_of_their_own_type() {
        let (low, high) = ends::<f32>("0.1:0.3").unwrap();
        assert!(f64::from(low) >= 0.1 && f64::from(low.next_down()) < 0.1);
        assert!(f64::from(high) <= 0.3 && f64::from(high.next_up()) > 0.3);
        assert_eq!(ends::<f64>("0.1:0.3"), Some((0.1, 0.3)));
        let (low, high) = ends::<f64>("9007199254740993:9007199254740995").unwrap();
        assert_eq!((low, high), (9007199254740994.0, 9007199254740994.0));
        assert_eq!(ends::<f32>("1:"), Some((1.0, f32::INFINITY)));
        // Between two neighbours of f32 there is no f32.
        assert_eq!(ends::<f32>("1.00000001:1.00000002"), None);
    }

    #[test]
    fn empty_and_unreadable_ranges_are_refused() {
        for text in ["", "5", "5:4", "a:b", "1:2:3", "nan:1", "1:nan", "inf:-inf"] {
            assert!(text.parse::<ValueRange>().is_err(), "{text}");
        }
        assert!(ValueRange::new(f64::NAN, 1.0).is_err());
        assert!(ValueRange::of_integers(2, 1).is_err());
        assert_eq!("2:2.5".parse::<ValueRange>().unwrap().to_string(), "2:2.5");
    }
}
