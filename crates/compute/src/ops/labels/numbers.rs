//! New numbers for labels.

use exavox_io::Voxels;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Label, LabelSize, match_label, sizes};
use crate::error::Result;

/// Voxels of a task.
const TASK: usize = 1 << 18;

/// Up to here labels are looked up in a table of all numbers.
const FEW: u64 = 1 << 24;

/// Which numbers labels have afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// Those that they had.
    Keep,
    /// From 1 on without gaps, in the order that they had.
    Dense,
}

/// Labels that were filtered.
#[derive(Debug, Clone, PartialEq)]
pub struct Filtered {
    /// The labels, of the type and shape that they had.
    pub labels: Voxels,
    /// Labels that are left, with the numbers that they have now, ascending.
    pub sizes: Vec<LabelSize>,
    /// Labels that were dropped.
    pub dropped: u64,
}

/// Drops labels of fewer than `min_voxels` voxels, whose voxels become background, and numbers the
/// others. With `min_voxels` 0 all stay.
///
/// Works in place. Cost: that of [`sizes`], and a pass; memory besides is a table of the labels.
///
/// # Errors
/// [`crate::Error::Usage`] if the voxels are floats, or a label is negative.
pub fn filter(mut labels: Voxels, min_voxels: u64, numbering: Numbering) -> Result<Filtered> {
    let all = sizes(&labels)?;
    let mut kept = Vec::with_capacity(all.len());
    let mut changes = Vec::with_capacity(all.len());
    for LabelSize { label, voxels } in &all {
        let number = match numbering {
            _ if *voxels < min_voxels => 0,
            Numbering::Keep => *label,
            Numbering::Dense => kept.len() as u64 + 1,
        };
        changes.push((*label, number));
        if number != 0 {
            kept.push(LabelSize { label: number, voxels: *voxels });
        }
    }
    if changes.iter().any(|(old, new)| old != new) {
        match_label!(labels, T => {
            renumber(bytemuck::cast_slice_mut::<u8, T>(labels.bytes_mut()), &changes);
        });
    }
    let dropped = (all.len() - kept.len()) as u64;
    Ok(Filtered { labels, sizes: kept, dropped })
}

/// Replaces labels; `changes` are all that there are, ascending.
fn renumber<T: Label>(values: &mut [T], changes: &[(u64, u64)]) {
    let largest = changes.last().map_or(0, |(label, _)| *label);
    if largest < FEW {
        let mut table = vec![T::default(); largest as usize + 1];
        for (old, new) in changes {
            table[*old as usize] = T::from_u64(*new);
        }
        replace(values, |label| table[label.to_u64() as usize]);
    } else {
        let pairs = changes.iter().map(|(old, new)| (T::from_u64(*old), T::from_u64(*new)));
        let map: FxHashMap<T, T> = pairs.collect();
        replace(values, |label| map.get(&label).copied().unwrap_or_default());
    }
}

/// Neighbours mostly have one label: it is looked up once.
fn replace<T: Label>(values: &mut [T], new: impl Fn(T) -> T + Sync) {
    values.par_chunks_mut(TASK).for_each(|values| {
        let mut last = (T::default(), T::default());
        for value in values {
            if *value != last.0 {
                last = (*value, new(*value));
            }
            *value = last.1;
        }
    });
}
