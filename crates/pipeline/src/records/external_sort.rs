//! Sorting files that are larger than memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{PAGE_BYTES, Record, RecordFile, RecordReader, RecordWriter, Scratch, Written};
use crate::error::Result;

/// Runs that are merged at a time need a page as bytes and one as records each, and what the system takes.
const BYTES_PER_RUN: u64 = 3 * PAGE_BYTES as u64;

/// How records are sorted. The order is stable: records of equal keys stay in the order of the inputs,
/// so the output depends on the inputs alone.
///
/// Runs that fit into memory are sorted and then merged, as many at a time as there is memory for a page of
/// each, 512 at most. Each record is written twice, and once more for each further round of merging: with
/// 1 GiB of memory beyond 256 GiB of records.
pub struct ExternalSort<'a, T, F> {
    work_dir: &'a Path,
    memory_bytes: u64,
    key: F,
    combine: Option<&'a Combine<T>>,
}

/// Adds a record to an earlier one of the same key.
type Combine<T> = dyn Fn(&mut T, &T) + Sync;

impl<'a, T: Record, K: Ord + Copy, F: Fn(&T) -> K + Sync> ExternalSort<'a, T, F> {
    /// Sorts by `key`, with files in `work_dir` and about `memory_bytes` of memory, not below 1 MiB.
    pub fn new(work_dir: &'a Path, memory_bytes: u64, key: F) -> Self {
        Self { work_dir, memory_bytes: memory_bytes.max(1 << 20), key, combine: None }
    }

    /// Makes one record of those with the same key. `combine` must not change the key, and must not
    /// depend on how records are grouped: sums, minima.
    #[must_use]
    pub fn with_combine(mut self, combine: &'a Combine<T>) -> Self {
        self.combine = Some(combine);
        self
    }

    /// Writes all records of `inputs` to `output` in ascending order of their keys; it is on the disk when
    /// this returns.
    ///
    /// # Errors
    /// If a file is damaged or cannot be read or written.
    pub fn run(&self, inputs: &[PathBuf], output: &Path) -> Result<Written> {
        self.sort(inputs, output)?.finish()
    }

    /// For an output that need not survive a loss of power: work that would be done again.
    pub(crate) fn run_unsynced(&self, inputs: &[PathBuf], output: &Path) -> Result<Written> {
        self.sort(inputs, output)?.finish_unsynced()
    }

    fn sort(&self, inputs: &[PathBuf], output: &Path) -> Result<RecordWriter<T>> {
        let scratch = Scratch::new(self.work_dir, "sort")?;
        let fan_in = (self.memory_bytes / BYTES_PER_RUN).clamp(2, 512) as usize;
        // Half of the memory is what a stable sort moves records to.
        let run = (self.memory_bytes / 2 / size_of::<T>() as u64).max(1);
        self.sort_with(inputs, output, &scratch, run, fan_in)
    }

    fn sort_with(
        &self,
        inputs: &[PathBuf],
        output: &Path,
        scratch: &Scratch,
        run_records: u64,
        fan_in: usize,
    ) -> Result<RecordWriter<T>> {
        let mut made = 0;
        let mut name = || {
            made += 1;
            scratch.path(format!("run{made}"))
        };
        let mut runs = self.write_runs(inputs, run_records, &mut name)?;
        while runs.len() > fan_in {
            let mut merged = Vec::new();
            for group in runs.chunks(fan_in) {
                let path = name();
                let mut writer = RecordWriter::create(&path)?;
                self.merge(group, &mut writer)?;
                writer.finish_unsynced()?;
                remove(group);
                merged.push(path);
            }
            runs = merged;
        }
        let mut writer = RecordWriter::create(output)?;
        self.merge(&runs, &mut writer)?;
        Ok(writer)
    }

    fn write_runs(
        &self,
        inputs: &[PathBuf],
        run_records: u64,
        name: &mut impl FnMut() -> PathBuf,
    ) -> Result<Vec<PathBuf>> {
        let mut runs = Vec::new();
        let files = inputs.iter().map(|path| RecordFile::<T>::open(path));
        let files = files.collect::<Result<Vec<_>>>()?;
        let total: u64 = files.iter().map(RecordFile::len).sum();
        // Not left to grow: that would take half as much again.
        let mut records: Vec<T> = Vec::with_capacity(total.min(run_records) as usize);
        for file in files {
            let mut from = 0;
            while from < file.len() {
                let end = (from + run_records - records.len() as u64).min(file.len());
                file.append_to(from..end, &mut records)?;
                from = end;
                if records.len() as u64 == run_records {
                    runs.push(self.write_run(&mut records, name())?);
                }
            }
        }
        if !records.is_empty() {
            runs.push(self.write_run(&mut records, name())?);
        }
        Ok(runs)
    }

    fn write_run(&self, records: &mut Vec<T>, path: PathBuf) -> Result<PathBuf> {
        records.par_sort_by_key(|record| (self.key)(record));
        let mut writer = Combining::new(self, RecordWriter::create(&path)?);
        records.drain(..).try_for_each(|record| writer.push(record))?;
        writer.finish()?.finish_unsynced()?;
        Ok(path)
    }

    fn merge(&self, runs: &[PathBuf], to: &mut RecordWriter<T>) -> Result<()> {
        let open = |path: &PathBuf| RecordReader::<T>::open(path);
        let mut readers = runs.iter().map(open).collect::<Result<Vec<_>>>()?;
        let mut heap = BinaryHeap::new();
        for (run, reader) in readers.iter_mut().enumerate() {
            heap.extend(reader.peek()?.map(|record| Reverse(((self.key)(&record), run))));
        }
        let mut writer = Combining::new(self, to);
        while let Some(Reverse((_, run))) = heap.pop() {
            if let Some(record) = readers[run].pop()? {
                writer.push(record)?;
            }
            heap.extend(readers[run].peek()?.map(|record| Reverse(((self.key)(&record), run))));
        }
        writer.finish().map(drop)
    }
}

/// Writes sorted records, those of the same key as one where that is asked for.
struct Combining<'a, 'b, T, F, W> {
    sort: &'a ExternalSort<'b, T, F>,
    writer: W,
    last: Option<T>,
}

impl<'a, 'b, T, K, F, W> Combining<'a, 'b, T, F, W>
where
    T: Record,
    K: Ord + Copy,
    F: Fn(&T) -> K + Sync,
    W: std::borrow::BorrowMut<RecordWriter<T>>,
{
    fn new(sort: &'a ExternalSort<'b, T, F>, writer: W) -> Self {
        Self { sort, writer, last: None }
    }

    fn push(&mut self, record: T) -> Result<()> {
        let Some(combine) = self.sort.combine else { return self.writer.borrow_mut().push(record) };
        match &mut self.last {
            Some(last) if (self.sort.key)(last) == (self.sort.key)(&record) => {
                combine(last, &record);
                Ok(())
            }
            _ => match self.last.replace(record) {
                Some(last) => self.writer.borrow_mut().push(last),
                None => Ok(()),
            },
        }
    }

    fn finish(mut self) -> Result<W> {
        if let Some(last) = self.last.take() {
            self.writer.borrow_mut().push(last)?;
        }
        Ok(self.writer)
    }
}

/// Files that were merged; the folder goes at the end in any case.
fn remove(runs: &[PathBuf]) {
    for run in runs {
        let _ = std::fs::remove_file(run);
    }
}
