//! Axes of a dataset: N5 counts them from the fastest, `x`, to the slowest.

use serde_json::Value;

use crate::error::{Error, Place, Result};
use crate::geometry::Axis;

/// All axes in the order on disk, fastest first.
const XYZCT: [Axis; 5] = [Axis::X, Axis::Y, Axis::Z, Axis::C, Axis::T];

/// The axes of a dataset in the order on disk, fastest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredAxes(Vec<Axis>);

impl StoredAxes {
    /// Axes by name where the attribute `axes` gives names, else by count: `xy`, `xyz`, `xyzc`, `xyzct`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the names are in another order.
    pub(super) fn of(attributes: &Value, count: usize, place: &Place) -> Result<Self> {
        let names: Option<Vec<&str>> = attributes
            .get("axes")
            .and_then(Value::as_array)
            .and_then(|list| list.iter().map(Value::as_str).collect());
        // Names that are empty (tensorstore writes such) say nothing.
        let names =
            names.filter(|names| names.len() == count && names.iter().all(|n| !n.is_empty()));
        let Some(names) = names else { return Ok(Self(XYZCT[..count.min(5)].to_vec())) };
        let axes: Option<Vec<Axis>> = names.iter().map(|name| Axis::from_name(name)).collect();
        let place_of = |axis: &Axis| XYZCT.iter().position(|a| a == axis);
        let in_order = |axes: &Vec<Axis>| {
            axes.is_sorted_by(|a, b| place_of(a) < place_of(b)) && axes.starts_with(&XYZCT[..2])
        };
        axes.filter(in_order).map(Self).ok_or_else(|| {
            let message = format!("axes {names:?}; expected part of x, y, z, c, t in this order");
            Error::unsupported(place.clone(), message)
        })
    }

    /// The axes of a new volume: `xyz`, with channels `xyzc`.
    pub(super) fn for_channels(channels: usize) -> Self {
        Self(XYZCT[..if channels > 1 { 4 } else { 3 }].to_vec())
    }

    /// Sizes on disk as `[t, c, z, y, x]`, 1 on axes that are not there.
    pub(super) fn to_tczyx(&self, stored: &[u64]) -> [u64; 5] {
        let mut sizes = [1; 5];
        for (axis, size) in self.0.iter().zip(stored) {
            sizes[index_tczyx(*axis)] = *size;
        }
        sizes
    }

    /// The entries of `[t, c, z, y, x]` for the axes on disk, fastest first.
    pub(super) fn to_stored(&self, tczyx: &[u64; 5]) -> Vec<u64> {
        self.0.iter().map(|axis| tczyx[index_tczyx(*axis)]).collect()
    }

    /// Names in the order on disk, fastest first.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|axis| axis.name()).collect()
    }

    /// Axes from the slowest to the fastest, as other formats write them: `czyx`.
    pub(super) fn slowest_first(&self) -> String {
        self.0.iter().rev().map(|axis| axis.name()).collect()
    }
}

fn index_tczyx(axis: Axis) -> usize {
    match axis {
        Axis::T => 0,
        Axis::C => 1,
        Axis::Z => 2,
        Axis::Y => 3,
        Axis::X => 4,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn axes_are_named_or_counted() {
        let of =
            |axes: Value, count| StoredAxes::of(&json!({ "axes": axes }), count, &Place::new("v"));
        assert_eq!(of(Value::Null, 3).unwrap().slowest_first(), "zyx");
        assert_eq!(of(json!(["", "", ""]), 3).unwrap().slowest_first(), "zyx");
        let named = of(json!(["X", "y", "c"]), 3).unwrap();
        assert_eq!(named.slowest_first(), "cyx");
        assert_eq!(named.to_tczyx(&[7, 8, 9]), [1, 9, 1, 8, 7]);
        assert_eq!(named.to_stored(&[0, 1, 2, 3, 4]), [4, 3, 1]);
        for wrong in [json!(["z", "y", "x"]), json!(["x", "x", "y"]), json!(["x", "y", "q"])] {
            assert!(of(wrong, 3).unwrap_err().to_string().contains("in this order"));
        }
    }
}
