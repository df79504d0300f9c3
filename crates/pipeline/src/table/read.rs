//! Tables read row by row, by the names of their columns, from CSV or Parquet.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::{TableFormat, parquet_rows, wrong};
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
            TableFormat::Parquet => {
                let check = |has: &dyn Fn(&str) -> bool| self.check_header(has);
                parquet_rows::read(&self.path, &self.columns, check, &mut take)
            }
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
}

impl Cell {
    pub(super) fn of(text: &str) -> Self {
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
