//! Output written once, from its first value to its last, by many threads: into memory that nothing
//! else has written before, and, if there is much of it, past the caches. Unsafe by name.
//!
//! A vector of zeros that is then filled writes its memory twice, and an ordinary store reads each line
//! before it writes it: of a maximum over seven planes these were a third of the traffic.

use std::mem::MaybeUninit;

use bytemuck::Pod;
use exavox_io::voxels::room_for;
use rayon::prelude::*;

use crate::error::Result;

/// Bytes of output from which on it goes past the caches: less of it is better found there by whoever
/// reads it next.
const PAST_CACHE_FROM: usize = 4 << 20;

/// Bytes of a line of the caches.
const LINE: usize = 64;

/// Room for a known number of values, filled from the front.
pub(crate) struct Sink<'a, T> {
    room: &'a mut [MaybeUninit<T>],
    past_cache: bool,
}

impl<T: Pod> Sink<'_, T> {
    /// Values that are still to come.
    pub(crate) fn len(&self) -> usize {
        self.room.len()
    }

    /// Takes the next values.
    ///
    /// # Panics
    /// If there is no room for them.
    #[inline(always)]
    pub(crate) fn push(&mut self, values: &[T]) {
        let (now, rest) = std::mem::take(&mut self.room).split_at_mut(values.len());
        self.room = rest;
        if !(self.past_cache && written_past_cache(now, values)) {
            now.write_copy_of_slice(values);
        }
    }
}

/// Collects `count` values on rayon's current pool: `fill` gets the index of the first value of each
/// piece, and room for it.
///
/// # Errors
/// [`crate::Error::Io`] if the memory cannot be had.
///
/// # Panics
/// If `fill` leaves a piece unfinished.
#[allow(unsafe_code)]
pub(crate) fn collect_pieces<T: Pod + Send>(
    count: usize,
    piece: usize,
    fill: impl Fn(usize, &mut Sink<'_, T>) + Sync,
) -> Result<Vec<T>> {
    let (mut values, piece) = (room_for(count)?, piece.max(1));
    let past_cache = count * size_of::<T>() >= PAST_CACHE_FROM;
    let fill_piece = |first: usize, room: &mut [MaybeUninit<T>]| {
        let mut sink = Sink { room, past_cache };
        fill(first, &mut sink);
        assert!(sink.room.is_empty(), "{} values of a piece are missing", sink.room.len());
        finish_past_cache();
    };
    let room = &mut values.spare_capacity_mut()[..count];
    // Lines past the caches are to be written whole, not half in one piece and half in the next.
    let head = if past_cache { room.as_ptr().align_offset(LINE).min(count) } else { 0 };
    let (before, room) = room.split_at_mut(head);
    if head > 0 {
        fill_piece(0, before);
    }
    let pieces = room.par_chunks_mut(piece).enumerate();
    pieces.for_each(|(number, room)| fill_piece(head + number * piece, room));
    // SAFETY: the capacity is at least `count`, and the pieces, which make up the first `count` values,
    // were each written up to their ends: a sink shrinks only by what is written.
    unsafe { values.set_len(count) };
    Ok(values)
}

/// Writes whole vectors without reading their lines first; `false`, and nothing written, where place or
/// length do not allow it.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline(always)]
fn written_past_cache<T: Pod>(to: &mut [MaybeUninit<T>], from: &[T]) -> bool {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    const BYTES: usize = size_of::<__m128i>();
    let (bytes, to) = (size_of_val(from), to.as_mut_ptr().cast::<__m128i>());
    if !bytes.is_multiple_of(BYTES) || !to.is_aligned() {
        return false;
    }
    for i in 0..bytes / BYTES {
        // SAFETY: both slices have `bytes` bytes, as the caller has cut `to` to the length of `from`;
        // `to` is aligned; SSE2 is part of every x86-64.
        unsafe {
            _mm_stream_si128(to.add(i), _mm_loadu_si128(from.as_ptr().cast::<__m128i>().add(i)))
        };
    }
    true
}

#[cfg(not(target_arch = "x86_64"))]
fn written_past_cache<T: Pod>(_to: &mut [MaybeUninit<T>], _from: &[T]) -> bool {
    false
}

/// Stores past the cache are not in order with others: this ends them before other threads look.
#[allow(unsafe_code)]
fn finish_past_cache() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of every x86-64.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_come_out_as_they_went_in(
            count in 0..3000_usize, piece in 1..700_usize, step in 1..70_usize, past_cache: bool
        ) {
            let found = collect_pieces(count, piece, |first, sink| {
                sink.past_cache = past_cache;
                let values: Vec<u16> = (first..first + sink.len()).map(|i| i as u16).collect();
                values.chunks(step).for_each(|values| sink.push(values));
            });
            prop_assert_eq!(found.unwrap(), (0..count).map(|i| i as u16).collect::<Vec<_>>());
        }
    }

    #[test]
    fn much_output_is_complete() {
        let count = PAST_CACHE_FROM / 4 + 1000;
        let found = collect_pieces(count, 4096, |first, sink| {
            let values: Vec<u32> = (first..first + sink.len()).map(|i| i as u32).collect();
            sink.push(&values);
        });
        assert!(found.unwrap().iter().enumerate().all(|(i, &v)| v == i as u32));
    }

    #[test]
    #[should_panic(expected = "2 values of a piece are missing")]
    fn a_piece_that_is_not_filled_is_no_result() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let _ = pool.install(|| collect_pieces(10, 5, |_, sink| sink.push(&[1_u8; 3])));
    }
}
