//! A block of voxels in memory: shape `[z, y, x]`, C order, element type known at run time.

use ndarray::ArrayView3;

use crate::bounding_box::BoundingBox;
use crate::dtype::{DataType, Element};
use crate::error::{Error, Place, Result};
use crate::match_dtype;
use crate::mmap::prefer_large_pages;

/// Values of a [`Voxels`], one vector per element type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum VoxelData {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A block of voxels that owns its values: `[z, y, x]`, C order (x fastest).
#[derive(Debug, Clone, PartialEq)]
pub struct Voxels {
    shape: [usize; 3],
    data: VoxelData,
}

impl Voxels {
    /// A block of zeros.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if the memory cannot be had.
    pub fn zeros(dtype: DataType, shape: [usize; 3]) -> Result<Self> {
        match_dtype!(dtype, T => {
            let values: Vec<T> = zeroed(shape)?;
            Ok(Self { shape, data: T::wrap(values) })
        })
    }

    /// A block from values in C order.
    ///
    /// # Errors
    /// [`Error::Usage`] if the number of values is not the product of the shape.
    pub fn from_vec<T: Element>(shape: [usize; 3], values: Vec<T>) -> Result<Self> {
        if shape.iter().product::<usize>() != values.len() {
            let message = format!("shape {shape:?} does not hold {} values", values.len());
            return Err(Error::usage(Place::new("voxels"), message));
        }
        Ok(Self { shape, data: T::wrap(values) })
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Voxels in all.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        match &self.data {
            VoxelData::U8(_) => DataType::U8,
            VoxelData::U16(_) => DataType::U16,
            VoxelData::U32(_) => DataType::U32,
            VoxelData::U64(_) => DataType::U64,
            VoxelData::I8(_) => DataType::I8,
            VoxelData::I16(_) => DataType::I16,
            VoxelData::I32(_) => DataType::I32,
            VoxelData::I64(_) => DataType::I64,
            VoxelData::F32(_) => DataType::F32,
            VoxelData::F64(_) => DataType::F64,
        }
    }

