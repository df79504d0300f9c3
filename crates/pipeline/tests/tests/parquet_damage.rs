//! Parquet tables whose pages say of themselves what cannot be, and columns that nobody asks for.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use exavox_pipeline::agglomerate::read_endpoints;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::Int64Type;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::varint::varint;

const COLUMNS: [&str; 5] = ["id", "z", "more", "y", "x"];
const ROWS: i64 = 3000;

/// Whole numbers from 1 on in each column, which has a dictionary.
fn table(path: &Path) {
    let fields = COLUMNS.map(|name| format!("required int64 {name};")).concat();
    let schema = Arc::new(parse_message_type(&format!("message table {{ {fields} }}")).unwrap());
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties = Arc::new(WriterProperties::builder().set_compression(zstd).build());
    let mut file =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    let values: Vec<i64> = (1..=ROWS).collect();
    while let Some(mut column) = group.next_column().unwrap() {
        column.typed::<Int64Type>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
}

/// A number without a sign behind the mark of its field.
fn number(bytes: &[u8], at: &mut usize, mark: &[u8]) -> u64 {
    assert_eq!(&bytes[*at..*at + mark.len()], mark);
    *at += mark.len();
    let length = bytes[*at..].iter().position(|byte| *byte < 0x80).unwrap() + 1;
    let value = bytes[*at..*at + length]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    *at += length;
    value / 2
}

/// Another size of a column's dictionary, and other values in it; as long as the file was.
fn damage(path: &Path, column: usize, bytes_said: Option<u64>, values_said: Option<u64>) {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let column = reader.metadata().row_group(0).column(column).clone();
    let start = column.dictionary_page_offset().unwrap() as usize;
    let end = column.data_page_offset() as usize;
    let mut bytes = fs::read(path).unwrap();
    let mut at = start;
    let fields: [&[u8]; 4] = [&[0x15], &[0x15], &[0x15], &[0x4c, 0x15]];
    let said = fields.map(|mark| number(&bytes, &mut at, mark));
    let [kind, uncompressed, compressed, values] = said;
    let header = |compressed: u64| {
        let said =
            [kind, bytes_said.unwrap_or(uncompressed), compressed, values_said.unwrap_or(values)];
        let field = |(mark, value): (&&[u8], u64)| [mark, varint(2 * value).as_slice()].concat();
        fields.iter().zip(said).flat_map(field).collect::<Vec<u8>>()
    };
    // The page becomes shorter by what its header becomes longer.
    let longer = header(compressed).len() - (at - start);
    let new = header(compressed - longer as u64);
    assert_eq!(new.len(), at - start + longer);
    bytes.splice(start..at, new);
    bytes.drain(end..end + longer);
    fs::write(path, bytes).unwrap();
}

#[test]
fn pages_that_say_more_than_the_file_can_hold_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ends.parquet");
    table(&path);
    let ends = read_endpoints(&path).unwrap();
    assert_eq!((ends.len() as i64, ends[6].id, ends[6].point_zyx), (ROWS, 7, [7; 3]));
    let most = i32::MAX as u64;
    for (bytes, values, expected) in [
        (Some(most), None, "bytes, found 2147483647"),
        (None, Some(most), "values of a dictionary, found 2147483647"),
    ] {
        table(&path);
        damage(&path, 1, bytes, values);
        let error = read_endpoints(&path).unwrap_err().to_string();
        assert!(error.contains("ends.parquet") && error.contains("column \"z\""), "{error}");
        assert!(error.contains("expected at most") && error.contains(expected), "{error}");
    }
    // Of a column that nobody asks for nothing is read.
    table(&path);
    damage(&path, 2, Some(most), Some(most));
    assert_eq!(read_endpoints(&path).unwrap(), ends);
}
