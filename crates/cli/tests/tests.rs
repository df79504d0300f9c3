//! Whole runs of the program: what it prints, how it ends, what it leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "tests/agglomerate.rs"]
mod agglomerate;
#[path = "tests/bench.rs"]
mod bench;
#[path = "tests/components.rs"]
mod components;
#[path = "tests/convert.rs"]
mod convert;
#[path = "tests/downsample.rs"]
mod downsample;
#[path = "tests/evaluate.rs"]
mod evaluate;
#[path = "tests/examples.rs"]
mod examples;
#[path = "tests/filter.rs"]
mod filter;
#[path = "tests/frame.rs"]
mod frame;
#[path = "tests/harness.rs"]
mod harness;
#[path = "tests/info.rs"]
mod info;
#[path = "tests/jobs.rs"]
mod jobs;
#[path = "tests/lab.rs"]
mod lab;
#[path = "tests/large.rs"]
mod large;
#[path = "tests/models.rs"]
mod models;
#[path = "tests/plan.rs"]
mod plan;
#[path = "tests/project.rs"]
mod project;
#[path = "tests/reference.rs"]
mod reference;
#[path = "tests/resume.rs"]
mod resume;
#[path = "tests/segment.rs"]
mod segment;
#[path = "tests/segment_at_once.rs"]
mod segment_at_once;
#[path = "tests/slurm.rs"]
mod slurm;
#[path = "tests/slurm_labels.rs"]
mod slurm_labels;
#[path = "tests/submit.rs"]
mod submit;
#[cfg(feature = "train")]
#[path = "tests/train.rs"]
mod train;
#[cfg(feature = "train")]
#[path = "tests/train_channels.rs"]
mod train_channels;
