//! Tools for labels: sizes, contacts, new numbers. Labels are integers of any type, not negative; 0 is
//! background. Everything runs on the threads of the current rayon pool and depends on their number in
//! nothing.

use exavox_io::{DataType, Element, Voxels};

use crate::error::{Error, Result};

mod contacts;
mod numbers;
mod sizes;

pub use contacts::{Contact, contacts};
pub use numbers::{Filtered, Numbering, filter};
pub use sizes::{LabelSize, sizes};

/// Unsigned integers: labels of signed types are handled by their bits.
trait Label: Element + Ord + Eq + std::hash::Hash {
    fn to_u64(self) -> u64;
    /// The value fits.
    fn from_u64(value: u64) -> Self;
}

macro_rules! label {
    ($($type:ty)*) => {$(
        impl Label for $type {
            #[inline(always)]
            fn to_u64(self) -> u64 {
                u64::from(self)
            }

            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as Self
            }
        }
    )*};
}

label! { u8 u16 u32 u64 }

/// Runs an expression with a type name bound to the unsigned integer as large as the voxels.
macro_rules! match_label {
    ($labels:expr, $T:ident => $body:expr) => {
        match $labels.dtype().size() {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}
use match_label;

/// `Ok` if voxels can be labels.
fn check_type(labels: &Voxels) -> Result<()> {
    match labels.dtype().kind() {
        'f' => Err(Error::Usage(format!("labels must be integers, found {}", labels.dtype()))),
        _ => Ok(()),
    }
}

/// `Ok` if the largest label, by its bits, is not a negative number of its type.
fn check_sign(dtype: DataType, largest: u64) -> Result<()> {
    let bits = 8 * dtype.size() as u32;
    if dtype.kind() == 'i' && largest >> (bits - 1) != 0 {
        let value = (largest << (64 - bits)) as i64 >> (64 - bits);
        return Err(Error::Usage(format!("labels must not be negative, found {value}")));
    }
    Ok(())
}
