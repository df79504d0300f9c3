//! Quality of a segmentation against a ground truth.
//!
//! Everything comes from one [`Contingency`] table: how many voxels have which pair of labels. It is
//! sparse, is filled block by block, and tables of blocks add up, so that volumes of any size are
//! compared in the memory of their distinct pairs.
//!
//! | figure | definition, with `n_ij` voxels of truth `i` and prediction `j` |
//! |---|---|
//! | VOI split | `H(prediction given truth) = H(i, j) - H(i)`, bits |
//! | VOI merge | `H(truth given prediction) = H(i, j) - H(j)`, bits |
//! | Rand split | recall, `sum n_ij^2 / sum n_i^2` |
//! | Rand merge | precision, `sum n_ij^2 / sum n_j^2` |
//! | adapted Rand error | `1 - 2 PR / (P + R)` |
//! | SNEMI adapted Rand error | the same with truth 0 dropped and each voxel of prediction 0 a segment of its own |
//! | NVI | VOI by `H(i, j)` |
//! | NID | `1 - (H(i) + H(j) - H(i, j)) / max(H(i), H(j))` |
//! | CREMI score | geometric mean of SNEMI adapted Rand error and VOI; the challenge masks borders, see [`BorderMask`] |
//!
//! Tables that do not fit into memory are scored from their pairs in two orders by [`Scorer`]. Along
//! skeletons a segmentation is judged by [`expected_run_length`].

mod border;
mod contingency;
mod objects;
mod rand;
pub mod reference;
mod run_length;
mod scorer;
mod scores;
mod sums;
mod variation_of_information;

pub use border::BorderMask;
pub use contingency::{Contingency, PairCount};
pub use objects::{Object, Partner};
pub use run_length::{
    Edge, EdgeKinds, EdgeSum, MergeScope, RunLength, RunLengthOptions, SkeletonRuns,
    TracedSkeleton, expected_run_length,
};
pub use scorer::{Scorer, Side};
pub use scores::{ScoreOptions, Scores};
