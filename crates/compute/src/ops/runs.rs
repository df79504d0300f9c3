//! Objects as runs: what connected components and flood fill are made of.
//!
//! A run is a stretch of voxels along x that belong to one object. Rows become rows of bits (one marks
//! the voxels of objects, one the first voxel of each run), neighbouring rows are compared 64 voxels at a
//! time, and runs that touch are joined by union-find: He, Chao, Suzuki, "A run-based two-scan labeling
//! algorithm", IEEE Transactions on Image Processing 17 (2008).
//!
//! Runs are numbered in C order of their first voxels. The root of a set is its smallest number, so roots
//! in ascending order are objects in the order of their first voxels.
//!
//! Blocks are cut into slabs of rows, a task each; what touches across a seam is joined afterwards.

pub(super) mod build;
pub(super) mod forest;
pub(super) mod isa;
pub(super) mod layout;
pub(super) mod links;
pub(super) mod seams;
pub(super) mod slab;
