//! Sets from files of edges: the same bytes whatever the files, memory and threads; faults.

use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use exavox_pipeline::Silent;
use exavox_pipeline::records::RecordWriter;
use exavox_pipeline::union::{
    Edge, LabelMap, LabelSet, MAX_ID, MIN_MEMORY_BYTES, Renaming, UnionReport, largest_sets, union,
};
use tempfile::TempDir;

fn mixed(n: u64) -> u64 {
    let a = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let b = (a ^ a >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    b ^ b >> 31
}

/// Edges between neighbouring blocks, in the order of the blocks, and some between any two.
fn edges(count: u64) -> Vec<Edge> {
    let id = |block: u64, n: u64| block << 32 | (mixed(n) % 3000 + 1);
    let edge = |n: u64| {
        let block = n / 500;
        let other = if n.is_multiple_of(97) { mixed(n) % (count / 500 + 1) } else { block + n % 2 };
        Edge { a: id(block, 2 * n), b: id(other, 2 * n + 1) }
    };
    (0..count).map(edge).collect()
}

fn write(path: &Path, edges: &[Edge]) -> PathBuf {
    let mut writer = RecordWriter::create(path).unwrap();
    writer.extend(edges).unwrap();
    writer.finish().unwrap();
    path.to_owned()
}

/// The report, or the text of the error.
fn run(
    folder: &TempDir,
    files: &[PathBuf],
    name: &str,
    memory: u64,
) -> Result<UnionReport, String> {
    let work = folder.path().join("work");
    let done = union(files, &work, &folder.path().join(name), memory, &Silent);
    done.map_err(|e| e.to_string())
}

#[test]
fn files_memory_and_threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut edges = edges(900_000);
    let one = write(&folder.path().join("one"), &edges);
    let whole = run(&folder, &[one], "whole", 1 << 30).unwrap();
    assert_eq!((whole.edges, whole.parts), (900_000, 1));
    let expected = fs::read(folder.path().join("whole")).unwrap();

    edges.reverse();
    let files: Vec<_> = (0..3)
        .map(|n| {
            let part = &mut edges[n * 300_000..(n + 1) * 300_000];
            part.iter_mut().step_by(2).for_each(|edge| *edge = Edge { a: edge.b, b: edge.a });
            write(&folder.path().join(format!("part{n}")), part)
        })
        .collect();
    for (threads, memory) in [(1, MIN_MEMORY_BYTES), (3, MIN_MEMORY_BYTES), (2, 1 << 30)] {
        let pool = rayon_pool(threads);
        let report = pool.install(|| run(&folder, &files, "parts", memory)).unwrap();
        assert_eq!(report.parts > 1, memory == MIN_MEMORY_BYTES, "{report:?}");
        assert_eq!((report.digest, report.renamed), (whole.digest, whole.renamed));
        assert!(fs::read(folder.path().join("parts")).unwrap() == expected, "{threads} {memory}");
    }
    assert_eq!(fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn a_map_gives_roots_and_ranges() {
    let folder = tempfile::tempdir().unwrap();
    // Sets of seven: 7k + 1 to 7k + 7, in a map of several pages.
    let chain = (0..70_000).filter(|n| n % 7 != 6).map(|n| Edge { a: n + 2, b: n + 1 });
    let mut edges: Vec<Edge> = chain.collect();
    edges.push(Edge { a: MAX_ID - 1, b: MAX_ID - 2 });
    edges.push(Edge { a: 5_000_000, b: 5_000_000 });
    let file = write(&folder.path().join("edges"), &edges);
    run(&folder, &[file], "map", MIN_MEMORY_BYTES).unwrap();
    let map = LabelMap::open(&folder.path().join("map")).unwrap();
    assert_eq!(map.len(), 60_001);
    for id in [1, 2, 7, 8, 69_999, 70_000, 70_001, 5_000_000, MAX_ID - 2, MAX_ID - 1, MAX_ID] {
        let expected = match id {
            ..=70_000 => (id - 1) / 7 * 7 + 1,
            id if id == MAX_ID - 1 => MAX_ID - 2,
            id => id,
        };
        assert_eq!(map.root(id).unwrap(), expected, "{id}");
    }
    for range in [1..1, 1..2, 1..70_001, 4_000..9_000, 69_990..u64::MAX, 80_000..90_000] {
        let slice = map.range(range.clone()).unwrap();
        let renamed = range.clone().take(70_010).filter(|id| map.root(*id).unwrap() != *id);
        if range.end <= 9_000 {
            assert_eq!(slice.renamings().len(), renamed.count(), "{range:?}");
        }
        for id in range.take(100) {
            assert_eq!(slice.root(id), map.root(id).unwrap(), "{id}");
        }
    }
    let sets = largest_sets(&map, 2, folder.path(), 0).unwrap();
    assert_eq!(sets.sets, 10_001);
    let largest = [LabelSet { root: 1, members: 7 }, LabelSet { root: 8, members: 7 }];
    assert_eq!(sets.largest, largest);
}

#[test]
fn the_last_label_there_can_be_is_in_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map");
    let mut writer = RecordWriter::create(&path).unwrap();
    let last = Renaming { id: u64::MAX, root: 3 };
    writer.extend(&[Renaming { id: 9, root: 3 }, last]).unwrap();
    writer.finish().unwrap();
    let map = LabelMap::open(&path).unwrap();
    assert_eq!([9, 10, u64::MAX].map(|id| map.root(id).unwrap()), [3, 10, 3]);
    assert_eq!(map.range(..).unwrap().renamings().len(), 2);
    assert_eq!(map.range(10..).unwrap().renamings(), [last]);
    assert_eq!(map.range(10..=u64::MAX).unwrap().renamings(), [last]);
    assert_eq!(map.range(0..u64::MAX).unwrap().renamings().len(), 1);
    let after = (Bound::Excluded(9), Bound::Unbounded);
    assert_eq!(map.range(after).unwrap().renamings(), [last]);
}

#[test]
fn no_edges_make_an_empty_map() {
    let folder = tempfile::tempdir().unwrap();
    let empty = write(&folder.path().join("empty"), &[]);
    for files in [vec![], vec![empty]] {
        let report = run(&folder, &files, "map", MIN_MEMORY_BYTES).unwrap();
        assert_eq!((report.edges, report.renamed), (0, 0));
        let map = LabelMap::open(&folder.path().join("map")).unwrap();
        assert!(map.is_empty() && map.root(77).unwrap() == 77);
        assert_eq!(largest_sets(&map, 9, folder.path(), 0).unwrap().sets, 0);
    }
}

#[test]
fn ids_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (at, bad) in [(0, 0), (2999, 1 << 63), (1234, u64::MAX)] {
        let mut edges = edges(3000);
        edges[at].b = bad;
        let file = write(&folder.path().join("edges"), &edges);
        let error = run(&folder, &[file], "map", MIN_MEMORY_BYTES).unwrap_err();
        assert!(error.contains(&format!("edge {at}: expected ids from 1")), "{error}");
        assert!(error.contains(&bad.to_string()) && error.contains("edges"), "{error}");
        assert!(!folder.path().join("map").exists());
    }
}

#[test]
fn damage_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(&folder.path().join("good"), &edges(500_000));
    let bad = write(&folder.path().join("bad"), &edges(9000));
    let mut bytes = fs::read(&bad).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&bad, &bytes).unwrap();
    for memory in [MIN_MEMORY_BYTES, 1 << 30] {
        let files = [good.clone(), bad.clone()];
        let error = run(&folder, &files, "map", memory).unwrap_err();
        assert!(error.contains("bad: damaged"), "{error}");
        assert!(!folder.path().join("map").exists());
        let left = fs::read_dir(folder.path().join("work")).map_or(0, |files| files.count());
        assert_eq!(left, 0);
    }
    let error = run(&folder, &[good], "map", MIN_MEMORY_BYTES - 1).unwrap_err();
    assert!(error.contains("found 16777215"), "{error}");
}
