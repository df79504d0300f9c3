//! Rows of Parquet files: of the columns that are asked for, after a look at what they say of their sizes.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};

use super::read::Cell;
use super::{page_headers, wrong};
use crate::error::Result;

/// Calls with the cells of each row, in the order of the names; what there is no column for is empty.
pub(super) fn read(
    path: &Path,
    names: &[&str],
    check_header: impl Fn(&dyn Fn(&str) -> bool) -> Result<()>,
    take: &mut dyn FnMut(&[Cell]) -> Result<()>,
) -> Result<()> {
    // What the crate's own checks of damaged files leave out ends in a panic of its reader.
    let read = AssertUnwindSafe(|| rows(path, names, check_header, take));
    std::panic::catch_unwind(read)
        .unwrap_or_else(|_| Err(wrong(path, "damaged: no Parquet file can be so")))
}

fn rows(
    path: &Path,
    names: &[&str],
    check_header: impl Fn(&dyn Fn(&str) -> bool) -> Result<()>,
    take: &mut dyn FnMut(&[Cell]) -> Result<()>,
) -> Result<()> {
    let mut file = File::open(path).map_err(exavox_io::Error::at(path))?;
    let bytes = file.metadata().map_err(exavox_io::Error::at(path))?.len();
    let again = file.try_clone().map_err(exavox_io::Error::at(path))?;
    let reader = SerializedFileReader::new(again).map_err(|e| wrong(path, e))?;
    let schema = reader.metadata().file_metadata().schema();
    let fields = chosen(schema, names);
    check_header(&|name| fields.iter().any(|field| field.name() == name))?;
    for column in columns(reader.metadata().row_groups(), &fields) {
        check_place(column, bytes).map_err(|e| wrong(path, e))?;
        page_headers::check(&mut file, column).map_err(|e| wrong(path, e))?;
    }
    let place = |name: &&str| fields.iter().position(|field| field.name() == *name);
    let places: Vec<Option<usize>> = names.iter().map(place).collect();
    let projection = projection(schema, fields).map_err(|e| wrong(path, e))?;
    for row in reader.get_row_iter(Some(projection)).map_err(|e| wrong(path, e))? {
        let row = row.map_err(|e| wrong(path, e))?;
        let values: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let at = |place: &Option<usize>| place.and_then(|place| values.get(place));
        let cells: Vec<Cell> =
            places.iter().map(|place| at(place).map_or(Cell::Empty, |field| cell(field))).collect();
        take(&cells)?;
    }
    Ok(())
}

/// The fields of these names, in the order of the file; of those of one name the first.
fn chosen(schema: &Type, names: &[&str]) -> Vec<TypePtr> {
    let first = |name: &&str| schema.get_fields().iter().position(|field| field.name() == *name);
    let mut places: Vec<usize> = names.iter().filter_map(first).collect();
    places.sort_unstable();
    places.into_iter().map(|place| Arc::clone(&schema.get_fields()[place])).collect()
}

fn projection(schema: &Type, fields: Vec<TypePtr>) -> ParquetResult<Type> {
    Type::group_type_builder(schema.name()).with_fields(fields).build()
}

/// Columns of all row groups that hold the fields.
fn columns<'a>(
    groups: &'a [RowGroupMetaData],
    fields: &'a [TypePtr],
) -> impl Iterator<Item = &'a ColumnChunkMetaData> {
    let of_field = |column: &&ColumnChunkMetaData| {
        let name = column.column_path().parts().first();
        name.is_some_and(|name| fields.iter().any(|field| field.name() == name))
    };
    groups.iter().flat_map(RowGroupMetaData::columns).filter(of_field)
}

/// Whether a column lies inside the file, before anything of it is read.
fn check_place(column: &ColumnChunkMetaData, bytes: u64) -> std::result::Result<(), String> {
    let starts = [Some(column.data_page_offset()), column.dictionary_page_offset()];
    let start = starts.into_iter().flatten().min().unwrap_or(0);
    let end = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    if end.and_then(|(start, size)| start.checked_add(size)).is_none_or(|end| end > bytes) {
        let (name, size) = (column.column_path(), column.compressed_size());
        return Err(format!(
            "damaged: column {name}: {size} bytes from {start} on, of a file of {bytes}"
        ));
    }
    Ok(())
}

fn cell(field: &Field) -> Cell {
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
