//! Element types of voxels, known at run time, and the one macro that turns them into Rust types.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Place};
use crate::voxels::VoxelData;

/// Type of a voxel's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DataType {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl DataType {
    /// All types, in the order of the declaration.
    pub const ALL: [Self; 10] = [
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::F32,
        Self::F64,
    ];

    /// Bytes of one value.
    pub const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Name as NumPy and Zarr v3 write it: `uint8`, `float32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// `u`, `i` or `f`, as in NumPy's type strings.
    pub const fn kind(self) -> char {
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => 'u',
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => 'i',
            Self::F32 | Self::F64 => 'f',
        }
    }

    /// The type of a kind (`u`, `i`, `f`) and a size in bytes, if there is one.
    pub fn from_kind(kind: char, size: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.kind() == kind && d.size() == size)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DataType {
    type Err = Error;

    /// Accepts `uint8` and the short `u8`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let matches =
            |d: &Self| text == d.name() || text == format!("{}{}", d.kind(), 8 * d.size());
        Self::ALL.into_iter().find(matches).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::usage(Place::new(text), format!("unknown data type; known are {known}"))
        })
    }
}

/// A Rust type that voxels can have. Sealed: exactly the types of [`DataType`].
pub trait Element:
    bytemuck::Pod + PartialOrd + fmt::Debug + fmt::Display + Default + Send + Sync + private::Sealed
{
    /// The run-time name of this type.
    const DTYPE: DataType;

    /// Puts values into the type-erased container.
    fn wrap(values: Vec<Self>) -> VoxelData;
    /// The values, if the container has this type.
    fn peek(data: &VoxelData) -> Option<&Vec<Self>>;
    /// The values, mutable, if the container has this type.
    fn peek_mut(data: &mut VoxelData) -> Option<&mut Vec<Self>>;
    /// Nearest `f64`; exact up to 2^53.
    fn to_f64(self) -> f64;
    /// Nearest value of this type: rounds to nearest integer, saturates at the ends, NaN becomes 0
    /// for integers.
    fn from_f64(value: f64) -> Self;
}

mod private {
    pub trait Sealed {}
}

macro_rules! element {
    ($($type:ty, $variant:ident, $round:expr;)*) => {$(
        impl private::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DataType = DataType::$variant;
            fn wrap(values: Vec<Self>) -> VoxelData {
                VoxelData::$variant(values)
            }
            fn peek(data: &VoxelData) -> Option<&Vec<Self>> {
                match data {
                    VoxelData::$variant(values) => Some(values),
                    _ => None,
                }
            }
            fn peek_mut(data: &mut VoxelData) -> Option<&mut Vec<Self>> {
                match data {
                    VoxelData::$variant(values) => Some(values),
                    _ => None,
                }
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn from_f64(value: f64) -> Self {
                let round: fn(f64) -> f64 = $round;
                round(value) as Self
            }
        }
    )*};
}

element! {
    u8, U8, f64::round;
    u16, U16, f64::round;
    u32, U32, f64::round;
    u64, U64, f64::round;
    i8, I8, f64::round;
    i16, I16, f64::round;
    i32, I32, f64::round;
    i64, I64, f64::round;
    f32, F32, std::convert::identity;
    f64, F64, std::convert::identity;
}

/// Runs an expression with a type name bound to the Rust type of a [`DataType`].
///
/// ```
/// use exavox_io::{DataType, match_dtype};
/// let size = match_dtype!(DataType::U16, T => std::mem::size_of::<T>());
/// assert_eq!(size, 2);
/// ```
#[macro_export]
macro_rules! match_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DataType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DataType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DataType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DataType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DataType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DataType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DataType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DataType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DataType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DataType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}
