//! Voxels as integers of the same order, which vectors compare without asking for NaN.

use exavox_io::Element;

/// An integer that stands for a value.
pub(super) trait Key: Copy + Ord + Default + Send + Sync {
    /// Bits of the integer.
    const BITS: u32;

    /// Its place among all values of a type of at most 16 bits.
    fn place(self) -> usize;
    /// The value of a place.
    fn at(place: usize) -> Self;
}

/// A type of voxels that has a median.
pub(super) trait Sample: Element {
    /// What stands for a value.
    type Key: Key;

    fn key(self) -> Self::Key;
    fn of(key: Self::Key) -> Self;
}

// Example: `integer! { u8 }`. Places of larger types are not asked for.
macro_rules! integer {
    ($($type:ty)*) => {$(
        impl Key for $type {
            const BITS: u32 = <$type>::BITS;

            #[inline(always)]
            fn place(self) -> usize {
                (self as usize).wrapping_sub(<$type>::MIN as usize)
            }

            #[inline(always)]
            fn at(place: usize) -> Self {
                place.wrapping_add(<$type>::MIN as usize) as $type
            }
        }

        impl Sample for $type {
            type Key = $type;

            #[inline(always)]
            fn key(self) -> $type {
                self
            }

            #[inline(always)]
            fn of(key: $type) -> Self {
                key
            }
        }
    )*};
}

integer! { u8 u16 u32 u64 i8 i16 i32 i64 }

// Example: `float! { f32, i32 }`. The bits of floats are in their order, but for negative ones, which are
// in the reverse; a NaN is the largest integer.
macro_rules! float {
    ($($type:ty, $key:ty;)*) => {$(
        impl Sample for $type {
            type Key = $key;

            #[inline(always)]
            fn key(self) -> $key {
                let bits = self.to_bits() as $key;
                let key = bits ^ ((bits >> (<$key>::BITS - 1)) & <$key>::MAX);
                if self.is_nan() { <$key>::MAX } else { key }
            }

            #[inline(always)]
            fn of(key: $key) -> Self {
                Self::from_bits((key ^ ((key >> (<$key>::BITS - 1)) & <$key>::MAX)) as _)
            }
        }
    )*};
}

float! {
    f32, i32;
    f64, i64;
}
