//! Projections of a stack along one axis: maximum, minimum, mean, sum, standard deviation, variance,
//! median, and the index of the maximum; besides, the sharpest plane of each pixel ([`focus`]) and colour
//! by depth ([`depth_colour`]).
//!
//! | kind | type of the output | memory for `n` cells of the output |
//! |---|---|---|
//! | max, min | input's | `n` values |
//! | argmax | u16, u32 for more than 65 536 planes; index of the first maximum | `n` values and indices |
//! | sum | u64, i64, f64; 64-bit sums wrap | `n` sums |
//! | mean, std, variance | f32, from exact integer sums or from f64 | `n` sums |
//! | median | input's; the mean of the two middle values (toward zero) for an even count | all values |
//!
//! Values are equal to NumPy's (`ddof = 0`, NaN propagates, `argmax` gives the first NaN); where NumPy
//! adds up f32 in f32, this adds in f64. A [`Projector`] takes blocks one after the other along the
//! axis, so that a stack never has to be in memory.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use exavox_io::{Axis, DataType, Voxels};

use crate::device::ComputeDevice;
use crate::error::{Error, Result};

pub mod depth_colour;
mod deviation;
#[cfg(feature = "cube")]
pub mod device;
mod extremum;
pub mod focus;
mod fold;
mod layout;
mod median;
mod projector;
pub mod reference;
mod sample;
mod streams;
mod sums;
mod tensor;
mod whole;

pub use layout::Layout;
pub use projector::Projector;
pub use tensor::maximum_by_burn;

/// What is made of the values along the axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ProjectionKind {
    Max,
    Min,
    Mean,
    Sum,
    Std,
    Variance,
    Median,
    Argmax,
}

impl ProjectionKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Max,
        Self::Min,
        Self::Mean,
        Self::Sum,
        Self::Std,
        Self::Variance,
        Self::Median,
        Self::Argmax,
    ];

    /// Name on the command line; all but `variance` are NumPy's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Min => "min",
            Self::Mean => "mean",
            Self::Sum => "sum",
            Self::Std => "std",
            Self::Variance => "variance",
            Self::Median => "median",
            Self::Argmax => "argmax",
        }
    }

    /// Element type of the projection of `planes` planes of an element type.
    pub fn output_dtype(self, dtype: DataType, planes: usize) -> DataType {
        match (self, dtype.kind()) {
            (Self::Max | Self::Min | Self::Median, _) => dtype,
            (Self::Mean | Self::Std | Self::Variance, _) => DataType::F32,
            (Self::Sum, 'u') => DataType::U64,
            (Self::Sum, 'i') => DataType::I64,
            (Self::Sum, _) => DataType::F64,
            (Self::Argmax, _) if planes <= 1 << 16 => DataType::U16,
            (Self::Argmax, _) => DataType::U32,
        }
    }

    /// Bytes that a [`Projector`] keeps for each cell of the output; saturates.
    pub fn bytes_per_cell(self, dtype: DataType, planes: usize) -> usize {
        match self {
            Self::Max | Self::Min => dtype.size(),
            Self::Argmax => dtype.size() + 4,
            Self::Mean | Self::Sum => 8,
            Self::Std | Self::Variance => 16,
            Self::Median => dtype.size().saturating_mul(planes.saturating_add(1)),
        }
    }
}

impl fmt::Display for ProjectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ProjectionKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|k| k.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Usage(format!("projection '{text}' is unknown; known are {known}"))
        })
    }
}

/// A projection under way: takes the blocks of a stack in their order along the axis.
pub trait Projection: Send {
    /// Takes the next block; its shape is the stack's but for the axis, its type the stack's.
    ///
    /// # Errors
    /// [`Error::Usage`] if shape or type do not fit; [`Error::DeviceFailed`].
    fn push(&mut self, block: &Voxels) -> Result<()>;

    /// The projection: the stack's shape with 1 on the axis.
    ///
    /// # Errors
    /// [`Error::Usage`] if planes are missing; [`Error::DeviceFailed`].
    fn finish(self: Box<Self>) -> Result<Voxels>;
}

/// Something that can make projections: the CPU, or a device.
pub trait ProjectionEngine: Send + Sync {
    /// Name for reports: `cpu`, `wgpu:0`.
    fn name(&self) -> String;

    /// Bytes of input in one block with which the engine works well.
    fn block_bytes(&self) -> usize;

    /// Begins the projection of a stack of a type and shape `[z, y, x]` along an axis; `None` if the
    /// engine does not do this kind with this type.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`], or memory that cannot be had.
    fn begin(
        &self,
        kind: ProjectionKind,
        dtype: DataType,
        axis: Axis,
        shape: [usize; 3],
    ) -> Result<Option<Box<dyn Projection>>>;
}

/// The CPU, which does every kind for every type.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuEngine;

impl ProjectionEngine for CpuEngine {
    fn name(&self) -> String {
        "cpu".to_owned()
    }

    /// A block and its accumulators stay in the second-level cache of one core.
    fn block_bytes(&self) -> usize {
        256 << 10
    }

    fn begin(
        &self,
        kind: ProjectionKind,
        dtype: DataType,
        axis: Axis,
        shape: [usize; 3],
    ) -> Result<Option<Box<dyn Projection>>> {
        Ok(Some(Box::new(Projector::new(kind, dtype, axis, shape)?)))
    }
}

/// The engine of a device; `None` for the plain CPU, which is [`CpuEngine`].
pub fn engine_of(device: &ComputeDevice) -> Option<Arc<dyn ProjectionEngine>> {
    #[cfg(feature = "cube")]
    if let Some(client) = device.client() {
        return Some(Arc::new(device::DeviceEngine::new(device.name(), client.clone())));
    }
    let _ = device;
    None
}

/// Projects a whole block `[z, y, x]` along an axis; the output has 1 voxel along it. Runs on rayon's
/// current pool; the result does not depend on the number of threads.
///
/// ```
/// use exavox_compute::ops::projection::{ProjectionKind, project};
/// use exavox_io::{Axis, Voxels};
/// let stack = Voxels::from_vec([2, 1, 3], vec![1u16, 5, 2, 4, 0, 9])?;
/// let projection = project(ProjectionKind::Max, Axis::Z, &stack)?;
/// assert_eq!(projection, Voxels::from_vec([1, 1, 3], vec![4u16, 5, 9])?);
/// # Ok::<(), exavox_compute::Error>(())
/// ```
///
/// # Errors
/// [`Error::Usage`] if the block is empty or the axis is not z, y or x.
pub fn project(kind: ProjectionKind, axis: Axis, block: &Voxels) -> Result<Voxels> {
    projector::whole(kind, axis, block)
}
