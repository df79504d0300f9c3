//! Behaviour of the crate as others see it: one binary for all formats.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

#[path = "tests/compressed_segmentation.rs"]
mod compressed_segmentation;
#[path = "tests/flat.rs"]
mod flat;
#[path = "tests/hdf5.rs"]
mod hdf5;
#[path = "tests/outputs.rs"]
mod outputs;
#[path = "tests/pattern.rs"]
mod pattern;
#[path = "tests/peers.rs"]
mod peers;
#[path = "tests/planes.rs"]
mod planes;
#[path = "tests/png.rs"]
mod png_files;
#[path = "tests/precomputed.rs"]
mod precomputed;
#[path = "tests/precomputed_faults.rs"]
mod precomputed_faults;
#[path = "tests/precomputed_peers.rs"]
mod precomputed_peers;
#[path = "tests/tiff.rs"]
mod tiff;
#[path = "tests/tiff_builder.rs"]
mod tiff_builder;
#[path = "tests/tiff_faults.rs"]
mod tiff_faults;
#[path = "tests/tiff_peers.rs"]
mod tiff_peers;
#[path = "tests/zarr.rs"]
mod zarr;
#[path = "tests/zarr_faults.rs"]
mod zarr_faults;
