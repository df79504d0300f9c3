//! Reading a window of a page: straight from the file where values are uncompressed, else by strips
//! and tiles.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::chunk;
use super::page::{Form, Page, PageName};
use crate::error::{Error, Place, Result};
use crate::format::plane_source::{Window, copy_sample};
use crate::format::raw::Endian;
use crate::limits::Limits;

/// A page with the file that holds it.
pub(super) struct OpenPage<'a> {
    pub(super) file: &'a File,
    pub(super) path: &'a Path,
    pub(super) name: PageName,
    pub(super) page: &'a Page,
    pub(super) limits: &'a Limits,
}

/// Buffers that are used again from chunk to chunk.
#[derive(Default)]
struct Scratch {
    packed: Vec<u8>,
    values: Vec<u8>,
}

/// Bytes that lie together in the file.
struct Run {
    offset: u64,
    length: usize,
}

impl OpenPage<'_> {
    /// Fills `out` with a window of one sample.
    ///
    /// # Errors
    /// [`Error::Format`] with page and strip or tile if the file is damaged.
    pub(super) fn read(&self, sample: u64, window: &Window, out: &mut [u8]) -> Result<()> {
        let form = self.form();
        if form.is_raw() && !form.tiled && form.chunk_samples() == 1 {
            return self.read_runs(sample, window, out);
        }
        let mut scratch = Scratch::default();
        for down in indices(&window.rows, form.chunk_rows) {
            for across in indices(&window.columns, form.chunk_columns) {
                self.read_chunk([down, across], sample, window, &mut scratch, out)?;
            }
        }
        Ok(())
    }

    fn form(&self) -> &Form {
        &self.page.form
    }

    /// Uncompressed strips: the fewest possible reads, directly into `out`.
    fn read_runs(&self, sample: u64, window: &Window, out: &mut [u8]) -> Result<()> {
        let mut rest = &mut *out;
        for run in self.runs(sample, window) {
            let (target, tail) = rest.split_at_mut(run.length.min(rest.len()));
            self.file.read_exact_at(target, run.offset).map_err(|e| self.read_error(e))?;
            rest = tail;
        }
        self.to_native(out);
        Ok(())
    }

    fn runs(&self, sample: u64, window: &Window) -> Vec<Run> {
        let form = self.form();
        let size = form.dtype.size() as u64;
        let whole_rows = window.width() == form.width;
        let mut runs: Vec<Run> = Vec::new();
        let mut push = |offset: u64, length: u64| match runs.last_mut() {
            Some(last) if last.offset + last.length as u64 == offset => {
                last.length += length as usize
            }
            _ => runs.push(Run { offset, length: length as usize }),
        };
        for down in indices(&window.rows, form.chunk_rows) {
            let first = down * form.chunk_rows;
            let rows = window.rows.start.max(first)..window.rows.end.min(first + form.chunk_rows);
            let strip = self.page.offset(self.index([down, 0], sample));
            let at =
                |row: u64| strip + (row - first) * form.row_bytes() + window.columns.start * size;
            if whole_rows {
                push(at(rows.start), (rows.end - rows.start) * form.row_bytes());
            } else {
                rows.for_each(|row| push(at(row), window.width() * size));
            }
        }
        runs
    }

    fn read_chunk(
        &self,
        at: [u64; 2],
        sample: u64,
        window: &Window,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<()> {
        let form = self.form();
        let corner = [at[0] * form.chunk_rows, at[1] * form.chunk_columns];
        let area = Window {
            rows: corner[0]..corner[0] + form.rows_of(at[0]),
            columns: corner[1]..corner[1] + form.chunk_columns,
        };
        let Some(part) = window.intersect(&area) else { return Ok(()) };
        let rows = part.rows.start - corner[0]..part.rows.end - corner[0];
        let skipped = self.load(at, sample, rows.clone(), scratch)?;
        let size = form.dtype.size();
        let columns =
            (part.columns.start - corner[1]) as usize..(part.columns.end - corner[1]) as usize;
        let out_row = window.width() as usize * size;
        let out_column = (part.columns.start - window.columns.start) as usize * size;
        let out_rows = out[(part.rows.start - window.rows.start) as usize * out_row..]
            .chunks_exact_mut(out_row);
        let sample = if form.interleaved { sample as usize } else { 0 };
        let stored = scratch.values.chunks_exact(form.row_bytes() as usize).skip(skipped);
        for (row, out_row) in stored.zip(out_rows).take((rows.end - rows.start) as usize) {
            let target = &mut out_row[out_column..out_column + columns.len() * size];
            copy_sample(row, columns.clone(), sample, form.chunk_samples() as usize, size, target);
        }
        Ok(())
    }

    /// Puts at least `rows` of a chunk into `scratch.values`; gives the number of rows before them.
    fn load(
        &self,
        at: [u64; 2],
        sample: u64,
        rows: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<usize> {
        let (form, index) = (self.form(), self.index(at, sample));
        if form.is_raw() {
            let count = self.check_size(rows.end - rows.start, index)?;
            scratch.values.resize(count, 0);
            let offset = self.page.offset(index) + rows.start * form.row_bytes();
            self.file.read_exact_at(&mut scratch.values, offset).map_err(|e| self.read_error(e))?;
            self.to_native(&mut scratch.values);
            return Ok(0);
        }
        let stored_rows = form.rows_of(at[0]);
        let unpacked = self.check_size(stored_rows, index)?;
        self.fetch(index, stored_rows, scratch)?;
        scratch.values.resize(unpacked, 0);
        chunk::decode(&scratch.packed, &mut scratch.values).map_err(|error| {
            Error::format(
                self.place(),
                format!("{} {index} cannot be decoded: {error}", form.chunk_name()),
            )
        })?;
        Ok(rows.start as usize)
    }

    /// Reads a compressed chunk behind the header that makes a file of it.
    fn fetch(&self, index: u64, rows: u64, scratch: &mut Scratch) -> Result<()> {
        let count = self.page.count(index);
        let limit = self.limits.max_chunk_bytes.min(u32::MAX.into());
        if count > limit {
            let what = format!("the compressed {} {index}", self.form().chunk_name());
            return Err(Error::LimitExceeded { place: self.place(), what, needed: count, limit });
        }
        scratch.packed = chunk::header(self.form(), rows, count);
        let start = scratch.packed.len();
        scratch.packed.resize(start + count as usize, 0);
        let (offset, target) = (self.page.offset(index), &mut scratch.packed[start..]);
        self.file.read_exact_at(target, offset).map_err(|e| self.read_error(e))
    }

    fn check_size(&self, rows: u64, index: u64) -> Result<usize> {
        let form = self.form();
        let place = self.place().with_chunk(&[index]);
        let shape = [rows, form.chunk_columns, form.chunk_samples()];
        self.limits.check_chunk(&shape, form.dtype.size(), &place)
    }

    fn index(&self, at: [u64; 2], sample: u64) -> u64 {
        let form = self.form();
        let plane = if form.interleaved { 0 } else { sample * form.chunks_down() };
        (plane + at[0]) * form.chunks_across() + at[1]
    }

    fn to_native(&self, bytes: &mut [u8]) {
        let form = self.form();
        let native = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
        if form.endian != native {
            swap_bytes(bytes, form.dtype.size());
        }
    }

    fn read_error(&self, source: std::io::Error) -> Error {
        if source.kind() == ErrorKind::UnexpectedEof {
            return Error::format(
                self.place(),
                "truncated: the file has become shorter since it was opened",
            );
        }
        Error::io(self.place(), source)
    }

    fn place(&self) -> Place {
        Place::path(self.path).with_key(self.name.to_string())
    }
}

/// Indices of the chunks of `size` that a range touches.
fn indices(range: &Range<u64>, size: u64) -> std::ops::RangeInclusive<u64> {
    range.start / size..=(range.end - 1) / size
}

fn swap_bytes(bytes: &mut [u8], size: usize) {
    // One loop per size: the compiler makes vector instructions of each.
    match size {
        2 => bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|b| b.reverse()),
        4 => bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|b| b.reverse()),
        8 => bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|b| b.reverse()),
        _ => {}
    }
}
