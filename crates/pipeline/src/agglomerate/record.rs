//! Pairs or endpoints that are done, one JSON object a line. A run that was killed goes on after the last whole line.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use exavox_io::Error as IoError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Bytes of a line at most: a record of a pair has some 600, and so has one of an endpoint that covers few
/// segments; some 40 more for each.
const MAX_LINE: u64 = 1 << 26;

/// A number to nine decimals: so short, it comes back from JSON as it was.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// A record that is open for more.
pub(super) struct Log<T> {
    path: PathBuf,
    file: File,
    of: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Log<T> {
    /// Opens a record, or makes one; gives what is in it. From a line on that is torn or no record, all is
    /// cut off, and done again.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<T>)> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(IoError::at(path))?;
        let (records, bytes) = read(path, &file)?;
        file.set_len(bytes).map_err(IoError::at(path))?;
        file.seek(SeekFrom::Start(bytes)).map_err(IoError::at(path))?;
        Ok((Self { path: path.to_owned(), file, of: PhantomData }, records))
    }

    /// Adds one; it survives a loss of power.
    pub(super) fn append(&mut self, record: &T) -> Result<()> {
        let mut line = serde_json::to_string(record)
            .map_err(|e| Error::settings(self.path.display().to_string(), e.to_string()))?;
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        Ok(written.map_err(IoError::at(&self.path))?)
    }
}

/// The records up to the first line that is none, and their bytes.
fn read<T: DeserializeOwned>(path: &Path, file: &File) -> Result<(Vec<T>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut records, mut bytes, mut line) = (Vec::new(), 0, Vec::new());
    loop {
        line.clear();
        let length = std::io::Read::take(&mut reader, MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(IoError::at(path))?;
        if line.last() != Some(&b'\n') {
            return Ok((records, bytes));
        }
        let Ok(record) = serde_json::from_slice(&line) else { return Ok((records, bytes)) };
        records.push(record);
        bytes += length as u64;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{PairRecord, Point};
    use super::*;

    fn record(id_b: u64) -> PairRecord {
        let point = Point {
            id_a: 1,
            id_b,
            point_zyx: [1, 2, 3],
            distance: rounded(200.0_f64.sqrt()),
            voxels: [5, 6],
        };
        let (steps, seconds) = (7, 0.25);
        let stopped = Some("no seed in id_a".to_owned());
        PairRecord { point, steps, seconds, scores: None, stopped }
    }

    #[test]
    fn a_torn_end_does_not_count_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        let (mut log, found) = Log::<PairRecord>::open(&path).unwrap();
        assert!(found.is_empty());
        let all: Vec<PairRecord> = (2..5).map(record).collect();
        all.iter().for_each(|record| log.append(record).unwrap());
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let lines = whole[..length].iter().filter(|b| **b == b'\n').count();
            let (mut log, found) = Log::<PairRecord>::open(&path).unwrap();
            assert_eq!(found, all[..lines], "{length}");
            log.append(&record(9)).unwrap();
            assert_eq!(Log::<PairRecord>::open(&path).unwrap().1.len(), lines + 1, "{length}");
        }
    }

    #[test]
    fn rounded_numbers_come_back_as_they_were() {
        for n in 1..20_000 {
            let value = rounded(f64::from(n) / 7919.0 * f64::from(n % 100));
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), value, "{text}");
        }
        assert_eq!(rounded(0.8), 0.8);
    }

    #[test]
    fn what_follows_damage_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        let line = serde_json::to_string(&record(2)).unwrap();
        std::fs::write(&path, format!("{line}\n\0\0\0\n{line}\n")).unwrap();
        assert_eq!(Log::<PairRecord>::open(&path).unwrap().1.len(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{line}\n"));
    }
}
