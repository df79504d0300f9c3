//! Tables read row by row, by the names of their columns, from CSV or Parquet.

use std::fmt;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use super::{TableFormat, wrong};
use crate::error::{Error, Result};

/// A value of a table that is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Not there, or empty.
    Empty,
    /// A whole number of at least 0.
    Whole(u64),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing"),
            Self::Whole(number) => number.fmt(f),
            Self::Other(text) => write!(f, "'{text}'"),
        }
    }
}

/// Columns of a table, chosen by name.
pub(crate) struct TableReader {
    path: PathBuf,
    columns: Vec<&'static str>,
    needed: Vec<&'static str>,
}

impl TableReader {
    /// Of a file whose name says how it is written.
    pub(crate) fn new(path: &Path, columns: &[&'static str]) -> Self {
        Self { path: path.to_owned(), columns: columns.to_vec(), needed: Vec::new() }
    }

    /// Refuses tables without these columns.
    #[must_use]
    pub(crate) fn with_needed(mut self, columns: &[&'static str]) -> Self {
        self.needed = columns.to_vec();
        self
    }

    /// Calls with the cells of each row, in the order in which the columns were named; what a table has no
    /// column for is empty. Rows count from 1.
    ///
    /// # Errors
    /// If the file cannot be read; what `take` returns, with file and row.
    pub(crate) fn read(
        &self,
        mut take: impl FnMut(&[Cell]) -> std::result::Result<(), String>,
    ) -> Result<()> {
        let mut row = 0_u64;
        let mut take = |cells: &[Cell]| {
            row += 1;
            take(cells)
                .map_err(|why| Error::settings(format!("{} row {row}", self.path.display()), why))
        };
        match TableFormat::of(&self.path) {
            TableFormat::Csv => self.read_csv(&mut take),
            TableFormat::Parquet => self.read_parquet(&mut take),
        }
    }

    fn read_csv(&self, take: &mut dyn FnMut(&[Cell]) -> Result<()>) -> Result<()> {
        let file = File::open(&self.path).map_err(exavox_io::Error::at(&self.path))?;
        let mut reader = csv::Reader::from_reader(std::io::BufReader::new(file));
        let header = reader.headers().map_err(|e| wrong(&self.path, e))?.clone();
        let place = |name: &&str| header.iter().position(|title| title.trim() == *name);
        self.check_header(|name| place(&name).is_some())?;
        let places: Vec<Option<usize>> = self.columns.iter().map(place).collect();
        for record in reader.records() {
            let record = record.map_err(|e| wrong(&self.path, e))?;
            let text =
                |place: &Option<usize>| place.and_then(|p| record.get(p)).unwrap_or_default();
            let cells: Vec<Cell> = places.iter().map(|place| Cell::of(text(place))).collect();
            take(&cells)?;
        }
        Ok(())
    }

    fn check_header(&self, has: impl Fn(&str) -> bool) -> Result<()> {
        match self.needed.iter().find(|name| !has(name)) {
            Some(name) => Err(wrong(&self.path, format!("expected a column {name}"))),
            None => Ok(()),
        }
    }

    fn read_parquet(&self, take: &mut dyn FnMut(&[Cell]) -> Result<()>) -> Result<()> {
        // What the crate's own checks of damaged files leave out ends in a panic of its reader.
        let read = AssertUnwindSafe(|| self.parquet_rows(take));
        std::panic::catch_unwind(read)
            .unwrap_or_else(|_| Err(wrong(&self.path, "damaged: no Parquet file can be so")))
    }

    fn parquet_rows(&self, take: &mut dyn FnMut(&[Cell]) -> Result<()>) -> Result<()> {
        let file = File::open(&self.path).map_err(exavox_io::Error::at(&self.path))?;
        let bytes = file.metadata().map_err(exavox_io::Error::at(&self.path))?.len();
        let reader = SerializedFileReader::new(file).map_err(|e| wrong(&self.path, e))?;
        check_columns(reader.metadata(), bytes).map_err(|e| wrong(&self.path, e))?;
        let schema = reader.metadata().file_metadata().schema();
        self.check_header(|name| schema.get_fields().iter().any(|field| field.name() == name))?;
        let rows = reader.get_row_iter(None).map_err(|e| wrong(&self.path, e))?;
        for row in rows {
            let row = row.map_err(|e| wrong(&self.path, e))?;
            let cells: Vec<Cell> = self.columns.iter().map(|name| cell(&row, name)).collect();
            take(&cells)?;
        }
        Ok(())
    }
}

/// Whether all columns lie inside the file, before anything of them is read.
fn check_columns(metadata: &ParquetMetaData, bytes: u64) -> std::result::Result<(), String> {
    for column in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let starts = [Some(column.data_page_offset()), column.dictionary_page_offset()];
        let start = starts.into_iter().flatten().min().unwrap_or(0);
        let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
        if end.and_then(|(start, size)| start.checked_add(size)).is_none_or(|end| end > bytes) {
            let (name, size) = (column.column_path(), column.compressed_size());
            return Err(format!(
                "damaged: column {name}: {size} bytes from {start} on, of a file of {bytes}"
            ));
        }
    }
    Ok(())
}

impl Cell {
    fn of(text: &str) -> Self {
        match text.trim() {
            "" => Self::Empty,
            // As pandas writes whole numbers of a column with gaps.
            text => match text.strip_suffix(".0").unwrap_or(text).parse() {
                Ok(number) => Self::Whole(number),
                Err(_) => Self::Other(text.to_owned()),
            },
        }
    }

    /// The number of a cell that must have one.
    pub(crate) fn number(&self, name: &str) -> std::result::Result<u64, String> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Empty => Err(format!("{name}: expected a whole number, found nothing")),
            Self::Other(text) => Err(format!("{name}: expected a whole number, found '{text}'")),
        }
    }
}

fn cell(row: &Row, name: &str) -> Cell {
    let Some((_, field)) = row.get_column_iter().find(|(title, _)| *title == name) else {
        return Cell::Empty;
    };
    let signed = |value: i64| {
        u64::try_from(value).map_or_else(|_| Cell::Other(value.to_string()), Cell::Whole)
    };
    match field {
        Field::Null => Cell::Empty,
        Field::Byte(value) => signed((*value).into()),
        Field::Short(value) => signed((*value).into()),
        Field::Int(value) => signed((*value).into()),
        Field::Long(value) => signed(*value),
        Field::UByte(value) => Cell::Whole((*value).into()),
        Field::UShort(value) => Cell::Whole((*value).into()),
        Field::UInt(value) => Cell::Whole((*value).into()),
        Field::ULong(value) => Cell::Whole(*value),
        // As pandas writes whole numbers of a column with gaps.
        Field::Double(value) if value.is_nan() => Cell::Empty,
        Field::Double(value) => whole(*value),
        Field::Float(value) if value.is_nan() => Cell::Empty,
        // Above, neighbours are the same f32.
        Field::Float(value) if *value >= 16_777_216.0 => Cell::Other(value.to_string()),
        Field::Float(value) => whole(f64::from(*value)),
        Field::Str(text) => Cell::of(text),
        other => Cell::Other(other.to_string()),
    }
}

/// A float that is a whole number small enough to be told from its neighbours.
fn whole(value: f64) -> Cell {
    if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
        return Cell::Whole(value as u64);
    }
    Cell::Other(value.to_string())
}
