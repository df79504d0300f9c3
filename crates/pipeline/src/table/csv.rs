//! Tables as text.

use std::path::Path;

use super::{Column, Values, wrong};
use crate::error::Result;

impl Column {
    /// A value as text; none if it is not known.
    pub(super) fn cell(&self, row: usize) -> String {
        match &self.values {
            Values::Whole(values) => text(values, row, u64::to_string),
            Values::Number(values, Some(decimals)) => {
                text(values, row, |value| format!("{value:.decimals$}"))
            }
            Values::Number(values, None) => text(values, row, f64::to_string),
            Values::Flag(values) => {
                text(values, row, |yes| if *yes { "yes" } else { "no" }.to_owned())
            }
            Values::Text(values) => text(values, row, String::clone),
        }
    }
}

fn text<T>(values: &[Option<T>], row: usize, shown: impl Fn(&T) -> String) -> String {
    values.get(row).and_then(Option::as_ref).map(shown).unwrap_or_default()
}

/// A table of text: its header, and a line for each row.
pub(crate) fn csv_bytes<R, H, C>(
    path: &Path,
    header: H,
    rows: impl Iterator<Item = R>,
) -> Result<Vec<u8>>
where
    H: IntoIterator<Item: AsRef<[u8]>>,
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(|e| wrong(path, e))?;
    for row in rows {
        writer.write_record(row).map_err(|e| wrong(path, e))?;
    }
    writer.into_inner().map_err(|e| wrong(path, e))
}
