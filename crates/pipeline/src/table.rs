//! Tables for people and for other programs: typed columns, written as CSV or as Parquet, and read back by the
//! names of their columns.

use std::path::Path;

use crate::error::{Error, Result};

mod csv;
mod page_headers;
mod parquet;
mod parquet_rows;
mod read;

pub(crate) use csv::csv_bytes;
pub(crate) use read::{Cell, TableReader};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableFormat {
    /// Text, a line for each row, after one with the names of the columns.
    #[default]
    Csv,
    /// Apache Parquet, compressed with zstd; units are in its metadata.
    Parquet,
}

impl TableFormat {
    /// The format of a name: Parquet if it ends in `.parquet`.
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(suffix) if suffix.eq_ignore_ascii_case("parquet") => Self::Parquet,
            _ => Self::Csv,
        }
    }

    /// The end of its names.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Values of a column; what is not known is `None`.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    /// Whole numbers, u64 in Parquet.
    Whole(Vec<Option<u64>>),
    /// Numbers, f64 in Parquet; in CSV with so many decimals, or as many as they have.
    Number(Vec<Option<f64>>, Option<usize>),
    /// Booleans in Parquet, `yes` and `no` in CSV.
    Flag(Vec<Option<bool>>),
    /// Text.
    Text(Vec<Option<String>>),
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// The unit, where there is one.
    pub(crate) unit: Option<String>,
    pub(crate) values: Values,
}

impl Column {
    pub(crate) fn whole(name: &'static str, values: impl Iterator<Item = Option<u64>>) -> Self {
        Self { name, unit: None, values: Values::Whole(values.collect()) }
    }

    pub(crate) fn number(
        name: &'static str,
        decimals: Option<usize>,
        values: impl Iterator<Item = Option<f64>>,
    ) -> Self {
        Self { name, unit: None, values: Values::Number(values.collect(), decimals) }
    }

    pub(crate) fn flag(name: &'static str, values: impl Iterator<Item = Option<bool>>) -> Self {
        Self { name, unit: None, values: Values::Flag(values.collect()) }
    }

    pub(crate) fn text(name: &'static str, values: impl Iterator<Item = Option<String>>) -> Self {
        Self { name, unit: None, values: Values::Text(values.collect()) }
    }

    pub(crate) fn in_unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    fn len(&self) -> usize {
        match &self.values {
            Values::Whole(values) => values.len(),
            Values::Number(values, _) => values.len(),
            Values::Flag(values) => values.len(),
            Values::Text(values) => values.len(),
        }
    }
}

/// Columns of one length, as a file. `path` is for errors.
///
/// # Errors
/// If memory cannot be had.
pub(crate) fn table_bytes(path: &Path, format: TableFormat, columns: &[Column]) -> Result<Vec<u8>> {
    match format {
        TableFormat::Csv => {
            let rows = columns.first().map_or(0, Column::len);
            let header = columns.iter().map(|column| column.name);
            csv_bytes(path, header, (0..rows).map(|row| columns.iter().map(move |c| c.cell(row))))
        }
        TableFormat::Parquet => parquet::bytes(path, columns),
    }
}

fn wrong(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::settings(path.display().to_string(), error.to_string())
}
