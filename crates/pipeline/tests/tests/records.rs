//! Files of records: what comes back, what is refused, sorting with little memory.

use std::fs;
use std::path::{Path, PathBuf};

use exavox_pipeline::records::{
    ExternalSort, Record, RecordFile, RecordReader, RecordWriter, Written,
};
use exavox_pipeline::union::{Edge, Renaming};
use proptest::prelude::*;

/// Records of a page of edges.
const PAGE: u64 = 2048;

fn edges(count: u64) -> Vec<Edge> {
    let mixed = |n: u64| (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    (0..count).map(|n| Edge { a: mixed(2 * n), b: mixed(2 * n + 1) }).collect()
}

fn write<T: Record>(path: &Path, records: &[T]) -> Written {
    let mut writer = RecordWriter::create(path).unwrap();
    writer.extend(records).unwrap();
    assert_eq!(writer.count(), records.len() as u64);
    writer.finish().unwrap()
}

/// All records, or the text of the error.
fn all<T: Record>(path: &Path) -> Result<Vec<T>, String> {
    let reader = RecordReader::open(path).map_err(|e| e.to_string())?;
    reader.map(|record| record.map_err(|e| e.to_string())).collect()
}

#[test]
fn records_come_back_by_all_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edges");
    for count in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 5] {
        let expected = edges(count);
        let written = write(&path, &expected);
        assert_eq!(written.count, count);
        assert_eq!(all::<Edge>(&path).unwrap(), expected);
        let file = RecordFile::<Edge>::open(&path).unwrap();
        assert_eq!((file.len(), file.digest()), (count, written.digest));
        for (start, end) in
            [(0, count), (1, 2), (PAGE - 1, PAGE + 1), (count / 2, count + 9), (9, 3)]
        {
            let (from, to) = (start.min(count) as usize, end.min(count) as usize);
            let expected = expected.get(from..to).unwrap_or_default();
            assert_eq!(file.read(start..end).unwrap(), expected, "{start}:{end} of {count}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are left");
}

#[test]
fn a_writer_that_is_not_finished_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edges");
    write(&path, &edges(7));
    let mut writer = RecordWriter::create(&path).unwrap();
    writer.extend(&edges(9000)).unwrap();
    drop(writer);
    assert_eq!(all::<Edge>(&path).unwrap(), edges(7));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "temporary files are left");
}

#[test]
fn a_torn_file_is_refused_wherever_it_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edges");
    write(&path, &edges(PAGE + 3));
    let whole = fs::read(&path).unwrap();
    for length in (0..80).chain(whole.len() - 80..whole.len()).chain([PAGE as usize * 16 + 66]) {
        fs::write(&path, &whole[..length]).unwrap();
        let error = all::<Edge>(&path).unwrap_err();
        assert!(error.contains("edges") && !error.contains('\n'), "{length}: {error}");
    }
    fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    assert!(all::<Edge>(&path).unwrap_err().contains("torn"));
}

#[test]
fn every_flipped_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edges");
    write(&path, &edges(40));
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let error = all::<Edge>(&path).unwrap_err();
        assert!(error.contains("edges"), "byte {at}: {error}");
    }
}

#[test]
fn pages_of_another_place_or_file_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edges");
    let page = PAGE as usize * 16 + 4;
    let expected = edges(2 * PAGE);
    write(&path, &expected);
    let whole = fs::read(&path).unwrap();
    let (header, pages) = whole.split_at(64);
    fs::write(&path, [header, &pages[page..], &pages[..page]].concat()).unwrap();
    let error = all::<Edge>(&path).unwrap_err();
    assert!(error.contains("records 0:2048"), "{error}");

    let mut other = expected;
    other[0].a += 1;
    write(&path, &other);
    let other = fs::read(&path).unwrap();
    fs::write(&path, [header, &other[64..64 + page], &pages[page..]].concat()).unwrap();
    let error = all::<Edge>(&path).unwrap_err();
    assert!(error.contains("digest"), "{error}");
}

#[test]
fn another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map");
    write(&path, &[Renaming { id: 2, root: 1 }]);
    let error = all::<Edge>(&path).unwrap_err();
    assert!(error.ends_with("expected records of kind 'edge', found 'renaming'"), "{error}");
    fs::write(&path, [7; 300]).unwrap();
    assert!(all::<Edge>(&path).unwrap_err().contains("not a file of records"));
    let missing = folder.path().join("missing");
    assert!(all::<Edge>(&missing).unwrap_err().contains("missing"));
}

/// Sorts as the external sort should, in memory.
fn sorted(records: &[Edge], combined: bool) -> Vec<Edge> {
    let mut sorted = records.to_vec();
    sorted.sort_by_key(|edge| edge.a);
    if combined {
        sorted.dedup_by(|later, first| {
            let same = later.a == first.a;
            first.b += if same { later.b } else { 0 };
            same
        });
    }
    sorted
}

fn check_sort(records: &[Edge], files: usize, memory: u64, combined: bool) {
    let folder = tempfile::tempdir().unwrap();
    let share = records.len().div_ceil(files).max(1);
    let inputs: Vec<PathBuf> = records
        .chunks(share)
        .enumerate()
        .map(|(n, records)| {
            let path = folder.path().join(n.to_string());
            write(&path, records);
            path
        })
        .collect();
    let output = folder.path().join("sorted");
    let add = |sum: &mut Edge, more: &Edge| sum.b += more.b;
    let mut sort = ExternalSort::new(folder.path(), memory, |edge: &Edge| edge.a);
    if combined {
        sort = sort.with_combine(&add);
    }
    sort.run(&inputs, &output).unwrap();
    assert_eq!(all::<Edge>(&output).unwrap(), sorted(records, combined));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        inputs.len() + 1,
        "work files are left"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn sorting_is_stable_and_combines(
        keys in prop::collection::vec(0_u64..50, 0..400),
        files in 1_usize..4,
        combined: bool,
    ) {
        // Values tell the order of equal keys.
        let records: Vec<Edge> = keys.into_iter().zip(0..).map(|(a, b)| Edge { a, b }).collect();
        check_sort(&records, files, 0, combined);
    }
}

#[test]
fn several_rounds_of_merging_give_the_same() {
    // 1 MiB sorts 32,768 edges at a time and merges 10 runs.
    let mut records = edges(400_000);
    records.iter_mut().for_each(|edge| edge.a %= 9000);
    check_sort(&records, 3, 1 << 20, false);
    records.iter_mut().for_each(|edge| edge.b %= 1000);
    check_sort(&records, 2, 1 << 20, true);
}

#[test]
fn sorting_a_damaged_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input"), folder.path().join("output"));
    write(&input, &edges(PAGE * 3));
    let mut bytes = fs::read(&input).unwrap();
    bytes[70_000] ^= 1;
    fs::write(&input, bytes).unwrap();
    let sort = ExternalSort::new(folder.path(), 0, |edge: &Edge| edge.a);
    let error = sort.run(&[input], &output).unwrap_err().to_string();
    assert!(error.contains("input") && error.contains("records 4096:6144"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
