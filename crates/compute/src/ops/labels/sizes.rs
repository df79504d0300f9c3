//! Voxels of each label.

use exavox_io::Voxels;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Label, check_sign, check_type, match_label};
use crate::error::Result;

/// Voxels of a task.
const TASK: usize = 1 << 18;

/// Up to here labels are counted in a table of all numbers, a table for each thread.
const FEW: u64 = 1 << 20;

/// A label and the number of its voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelSize {
    /// The label; above 0.
    pub label: u64,
    /// Its voxels.
    pub voxels: u64,
}

/// Sizes of all labels, ascending by label; background is left out.
///
/// Cost: two passes over the voxels; memory is a table of the labels for each thread.
///
/// # Errors
/// [`crate::Error::Usage`] if the voxels are floats, or a label is negative.
pub fn sizes(labels: &Voxels) -> Result<Vec<LabelSize>> {
    check_type(labels)?;
    match_label!(labels, T => {
        let values: &[T] = bytemuck::cast_slice(labels.bytes());
        let largest = values.par_iter().copied().max().unwrap_or_default().to_u64();
        check_sign(labels.dtype(), largest)?;
        Ok(if largest < FEW { in_table(values, largest) } else { in_map(values) })
    })
}

fn in_table<T: Label>(values: &[T], largest: u64) -> Vec<LabelSize> {
    let empty = || vec![0_u64; largest as usize + 1];
    let tasks = values.par_chunks(TASK).with_min_len(4);
    let counts = tasks
        .fold(empty, |mut counts, values| {
            for run in values.chunk_by(|a, b| a == b) {
                counts[run[0].to_u64() as usize] += run.len() as u64;
            }
            counts
        })
        .reduce(empty, |mut a, b| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        });
    let sizes = (0..).zip(counts).skip(1).filter(|(_, voxels)| *voxels > 0);
    sizes.map(|(label, voxels)| LabelSize { label, voxels }).collect()
}

fn in_map<T: Label>(values: &[T]) -> Vec<LabelSize> {
    let tasks = values.par_chunks(TASK).with_min_len(4);
    let counts = tasks
        .fold(FxHashMap::<T, u64>::default, |mut counts, values| {
            for run in values.chunk_by(|a, b| a == b) {
                *counts.entry(run[0]).or_default() += run.len() as u64;
            }
            counts
        })
        .reduce(FxHashMap::default, |a, b| {
            let (mut large, small) = if a.len() < b.len() { (b, a) } else { (a, b) };
            for (label, voxels) in small {
                *large.entry(label).or_default() += voxels;
            }
            large
        });
    let found = counts.into_iter().filter(|(label, _)| *label != T::default());
    let mut sizes: Vec<LabelSize> =
        found.map(|(label, voxels)| LabelSize { label: label.to_u64(), voxels }).collect();
    sizes.par_sort_unstable_by_key(|size| size.label);
    sizes
}
