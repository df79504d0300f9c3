//! Voxels of any type as f32, and as integers of the same order.

use exavox_io::Element;

/// A type of voxels that filters take.
pub(super) trait Sample: Element {
    /// The nearest f32.
    fn to_f32(self) -> f32;
    /// An integer, with as many bits as the type, that is in the order of the values.
    fn order(self) -> u64;
    /// The value of such an integer.
    fn from_order(order: u64) -> Self;
}

// Example: `sample! { u8: u8, 0 }`: the unsigned integer of the type's size, and the bit that is turned.
macro_rules! sample {
    ($($type:ty: $bits:ty, $turned:expr;)*) => {$(
        impl Sample for $type {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn order(self) -> u64 {
                u64::from(self as $bits ^ $turned)
            }

            #[inline(always)]
            fn from_order(order: u64) -> Self {
                (order as $bits ^ $turned) as $type
            }
        }
    )*};
}

sample! {
    u8: u8, 0;
    u16: u16, 0;
    u32: u32, 0;
    u64: u64, 0;
    i8: u8, 1 << 7;
    i16: u16, 1 << 15;
    i32: u32, 1 << 31;
    i64: u64, 1 << 63;
}

// Example: `float! { f32: u32 }`. Bits of negative floats are in the reverse order.
macro_rules! float {
    ($($type:ty: $bits:ty;)*) => {$(
        impl Sample for $type {
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn order(self) -> u64 {
                let (bits, sign) = (self.to_bits(), 1 << (<$bits>::BITS - 1));
                u64::from(if bits & sign == 0 { bits | sign } else { !bits })
            }

            #[inline(always)]
            fn from_order(order: u64) -> Self {
                let (bits, sign) = (order as $bits, 1 << (<$bits>::BITS - 1));
                Self::from_bits(if bits & sign == 0 { !bits } else { bits ^ sign })
            }
        }
    )*};
}

float! {
    f32: u32;
    f64: u64;
}