    /// The values in C order.
    ///
    /// # Errors
    /// [`Error::Usage`] if the element type is another.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        T::peek(&self.data).map(Vec::as_slice).ok_or_else(|| self.wrong_type::<T>())
    }

    /// The values in C order, mutable.
    ///
    /// # Errors
    /// [`Error::Usage`] if the element type is another.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        let wrong = self.wrong_type::<T>();
        T::peek_mut(&mut self.data).map(Vec::as_mut_slice).ok_or(wrong)
    }

    /// The values as an `ndarray` view `[z, y, x]`; copies nothing.
    ///
    /// # Errors
    /// [`Error::Usage`] if the element type is another.
    pub fn view<T: Element>(&self) -> Result<ArrayView3<'_, T>> {
        let values = self.as_slice::<T>()?;
        ArrayView3::from_shape(self.shape, values)
            .map_err(|e| Error::usage(Place::new("voxels"), e.to_string()))
    }

    /// The values as bytes in this machine's byte order.
    pub fn bytes(&self) -> &[u8] {
        match_dtype!(self.dtype(), T => T::peek(&self.data).map_or(&[], |v| bytemuck::cast_slice(v)))
    }

    /// The values as bytes in this machine's byte order; copies if values are larger than a byte.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self.data {
            VoxelData::U8(values) => values,
            _ => self.bytes().to_vec(),
        }
    }

    /// The values as bytes in this machine's byte order, mutable.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match_dtype!(self.dtype(), T => {
            T::peek_mut(&mut self.data).map_or(&mut [], |v| bytemuck::cast_slice_mut(v))
        })
    }

    /// All values converted to `f32` (nearest), C order.
    pub fn to_f32(&self) -> Vec<f32> {
        match_dtype!(self.dtype(), T => {
            T::peek(&self.data).map_or(Vec::new(), |v| v.iter().map(|x| x.to_f64() as f32).collect())
        })
    }

    /// All values converted to `u64`, for labels.
    ///
    /// # Errors
    /// [`Error::Usage`] if the values are not integers, or one is negative.
    pub fn to_labels(&self) -> Result<Vec<u64>> {
        let negative = || Error::usage(Place::new("labels"), "labels must not be negative");
        match &self.data {
            VoxelData::U8(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            VoxelData::U16(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            VoxelData::U32(v) => Ok(v.iter().map(|&x| x.into()).collect()),
            VoxelData::U64(v) => Ok(v.clone()),
            VoxelData::I8(v) => v.iter().map(|&x| x.try_into().map_err(|_| negative())).collect(),
            VoxelData::I16(v) => v.iter().map(|&x| x.try_into().map_err(|_| negative())).collect(),
            VoxelData::I32(v) => v.iter().map(|&x| x.try_into().map_err(|_| negative())).collect(),
            VoxelData::I64(v) => v.iter().map(|&x| x.try_into().map_err(|_| negative())).collect(),
            VoxelData::F32(_) | VoxelData::F64(_) => {
                let message = format!("labels must be integers, found {}", self.dtype());
                Err(Error::usage(Place::new("labels"), message))
            }
        }
    }

    /// Copies the box `from` of `source` to the voxel `to` of this block, row by row.
    ///
    /// # Errors
    /// [`Error::Usage`] if the types differ or a box does not fit.
    pub fn copy_box(&mut self, to: [usize; 3], source: &Self, from: &BoundingBox) -> Result<()> {
        if self.dtype() != source.dtype() {
            let message = format!("cannot copy {} into {}", source.dtype(), self.dtype());
            return Err(Error::usage(Place::new("voxels"), message));
        }
        let size = self.dtype().size();
        let shape = self.shape;
        copy_rows(self.bytes_mut(), shape, to, source.bytes(), source.shape, from, size)
    }

    fn wrong_type<T: Element>(&self) -> Error {
        let message = format!("expected voxels of {}, found {}", T::DTYPE, self.dtype());
        Error::usage(Place::new("voxels"), message)
    }
}

/// Copies a box between two C-order `[z, y, x]` byte buffers with voxels of `size` bytes.
///
/// # Errors
/// [`Error::Usage`] if the box does not fit into one of the two.
pub(crate) fn copy_rows(
    target: &mut [u8],
    target_shape: [usize; 3],
    to: [usize; 3],
    source: &[u8],
    source_shape: [usize; 3],
    from: &BoundingBox,
    size: usize,
) -> Result<()> {
    let start = from.start.map(|v| v as usize);
    let count = from.shape().map(|v| v as usize);
    let fits = (0..3)
        .all(|a| to[a] + count[a] <= target_shape[a] && start[a] + count[a] <= source_shape[a]);
    if !fits {
        let message = format!("box {from} of {source_shape:?} to {to:?} of {target_shape:?}");
        return Err(Error::usage(Place::new("voxels"), message));
    }
    let offset = |shape: [usize; 3], z: usize, y: usize, x: usize| {
        ((z * shape[1] + y) * shape[2] + x) * size
    };
    let row = count[2] * size;
    for z in 0..count[0] {
        for y in 0..count[1] {
            let t = offset(target_shape, to[0] + z, to[1] + y, to[2]);
            let s = offset(source_shape, start[0] + z, start[1] + y, start[2]);
            copy_row(&mut target[t..t + row], &source[s..s + row]);
        }
    }
    Ok(())
}

/// Rows up to this length are copied without a call.
const SHORT_ROW: usize = 256;

/// Copies a row of voxels. The rows of a chunk are so short that a call to `memcpy` takes as long as
/// the copy itself.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub(crate) fn copy_row(target: &mut [u8], source: &[u8]) {
    const STEP: usize = 32;
    if source.len() > SHORT_ROW || !source.len().is_multiple_of(STEP) {
        return target.copy_from_slice(source);
    }
    assert_eq!(target.len(), source.len(), "rows of different lengths");
    for (target, source) in target.chunks_exact_mut(STEP).zip(source.chunks_exact(STEP)) {
        target.copy_from_slice(source);
    }
}

/// An empty vector with room for `count` values, on large pages if it is large: for output whose every
/// value will be written, which [`Voxels::zeros`] would write twice.
///
/// # Errors
/// [`Error::LimitExceeded`] if the memory cannot be had.
pub fn room_for<T>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| Error::LimitExceeded {
        place: Place::new("voxels"),
        what: format!("room for {count} values"),
        needed: (count as u64).saturating_mul(size_of::<T>() as u64),
        limit: isize::MAX as u64,
    })?;
    prefer_large_pages(values.spare_capacity_mut());
    Ok(values)
}

fn zeroed<T: Element>(shape: [usize; 3]) -> Result<Vec<T>> {
    let needed = shape.iter().fold(size_of::<T>() as u64, |n, s| n.saturating_mul(*s as u64));
    let too_much = || Error::LimitExceeded {
        place: Place::new("voxels"),
        what: format!("a block of shape {shape:?}"),
        needed,
        limit: isize::MAX as u64,
    };
    let count = usize::try_from(needed).map_err(|_| too_much())? / size_of::<T>();
    // `try_zeroed_vec` takes zeroed pages from the system: no pass over the memory.
    let mut values = bytemuck::allocation::try_zeroed_vec(count).map_err(|()| too_much())?;
    prefer_large_pages(&mut values);
    Ok(values)
}
