//! Behaviour of whole runs, one module per subject.
#![allow(clippy::result_large_err)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "tests/agglomerate.rs"]
mod agglomerate;
#[path = "tests/block_steps.rs"]
mod block_steps;
#[path = "tests/by_blocks.rs"]
mod by_blocks;
#[path = "tests/components.rs"]
mod components;
#[path = "tests/convert.rs"]
mod convert;
#[path = "tests/downsample.rs"]
mod downsample;
#[path = "tests/estimate.rs"]
mod estimate;
#[path = "tests/evaluate.rs"]
mod evaluate;
#[path = "tests/filter.rs"]
mod filter;
#[path = "tests/flood.rs"]
mod flood;
#[path = "tests/jobs.rs"]
mod jobs;
#[path = "tests/parquet_damage.rs"]
mod parquet_damage;
#[path = "tests/planes.rs"]
mod planes;
#[path = "tests/project.rs"]
mod project;
#[path = "tests/reconcile.rs"]
mod reconcile;
#[path = "tests/records.rs"]
mod records;
#[path = "tests/resume.rs"]
mod resume;
#[path = "tests/segment.rs"]
mod segment;
#[path = "tests/segment_memory.rs"]
mod segment_memory;
#[path = "tests/segment_places.rs"]
mod segment_places;
#[path = "tests/segment_placing.rs"]
mod segment_placing;
#[path = "tests/subvolumes.rs"]
mod subvolumes;
#[cfg(feature = "train")]
#[path = "tests/train.rs"]
mod train;
#[cfg(feature = "train")]
#[path = "tests/train_channels.rs"]
mod train_channels;
#[cfg(feature = "train")]
#[path = "tests/train_memory.rs"]
mod train_memory;
#[cfg(feature = "train")]
#[path = "tests/train_res_conv_stack.rs"]
mod train_res_conv_stack;
#[path = "tests/union.rs"]
mod union;
#[path = "tests/varint.rs"]
mod varint;
