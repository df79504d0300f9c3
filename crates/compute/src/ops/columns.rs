//! Columns of a volume for threads: a pass along z or y works on bundles of neighbouring columns, whose
//! rows are short runs of memory, one from each plane or row.

/// A bundle of neighbouring columns: one run of voxels for each position along the axis.
pub(crate) type Bundle<'a, T> = Vec<&'a mut [T]>;

/// Voxels of a run. Shorter ones would cost more memory for the lists of runs (16 bytes each) and more
/// misses of the address cache; longer ones would not stay in the second-level cache.
pub(crate) const WIDTH: usize = 128;

/// Cuts `values`, `[length, columns]` in C order, into bundles of at most [`WIDTH`] columns.
pub(crate) fn bundles<T>(values: &mut [T], length: usize, columns: usize) -> Vec<Bundle<'_, T>> {
    let count = columns.div_ceil(WIDTH);
    let mut bundles: Vec<Bundle<'_, T>> = (0..count).map(|_| Vec::with_capacity(length)).collect();
    for row in values.chunks_exact_mut(columns.max(1)) {
        for (bundle, run) in bundles.iter_mut().zip(row.chunks_mut(WIDTH)) {
            bundle.push(run);
        }
    }
    bundles
}
