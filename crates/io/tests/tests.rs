//! Behaviour of the crate as others see it: one binary for all formats.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]

#[path = "tests/compressed_segmentation.rs"]
mod compressed_segmentation;
#[path = "tests/expressions.rs"]
mod expressions;
#[path = "tests/flat.rs"]
mod flat;
#[path = "tests/hdf5.rs"]
mod hdf5;
#[path = "tests/hdf5_write.rs"]
mod hdf5_write;
#[path = "tests/memory.rs"]
mod memory;
#[path = "tests/mrc.rs"]
mod mrc;
#[path = "tests/n5.rs"]
mod n5;
#[path = "tests/n5_faults.rs"]
mod n5_faults;
#[path = "tests/nrrd.rs"]
mod nrrd;
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
#[path = "tests/pyramid.rs"]
mod pyramid;
#[cfg(feature = "remote")]
#[path = "tests/range_server.rs"]
mod range_server;
#[cfg(feature = "remote")]
#[path = "tests/remote_faults.rs"]
mod remote_faults;
#[cfg(feature = "remote")]
#[path = "tests/remote_stores.rs"]
mod remote_stores;
#[cfg(feature = "remote")]
#[path = "tests/remote_volumes.rs"]
mod remote_volumes;
#[cfg(feature = "remote")]
#[path = "tests/s3_server.rs"]
mod s3_server;
#[path = "tests/stores.rs"]
mod stores;
#[path = "tests/tiff.rs"]
mod tiff;
#[path = "tests/tiff_builder.rs"]
mod tiff_builder;
#[path = "tests/tiff_faults.rs"]
mod tiff_faults;
#[path = "tests/tiff_peers.rs"]
mod tiff_peers;
#[path = "tests/tiff_pyramids.rs"]
mod tiff_pyramids;
#[path = "tests/tiles.rs"]
mod tiles;
#[path = "tests/zarr.rs"]
mod zarr;
#[path = "tests/zarr_faults.rs"]
mod zarr_faults;
