//! Lists of voxels that may be as many as the volume has: they grow by a quarter, not to the double, so that what
//! [`SeedPolicy::extra_bytes_per_voxel`](super::SeedPolicy::extra_bytes_per_voxel) says holds.

/// Entries that a list begins with.
const FIRST: usize = 64;

/// Adds an entry.
pub(super) fn push<T>(list: &mut Vec<T>, entry: T) {
    make_room(list, 1);
    list.push(entry);
}

/// Adds entries whose number is known.
pub(super) fn push_all<T>(list: &mut Vec<T>, entries: impl ExactSizeIterator<Item = T>) {
    make_room(list, entries.len());
    list.extend(entries);
}

fn make_room<T>(list: &mut Vec<T>, count: usize) {
    if list.capacity() - list.len() < count {
        list.reserve_exact(count.max(list.len() / 4).max(FIRST));
    }
}
