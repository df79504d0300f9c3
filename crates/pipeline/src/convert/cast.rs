//! Values of one type as values of another, each checked.

use exavox_io::{BoundingBox, DataType, Element, Voxels, match_dtype};

use super::Precision;
use crate::error::{Error, Result};

/// What became of a block.
#[derive(Debug, PartialEq)]
pub(crate) enum Cast {
    /// All values are there.
    Whole(Voxels),
    /// The first value, in C order, that the type does not have.
    Loses {
        /// Index of the voxel in C order.
        index: usize,
        /// Its value.
        value: String,
    },
}

/// Casts a block to `to`; the same type costs nothing.
pub(crate) fn cast(voxels: Voxels, to: DataType, precision: Precision) -> Result<Cast> {
    if voxels.dtype() == to {
        return Ok(Cast::Whole(voxels));
    }
    let shape = voxels.shape();
    match_dtype!(voxels.dtype(), S => match_dtype!(to, D => {
        let values = voxels.as_slice::<S>()?;
        let numbers = Numbers {
            direct: |v: S| v as D,
            source_integer: |v: S| v as i128,
            target_integer: |v: D| v as i128,
            target: |v: i128| v as D,
        };
        match numbers.cast(values, precision) {
            Ok(cast) => Ok(Cast::Whole(Voxels::from_vec(shape, cast)?)),
            Err(index) => Ok(Cast::Loses { index, value: values[index].to_string() }),
        }
    }))
}

/// Casts the voxels of a box of a volume.
///
/// # Errors
/// [`Error::LossyCast`] with the first voxel whose value the type does not have.
pub(crate) fn cast_block(
    voxels: Voxels,
    to: DataType,
    precision: Precision,
    (source, channel, block): (&str, usize, &BoundingBox),
) -> Result<Voxels> {
    match cast(voxels, to, precision)? {
        Cast::Whole(voxels) => Ok(voxels),
        Cast::Loses { index, value } => {
            let [_, y, x] = block.shape();
            let index = index as u64;
            let offset = [index / (y * x), index / x % y, index % x];
            let voxel_zyx = std::array::from_fn(|a| block.start[a] + offset[a]);
            Err(Error::LossyCast { place: source.to_owned(), channel, voxel_zyx, value, dtype: to })
        }
    }
}

/// The language's conversions between two types, which no trait of the standard library offers.
struct Numbers<Direct, Source, Target, Back> {
    direct: Direct,
    source_integer: Source,
    target_integer: Target,
    target: Back,
}

impl<Direct, Source, Target, Back> Numbers<Direct, Source, Target, Back> {
    /// The values cast, or the index of the first that loses.
    fn cast<S: Element, D: Element>(
        &self,
        values: &[S],
        precision: Precision,
    ) -> Result<Vec<D>, usize>
    where
        Direct: Fn(S) -> D,
        Source: Fn(S) -> i128,
        Target: Fn(D) -> i128,
        Back: Fn(i128) -> D,
    {
        if precision == Precision::Lossy {
            return Ok(values.iter().map(|v| self.nearest(*v)).collect());
        }
        let cast: Vec<D> = values.iter().map(|v| (self.direct)(*v)).collect();
        let differs = |(v, d): (&S, &D)| !self.same(*v, *d);
        match values.iter().zip(&cast).position(differs) {
            Some(index) => Err(index),
            None => Ok(cast),
        }
    }

    /// Whether two values of different types are the same number, or both NaN. Floats hold no
    /// integer above 2^53 for sure and 128-bit integers no fraction, so both have to agree.
    fn same<S: Element, D: Element>(&self, value: S, cast: D) -> bool
    where
        Source: Fn(S) -> i128,
        Target: Fn(D) -> i128,
    {
        let floats = || {
            let (v, d) = (value.to_f64(), cast.to_f64());
            v == d || (v.is_nan() && d.is_nan())
        };
        let integers = || (self.source_integer)(value) == (self.target_integer)(cast);
        match (S::DTYPE.kind(), D::DTYPE.kind()) {
            ('f', 'f') => floats(),
            ('f', _) => floats() && integers(),
            _ => integers(),
        }
    }

