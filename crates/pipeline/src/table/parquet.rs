//! Tables as Parquet: one column of the file for each, zstd, units in the metadata under `units`.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Column, Values, wrong};
use crate::error::Result;

/// Rows of a group: what a reader takes into memory at once.
const GROUP: usize = 1 << 20;

/// The columns as a file.
pub(super) fn bytes(path: &Path, columns: &[Column]) -> Result<Vec<u8>> {
    written(columns).map_err(|e| wrong(path, e))
}

fn written(columns: &[Column]) -> ParquetResult<Vec<u8>> {
    let fields = columns.iter().map(|column| field(column).map(Arc::new));
    let fields = fields.collect::<ParquetResult<Vec<_>>>()?;
    let schema = Arc::new(Type::group_type_builder("table").with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("exavox ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![units(columns)]))
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let rows = columns.first().map_or(0, Column::len);
    for start in (0..rows).step_by(GROUP) {
        let rows = start..(start + GROUP).min(rows);
        let mut group = file.next_row_group()?;
        for column in columns {
            let Some(mut writer) = group.next_column()? else { break };
            write(column, rows.clone(), writer.untyped())?;
            writer.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}

fn field(column: &Column) -> ParquetResult<Type> {
    let (physical, logical) = match &column.values {
        Values::Whole(_) => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Values::Number(..) => (Physical::DOUBLE, None),
        Values::Flag(_) => (Physical::BOOLEAN, None),
        Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(Repetition::OPTIONAL)
        .build()
}

/// `units`: an object of names of columns and their units.
fn units(columns: &[Column]) -> KeyValue {
    let units = columns.iter().filter_map(|c| Some((c.name.to_owned(), c.unit.clone()?.into())));
    let units = serde_json::Value::Object(units.collect());
    KeyValue::new("units".to_owned(), units.to_string())
}

fn write(
    column: &Column,
    rows: std::ops::Range<usize>,
    writer: &mut ColumnWriter<'_>,
) -> ParquetResult<()> {
    let count = rows.len();
    let written = match (&column.values, writer) {
        (Values::Whole(values), ColumnWriter::Int64ColumnWriter(writer)) => {
            // The bits of u64, as the type of the column says.
            let (values, levels) = parts(&values[rows], |value| *value as i64);
            writer.write_batch(&values, Some(&levels), None)?
        }
        (Values::Number(values, _), ColumnWriter::DoubleColumnWriter(writer)) => {
            let (values, levels) = parts(&values[rows], |value| *value);
            writer.write_batch(&values, Some(&levels), None)?
        }
        (Values::Flag(values), ColumnWriter::BoolColumnWriter(writer)) => {
            let (values, levels) = parts(&values[rows], |value| *value);
            writer.write_batch(&values, Some(&levels), None)?
        }
        (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
            let (values, levels) = parts(&values[rows], |value| ByteArray::from(value.as_str()));
            writer.write_batch(&values, Some(&levels), None)?
        }
        _ => return Err(ParquetError::General(format!("column {}: another type", column.name))),
    };
    debug_assert!(written <= count, "values that are known");
    Ok(())
}

/// The values that are known, and for each row whether it is (1) or not (0).
fn parts<T, U>(values: &[Option<T>], of: impl Fn(&T) -> U) -> (Vec<U>, Vec<i16>) {
    let levels = values.iter().map(|value| i16::from(value.is_some())).collect();
    (values.iter().flatten().map(of).collect(), levels)
}
