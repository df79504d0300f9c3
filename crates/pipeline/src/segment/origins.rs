//! Seeds of an earlier run, from the table beside its labels.

use std::path::Path;

use crate::error::{Error, Result};

/// Seeds `[z, y, x]` of the segments of a `STEM.segments.csv`, in the order of the table.
///
/// # Errors
/// If the file cannot be read; [`Error::Settings`] names the line, expected and found.
pub(crate) fn in_order(path: &Path) -> Result<Vec<[u64; 3]>> {
    Ok(seeds(rows(path)?))
}

/// The same, that of the largest id first.
///
/// # Errors
/// As [`in_order`].
pub(super) fn descending(path: &Path) -> Result<Vec<[u64; 3]>> {
    let mut origins = rows(path)?;
    origins.sort_unstable_by(|a, b| b.cmp(a));
    Ok(seeds(origins))
}

fn seeds(origins: Vec<[u64; 4]>) -> Vec<[u64; 3]> {
    origins.into_iter().map(|[_, z, y, x]| [z, y, x]).collect()
}

/// Ids and seeds.
fn rows(path: &Path) -> Result<Vec<[u64; 4]>> {
    let bytes = std::fs::read(path).map_err(exavox_io::Error::at(path))?;
    let place = path.display().to_string();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let columns = columns(&mut reader, &place)?;
    let mut origins = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let place = format!("{place} line {}", line + 2);
        let record = record.map_err(|e| Error::settings(&place, e.to_string()))?;
        let mut values = [0; 4];
        for (value, (name, column)) in values.iter_mut().zip(&columns) {
            let text = record.get(*column).unwrap_or_default();
            *value = text.trim().parse::<u64>().map_err(|_| {
                Error::settings(&place, format!("{name}: expected a whole number, found '{text}'"))
            })?;
        }
        origins.push(values);
    }
    Ok(origins)
}

fn columns(reader: &mut csv::Reader<&[u8]>, place: &str) -> Result<[(&'static str, usize); 4]> {
    let header = reader.headers().map_err(|e| Error::settings(place, e.to_string()))?;
    let mut columns = ["id", "seed_z", "seed_y", "seed_x"].map(|name| (name, 0));
    for (name, column) in &mut columns {
        let found = header.iter().position(|title| title.trim() == *name);
        *column = found.ok_or_else(|| {
            Error::settings(place, format!("expected a column {name}, found none"))
        })?;
    }
    Ok(columns)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_comes_first_and_damage_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.segments.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            descending(&path)
        };
        let table = "id,seed_z,seed_y,seed_x,steps\n2,1,2,3,9\n10,4,5,6,9\n1,7,8,9,9\n";
        assert_eq!(read(table).unwrap(), [[4, 5, 6], [1, 2, 3], [7, 8, 9]]);
        assert_eq!(in_order(&path).unwrap(), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
        // By the names of the columns, whatever their order.
        assert_eq!(read("seed_x,id,seed_z,seed_y\n3,1,1,2\n").unwrap(), [[1, 2, 3]]);
        for (text, expected) in [
            ("id,seed_z,seed_y\n1,2,3\n", "expected a column seed_x"),
            ("id,seed_z,seed_y,seed_x\n1,2,x,3\n", "line 2: seed_y: expected a whole number"),
            ("id,seed_z,seed_y,seed_x\n1,2\n", "line 2"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("a.segments.csv"), "{error}");
        }
    }
}
