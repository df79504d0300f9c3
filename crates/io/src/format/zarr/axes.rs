//! Which axes an array on disk has, in which order, and what a region of ours is in them.

use crate::error::{Error, Place, Result};
use crate::geometry::Axis;

/// The order of OME: every array's axes are a part of it.
const ORDER: [Axis; 5] = [Axis::T, Axis::C, Axis::Z, Axis::Y, Axis::X];

/// Axes of an array in the order on disk: a subsequence of `t, c, z, y, x`, so that a region in C
/// order on disk is one in `[z, y, x]` order too.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredAxes(Vec<Axis>);

impl StoredAxes {
    /// Axes that are a part of `t, c, z, y, x` in this order.
    pub(super) fn new(axes: Vec<Axis>) -> Self {
        Self(axes)
    }

    /// The axes of these names.
    pub(super) fn from_names(names: &[String], place: &Place) -> Result<Self> {
        let axes: Option<Vec<Axis>> = names.iter().map(|name| Axis::from_name(name)).collect();
        let axes = axes.filter(|axes| is_subsequence(axes));
        axes.map(Self).ok_or_else(|| {
            let found = names.join(", ");
            let message = format!("axes in the order {found}; expected a part of t, c, z, y, x");
            Error::unsupported(place.clone(), message)
        })
    }

    /// The axes of an array without OME metadata: by its own names where all are letters of axes,
    /// else by their count.
    pub(super) fn of_array(names: Option<&[String]>, count: usize, place: &Place) -> Result<Self> {
        if let Some(names) = names
            && names.iter().all(|name| Axis::from_name(name).is_some())
        {
            return Self::from_names(names, place);
        }
        if !(2..=5).contains(&count) {
            let message = format!("array of {count} axes; expected 2 to 5 (tczyx)");
            return Err(Error::unsupported(place.clone(), message));
        }
        Ok(Self(ORDER[5 - count..].to_vec()))
    }

    /// One letter per axis.
    pub(super) fn letters(&self) -> String {
        self.0.iter().map(|axis| axis.name()).collect()
    }

    /// Number of axes on disk.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that belongs to an axis, if the array has it.
    pub(super) fn get<T: Copy>(&self, values: &[T], axis: Axis) -> Option<T> {
        let index = self.0.iter().position(|a| *a == axis)?;
        values.get(index).copied()
    }

    /// The values of z, y and x; `missing` for an axis that the array does not have.
    pub(super) fn zyx<T: Copy>(&self, values: &[T], missing: T) -> [T; 3] {
        Axis::ZYX.map(|axis| self.get(values, axis).unwrap_or(missing))
    }

    /// The stored axes' part of values for `[t, c, z, y, x]`.
    pub(super) fn pick(&self, tczyx: &[u64; 5]) -> Vec<u64> {
        ORDER.iter().zip(tczyx).filter(|(axis, _)| self.0.contains(axis)).map(|(_, v)| *v).collect()
    }

    /// Values for `[t, c, z, y, x]` from those of the stored axes; 1 for axes that are not stored.
    pub(super) fn spread(&self, stored: &[u64]) -> [u64; 5] {
        ORDER.map(|axis| self.get(stored, axis).unwrap_or(1))
    }

    /// The axes in the order on disk.
    pub(super) fn axes(&self) -> &[Axis] {
        &self.0
    }

    /// Values in stored axes from those of `[z, y, x]`; 1 for time and channel.
    pub(super) fn to_stored(&self, zyx: [u64; 3]) -> Vec<u64> {
        self.0.iter().map(|axis| axis.zyx_index().map_or(1, |a| zyx[a])).collect()
    }
}

fn is_subsequence(axes: &[Axis]) -> bool {
    let mut order = ORDER.iter();
    axes.iter().all(|axis| order.any(|o| o == axis))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(letters: &str) -> Vec<String> {
        letters.chars().map(String::from).collect()
    }

    #[test]
    fn only_parts_of_tczyx_are_taken() {
        let place = Place::new("v");
        for good in ["tczyx", "czyx", "zyx", "yx", "tyx", "cyx", "zx"] {
            assert_eq!(StoredAxes::from_names(&names(good), &place).unwrap().letters(), good);
        }
        for bad in ["xyz", "zyxc", "zzyx", "ctzyx", "q"] {
            let error = StoredAxes::from_names(&names(bad), &place).unwrap_err().to_string();
            assert!(error.contains(&names(bad).join(", ")), "{error}");
        }
    }

    #[test]
    fn values_go_to_the_stored_axes_and_back() {
        let axes = StoredAxes::from_names(&names("tcyx"), &Place::new("v")).unwrap();
        assert_eq!(axes.pick(&[5, 4, 3, 2, 1]), [5, 4, 2, 1]);
        assert_eq!(axes.spread(&[5, 4, 2, 1]), [5, 4, 1, 2, 1]);
        assert_eq!(axes.zyx(&[9u64, 8, 7, 6], 1), [1, 7, 6]);
    }
}
