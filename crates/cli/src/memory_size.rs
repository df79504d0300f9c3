//! Sizes of memory as people write them.

use std::str::FromStr;

/// Bytes, read from `4GiB`, `500MB`, `1.5G` or `65536`. `K`, `M`, `G`, `T` with `B` or alone are powers
/// of 1000, with `iB` powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemorySize(pub(crate) u64);

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a size above 0 such as 4GiB or 500MB, found '{text}'");
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = number * bytes_per_unit(unit.trim()).ok_or_else(wrong)?;
        if !(1.0..9e18).contains(&bytes) {
            return Err(wrong());
        }
        Ok(Self(bytes as u64))
    }
}

fn bytes_per_unit(unit: &str) -> Option<f64> {
    let lower = unit.to_ascii_lowercase();
    if lower.is_empty() || lower == "b" {
        return Some(1.0);
    }
    let power = 1 + "kmgt".find(lower.chars().next()?)? as i32;
    match &lower[1..] {
        "ib" => Some(1024_f64.powi(power)),
        "" | "b" => Some(1000_f64.powi(power)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn units_are_decimal_or_binary() {
        let bytes = |text: &str| text.parse::<MemorySize>().unwrap().0;
        assert_eq!(bytes("65536"), 65536);
        assert_eq!(bytes("500MB"), 500_000_000);
        assert_eq!(bytes("1.5k"), 1500);
        assert_eq!(bytes("4 GiB"), 4 << 30);
        assert_eq!(bytes("2tib"), 2 << 40);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "GiB", "-1", "0", "4Gi", "4XB", "4µB", "1e3", "99999999TB", "1.2.3"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
    }
}
