//! The ledger of a stage of a million blocks: noting them, counting them, finding the last one.
#![allow(clippy::expect_used, clippy::result_large_err, missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use exavox_pipeline::blocks::{Digest, Ledger};

const BLOCKS: u64 = 1_000_000;

/// A ledger in which all blocks but one of each thousand are done.
fn nearly_done(folder: &std::path::Path) -> Ledger {
    let ledger = Ledger::new(folder, Digest(1), BLOCKS, false);
    for block in (0..BLOCKS).filter(|block| block % 1000 != 7) {
        ledger.record(block, Digest(block)).expect("the disk");
    }
    ledger.seal(0..BLOCKS).expect("the disk");
    ledger
}

fn ledger(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = nearly_done(folder.path());
    let mut group = criterion.benchmark_group("ledger, 10^6 blocks");
    group.sample_size(10);
    group.bench_function("count, no page sealed", |b| b.iter(|| ledger.count()));
    group.bench_function("missing", |b| b.iter(|| ledger.missing(0..BLOCKS).count()));
    group.bench_function("record 10^4", |b| {
        b.iter_batched_ref(
            || tempfile::tempdir().expect("a folder"),
            |folder| {
                let ledger = Ledger::new(folder.path(), Digest(1), BLOCKS, false);
                (0..10_000).try_for_each(|block| ledger.record(block, Digest(block)))
            },
            BatchSize::PerIteration,
        );
    });
    for block in (7..BLOCKS).step_by(1000) {
        ledger.record(block, Digest(block)).expect("the disk");
    }
    ledger.seal(0..BLOCKS).expect("the disk");
    group.bench_function("count, all sealed", |b| b.iter(|| ledger.count()));
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
