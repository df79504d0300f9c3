//! Which labels touch, and in how many faces.

use exavox_io::Voxels;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Label, check_sign, check_type, match_label};
use crate::error::Result;

/// Two labels that touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// The labels, the smaller first; above 0.
    pub labels: [u64; 2],
    /// Faces of voxels between them, by the axis that they are square to: z, y, x.
    pub faces_zyx: [u64; 3],
}

impl Contact {
    /// Faces in all.
    pub fn faces(&self) -> u64 {
        self.faces_zyx.iter().sum()
    }
}

/// Faces between labels, by axis.
type Faces<T> = FxHashMap<[T; 2], [u64; 3]>;

/// All pairs of labels whose voxels share faces, ascending; background does not count.
///
/// Cost: a pass over the voxels; memory is a table of the pairs for each thread.
///
/// # Errors
/// [`crate::Error::Usage`] if the voxels are floats, or a label is negative.
pub fn contacts(labels: &Voxels) -> Result<Vec<Contact>> {
    check_type(labels)?;
    match_label!(labels, T => {
        let values: &[T] = bytemuck::cast_slice(labels.bytes());
        let largest = values.par_iter().copied().max().unwrap_or_default().to_u64();
        check_sign(labels.dtype(), largest)?;
        Ok(of_values(values, labels.shape()))
    })
}

fn of_values<T: Label>(values: &[T], [nz, ny, nx]: [usize; 3]) -> Vec<Contact> {
    let rows = (0..nz * ny * usize::from(nx > 0)).into_par_iter().with_min_len(64);
    let faces = rows
        .fold(Faces::<T>::default, |mut faces, row| {
            let at = |row: usize| &values[row * nx..(row + 1) * nx];
            if row >= ny {
                between(&mut faces, 0, at(row), at(row - ny));
            }
            if row % ny > 0 {
                between(&mut faces, 1, at(row), at(row - 1));
            }
            between(&mut faces, 2, &at(row)[1..], at(row));
            faces
        })
        .reduce(Faces::default, merge);
    let mut contacts: Vec<Contact> = faces
        .into_iter()
        .map(|(labels, faces_zyx)| Contact { labels: labels.map(T::to_u64), faces_zyx })
        .collect();
    contacts.par_sort_unstable_by_key(|contact| contact.labels);
    contacts
}

/// Counts the faces between two rows; pairs that follow each other are mostly the same.
fn between<T: Label>(faces: &mut Faces<T>, axis: usize, a: &[T], b: &[T]) {
    let mut last = ([T::default(); 2], 0);
    for (a, b) in a.iter().zip(b) {
        if a == b || *a == T::default() || *b == T::default() {
            continue;
        }
        let pair = [*a.min(b), *a.max(b)];
        if pair != last.0 {
            add(faces, axis, last);
            last = (pair, 0);
        }
        last.1 += 1;
    }
    add(faces, axis, last);
}

fn add<T: Label>(faces: &mut Faces<T>, axis: usize, (pair, count): ([T; 2], u64)) {
    if count > 0 {
        faces.entry(pair).or_default()[axis] += count;
    }
}

fn merge<T: Label>(a: Faces<T>, b: Faces<T>) -> Faces<T> {
    let (mut large, small) = if a.len() < b.len() { (b, a) } else { (a, b) };
    for (pair, faces) in small {
        let sum = large.entry(pair).or_default();
        (0..3).for_each(|axis| sum[axis] += faces[axis]);
    }
    large
}
