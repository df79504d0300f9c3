//! Conversions that are cut off anywhere and gone on with: the same bytes as in one go.

use std::fs;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use exavox_io::volume::{Codec, WriteMode};
use exavox_io::{DataType, Volume, VolumeWriter, Voxels, WriteOptions};
use exavox_pipeline::{ConvertOptions, ConvertReport, Event, Observer, Silent, convert};
use proptest::prelude::*;

const SHAPE: [usize; 3] = [30, 41, 37];
const TARGETS: [&str; 3] = ["b.zarr", "b.npy", "b.raw"];

/// Two channels of values that never repeat within a chunk.
fn write_source(folder: &Path) -> String {
    let name = folder.join("a.npy").display().to_string();
    let channels = vec!["0".to_owned(), "1".to_owned()];
    let options = WriteOptions::new(DataType::U16, SHAPE.map(|v| v as u64)).with_channels(channels);
    let writer = VolumeWriter::create(&name, &options).unwrap();
    let count = SHAPE.iter().product::<usize>();
    for channel in 0..2 {
        let values = (0..count).map(|i| (i * (7 + channel) + 1) as u16).collect();
        writer.write(channel, [0; 3], &Voxels::from_vec(SHAPE, values).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    name
}

fn options(target: &str, threads: usize) -> ConvertOptions {
    let mut options = ConvertOptions::default();
    options.mode = WriteMode::Resume;
    options.threads = NonZeroUsize::new(threads).unwrap();
    // About a hundred blocks.
    options.memory_bytes = Some(16_000 * threads as u64);
    options.chunk_shape = target.ends_with(".zarr").then_some([8, 16, 16]);
    options
}

/// Ends the run by a panic in every thread that gets past a number of blocks.
struct CutOff(AtomicI64);

impl Observer for CutOff {
    fn notify(&self, event: &Event<'_>) {
        if matches!(event, Event::Advanced { .. }) && self.0.fetch_sub(1, Ordering::SeqCst) <= 0 {
            resume_unwind(Box::new("cut off"));
        }
    }
}

/// Converts until `blocks` blocks are written; whether it came to its end before.
fn convert_some(source: &str, target: &str, options: &ConvertOptions, blocks: u32) -> bool {
    let observer = CutOff(AtomicI64::new(blocks.into()));
    let volume = Volume::open(source).unwrap();
    let run = AssertUnwindSafe(|| convert(&volume, target, options, &observer).unwrap());
    catch_unwind(run).is_ok()
}

fn resume(source: &str, target: &str, options: &ConvertOptions) -> Result<ConvertReport, String> {
    convert(&Volume::open(source).unwrap(), target, options, &Silent).map_err(|e| e.to_string())
}

/// Paths and contents of all files below, hidden ones too.
fn tree(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        if next.is_dir() {
            open.extend(fs::read_dir(&next).unwrap().map(|e| e.unwrap().path()));
        } else {
            let bytes = fs::read(&next).unwrap();
            found.push((next.strip_prefix(path).unwrap().to_owned(), bytes));
        }
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What a run in one go writes.
fn in_one_go(folder: &Path, source: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let whole = folder.join("whole");
    let mut options = options(target, 1);
    options.mode = WriteMode::CreateNew;
    resume(source, &whole.join(target).display().to_string(), &options).unwrap();
    let files = tree(&whole.join(target));
    fs::remove_dir_all(whole).unwrap();
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_run_cut_off_many_times_writes_what_one_run_does(
        target in prop::sample::select(TARGETS.to_vec()),
        cuts in prop::collection::vec((0..40_u32, 1..4_usize), 1..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = write_source(folder.path());
        let expected = in_one_go(folder.path(), &source, target);
        let path = folder.path().join(target);
        let name = path.display().to_string();
        let mut whole = false;
        for (blocks, threads) in cuts {
            whole = convert_some(&source, &name, &options(target, threads), blocks);
            if whole {
                break;
            }
            prop_assert!(!path.exists(), "an unfinished output has its final name");
        }
        let report = resume(&source, &name, &options(target, 2)).unwrap();
        prop_assert_eq!(report.already_whole, whole);
        prop_assert!(tree(&path) == expected);
        prop_assert_eq!(entries(folder.path()), ["a.npy", target]);
    }
}

#[test]
fn blocks_are_written_once_and_torn_ones_again() {
    for target in TARGETS {
        let folder = tempfile::tempdir().unwrap();
        let source = write_source(folder.path());
        let expected = in_one_go(folder.path(), &source, target);
        let name = folder.path().join(target).display().to_string();
        assert!(!convert_some(&source, &name, &options(target, 1), 9));
        let partial = folder.path().join(format!(".{target}.resume.partial"));
        let ledger = folder.path().join(format!(".{target}.resume.ledger"));

        // The tenth block was being written when the machine stopped: its line is torn, its data wrong.
        let text = fs::read_to_string(&ledger).unwrap();
        assert_eq!(text.lines().last(), Some("9"));
        fs::write(&ledger, text.strip_suffix("\n").unwrap()).unwrap();
        if partial.is_dir() {
            let newest = |p: &PathBuf| p.metadata().unwrap().modified().unwrap();
            let files = tree(&partial).into_iter().map(|(path, _)| partial.join(path));
            let chunk =
                files.filter(|p| p.extension().is_none_or(|e| e != "json")).max_by_key(newest);
            fs::write(chunk.unwrap(), "torn").unwrap();
            fs::write(partial.join("0/.0.0.0.77-1.partial"), "left over").unwrap();
        }
        let report = resume(&source, &name, &options(target, 1)).unwrap();
        assert_eq!(report.blocks_resumed, 9, "{target}");
        assert!(report.blocks > 9 && report.bytes < 2 * 2 * SHAPE.iter().product::<usize>() as u64);
        assert!(tree(Path::new(&name)) == expected, "{target}");
        assert_eq!(entries(folder.path()), ["a.npy", target]);
    }
}

#[test]
fn another_plan_is_refused_and_says_what_is_different() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    let name = folder.path().join("b.zarr").display().to_string();
    let same = options("b.zarr", 2);
    assert!(!convert_some(&source, &name, &same, 5));
    let changed = |change: &dyn Fn(&mut ConvertOptions)| {
        let mut options = same.clone();
        change(&mut options);
        resume(&source, &name, &options).unwrap_err()
    };
    for (error, expected) in [
        (changed(&|o| o.codec = Some(Codec::Raw)), "codec was Zstd(3) and is Raw"),
        (changed(&|o| o.dtype = Some(DataType::F32)), "type was uint16 and is float32"),
        (changed(&|o| o.chunk_shape = Some([8; 3])), "chunk shape was [8,16,16] and is [8,8,8]"),
        (changed(&|o| o.channels = vec!["1".into()]), "channels was [\"0\",\"1\"] and is [\"1\"]"),
        (
            changed(&|o| o.region = Some("1:,:,:".parse().unwrap())),
            "region was 0:30,0:41,0:37 and is 1:30,0:41,0:37",
        ),
    ] {
        assert!(error.contains("b.zarr") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    // A source that was written again is another source.
    let values = fs::read(&source).unwrap();
    fs::write(&source, values).unwrap();
    let error = resume(&source, &name, &same).unwrap_err();
    assert!(error.contains("source files was"), "{error}");
}

#[test]
fn threads_and_memory_may_change_but_blocks_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    let name = folder.path().join("b.npy").display().to_string();
    let expected = in_one_go(folder.path(), &source, "b.npy");
    assert!(!convert_some(&source, &name, &options("b.npy", 1), 5));
    let mut little = options("b.npy", 1);
    little.memory_bytes = Some(1000);
    let error = resume(&source, &name, &little).unwrap_err();
    assert!(error.contains("the limit for blocks is 1000"), "{error}");
    let mut much = options("b.npy", 3);
    much.memory_bytes = None;
    assert_eq!(resume(&source, &name, &much).unwrap().blocks_resumed, 6);
    assert!(tree(Path::new(&name)) == expected);
}

#[test]
fn what_cannot_be_resumed_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    for target in ["b.tif", "b_{z}.png", "b.h5:raw"] {
        let name = folder.path().join(target).display().to_string();
        let error = resume(&source, &name, &options("", 1)).unwrap_err();
        assert!(
            error.contains(".zarr, .n5, .precomputed, .npy and .raw can be resumed"),
            "{error}"
        );
    }
    // Wrong from the start: nothing was begun.
    let name = folder.path().join("new/b.zarr").display().to_string();
    let mut wrong = options("b.zarr", 1);
    wrong.shard_shape = Some([8, 16, 16]);
    resume(&source, &name, &wrong).unwrap_err();
    wrong.shard_shape = None;
    wrong.memory_bytes = Some(10);
    resume(&source, &name, &wrong).unwrap_err();
    assert_eq!(entries(&folder.path().join("new")), [""; 0]);
}

#[test]
fn a_whole_output_is_left_alone_if_it_is_what_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_source(folder.path());
    for target in TARGETS {
        let name = folder.path().join(target).display().to_string();
        let options = options(target, 1);
        assert!(!resume(&source, &name, &options).unwrap().already_whole);
        let before = tree(Path::new(&name));
        // Left by a run that was killed after its last rename.
        let ledger = folder.path().join(format!(".{target}.resume.ledger"));
        fs::write(&ledger, "").unwrap();
        let report = resume(&source, &name, &options).unwrap();
        assert!(report.already_whole && report.bytes == 0 && report.blocks == 0);
        assert!(tree(Path::new(&name)) == before && !ledger.exists());
        let mut part = options;
        part.region = Some("0:3,:,:".parse().unwrap());
        resume(&source, &name, &part).unwrap_err();
        assert!(tree(Path::new(&name)) == before);
    }
}
