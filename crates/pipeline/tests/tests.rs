//! Behaviour of whole runs, one module per subject.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "tests/convert.rs"]
mod convert;
#[path = "tests/segment.rs"]
mod segment;