    /// The nearest value that the type has.
    fn nearest<S: Element, D: Element>(&self, value: S) -> D
    where
        Direct: Fn(S) -> D,
        Source: Fn(S) -> i128,
        Back: Fn(i128) -> D,
    {
        match (S::DTYPE.kind(), D::DTYPE.kind()) {
            ('f', 'u' | 'i') => D::from_f64(value.to_f64()),
            (_, 'f') => (self.direct)(value),
            _ => {
                let (low, high) = integer_range(D::DTYPE);
                (self.target)((self.source_integer)(value).clamp(low, high))
            }
        }
    }
}

/// Smallest and largest value of an integer type.
fn integer_range(dtype: DataType) -> (i128, i128) {
    let bits = 8 * dtype.size();
    match dtype.kind() {
        'u' => (0, (1 << bits) - 1),
        _ => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn exact<S: Element, D: Element>(value: S) -> Option<D> {
        let voxels = Voxels::from_vec([1, 1, 1], vec![value]).unwrap();
        match cast(voxels, D::DTYPE, Precision::Exact).unwrap() {
            Cast::Whole(voxels) => Some(voxels.as_slice::<D>().unwrap()[0]),
            Cast::Loses { .. } => None,
        }
    }

    fn lossy<S: Element, D: Element>(value: S) -> D {
        let voxels = Voxels::from_vec([1, 1, 1], vec![value]).unwrap();
        match cast(voxels, D::DTYPE, Precision::Lossy).unwrap() {
            Cast::Whole(voxels) => voxels.as_slice::<D>().unwrap()[0],
            Cast::Loses { .. } => panic!("a lossy cast never stops"),
        }
    }

    #[test]
    fn exact_casts_keep_the_number_or_stop() {
        assert_eq!(exact::<u16, u8>(255), Some(255));
        assert_eq!(exact::<u16, u8>(256), None);
        assert_eq!(exact::<i8, u64>(-1), None);
        assert_eq!(exact::<u64, i64>(u64::MAX), None);
        assert_eq!(exact::<u64, f64>(1 << 60), Some((1_u64 << 60) as f64));
        assert_eq!(exact::<u64, f64>((1 << 60) + 1), None);
        assert_eq!(exact::<u64, f64>(u64::MAX), None);
        assert_eq!(exact::<i64, f32>(i64::MIN), Some(i64::MIN as f32));
        assert_eq!(exact::<f64, u64>(18_446_744_073_709_551_616.0), None);
        assert_eq!(exact::<f64, u8>(3.5), None);
        assert_eq!(exact::<f32, u8>(f32::NAN), None);
        assert_eq!(exact::<f64, f32>(0.1), None);
        assert_eq!(exact::<f64, f32>(1e300), None);
        assert_eq!(exact::<f64, f32>(f64::INFINITY), Some(f32::INFINITY));
        assert!(exact::<f64, f32>(f64::NAN).is_some_and(f32::is_nan));
    }

    #[test]
    fn lossy_casts_round_and_clip() {
        assert_eq!(lossy::<u16, u8>(300), 255);
        assert_eq!(lossy::<i64, u8>(-300), 0);
        assert_eq!(lossy::<u64, i64>(u64::MAX), i64::MAX);
        assert_eq!(lossy::<f32, u8>(3.5), 4);
        assert_eq!(lossy::<f32, i8>(f32::NAN), 0);
        assert_eq!(lossy::<f64, i16>(-1e9), i16::MIN);
        assert_eq!(lossy::<f64, f32>(0.1), 0.1);
    }

    #[test]
    fn the_first_value_that_loses_is_named() {
        let voxels = Voxels::from_vec([1, 2, 2], vec![1_u16, 2, 300, 400]).unwrap();
        let found = cast(voxels, DataType::U8, Precision::Exact).unwrap();
        assert_eq!(found, Cast::Loses { index: 2, value: "300".to_owned() });
    }
}
