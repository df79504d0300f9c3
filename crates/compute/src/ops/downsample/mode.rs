//! The mode: neighbours mostly have one label, which is seen at once; else the cell is sorted.

use exavox_io::{DataType, Element, Voxels};

use super::cells::{CellRow, Cells};
use crate::error::{Error, Result};

pub(super) fn downsample(voxels: &Voxels, cells: &Cells) -> Result<Voxels> {
    match voxels.dtype() {
        DataType::U8 => mode_of::<u8>(voxels, cells),
        DataType::U16 => mode_of::<u16>(voxels, cells),
        DataType::U32 => mode_of::<u32>(voxels, cells),
        DataType::U64 => mode_of::<u64>(voxels, cells),
        DataType::I8 => mode_of::<i8>(voxels, cells),
        DataType::I16 => mode_of::<i16>(voxels, cells),
        DataType::I32 => mode_of::<i32>(voxels, cells),
        DataType::I64 => mode_of::<i64>(voxels, cells),
        DataType::F32 | DataType::F64 => {
            let message =
                format!("the mode is for labels, which are integers; found {}", voxels.dtype());
            Err(Error::Usage(message))
        }
    }
}

fn mode_of<T: Element + Ord>(voxels: &Voxels, cells: &Cells) -> Result<Voxels> {
    let values = voxels.as_slice::<T>()?;
    let mut out = Voxels::zeros(T::DTYPE, cells.count)?;
    let factor = cells.factor;
    cells.for_each_row(out.as_mut_slice::<T>()?, |scratch: &mut Vec<T>, row, out| match factor {
        [2, 2, 2] if row.num_rows() == 4 => twos(scratch, row, values, out),
        _ => any(scratch, row, values, factor[2], out),
    });
    Ok(out)
}

/// Cells of 2 x 2 x 2, whose four rows are all there.
fn twos<T: Element + Ord>(scratch: &mut Vec<T>, row: &CellRow, values: &[T], out: &mut [T]) {
    let mut rows = row.rows(values);
    let [Some(a), Some(b), Some(c), Some(d)] = std::array::from_fn(|_| rows.next()) else { return };
    let pairs = |row: &'_ [T]| row.as_chunks::<2>().0.len();
    let whole = pairs(a);
    let cells = [a, b, c, d].map(|row| row.as_chunks::<2>().0);
    let together = cells[0].iter().zip(cells[1]).zip(cells[2]).zip(cells[3]);
    for ((((a, b), c), d), target) in together.zip(out.iter_mut()) {
        let first = a[0];
        let same = (a[1] == first) & (*b == *a) & (*c == *a) & (*d == *a);
        *target = if same { first } else { mode_of_eight([*a, *b, *c, *d]) };
    }
    if let Some(target) = out.get_mut(whole) {
        *target = mode_of_cell(scratch, row, values, 2 * whole..a.len());
    }
}

/// Counted in pairs of equal values: quicker than sorting for so few.
fn mode_of_eight<T: Element + Ord>(cell: [[T; 2]; 4]) -> T {
    let values = cell.as_flattened();
    let mut best = (0, values[0]);
    for value in values {
        let count = values.iter().map(|other| u32::from(other == value)).sum();
        if count > best.0 || (count == best.0 && *value < best.1) {
            best = (count, *value);
        }
    }
    best.1
}

fn any<T: Element + Ord>(
    scratch: &mut Vec<T>,
    row: &CellRow,
    values: &[T],
    factor: usize,
    out: &mut [T],
) {
    let length = row.rows(values).next().map_or(0, <[T]>::len);
    for (x, target) in out.iter_mut().enumerate() {
        let columns = x * factor..((x + 1) * factor).min(length);
        *target = mode_of_cell(scratch, row, values, columns);
    }
}

/// The mode of some columns of a row of cells.
fn mode_of_cell<T: Element + Ord>(
    scratch: &mut Vec<T>,
    row: &CellRow,
    values: &[T],
    columns: std::ops::Range<usize>,
) -> T {
    scratch.clear();
    for row in row.rows(values) {
        scratch.extend_from_slice(&row[columns.clone()]);
    }
    let first = scratch.first().copied().unwrap_or_default();
    if scratch.iter().all(|value| *value == first) {
        return first;
    }
    scratch.sort_unstable();
    // Equal values lie together, the smallest first: a later one must occur more often.
    let mut best: &[T] = &[];
    for equal in scratch.chunk_by(|a, b| a == b) {
        if equal.len() > best.len() {
            best = equal;
        }
    }
    best.first().copied().unwrap_or(first)
}
