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

mod contingency;
mod rand;
pub mod reference;
mod scores;
mod variation_of_information;

pub use contingency::{Contingency, PairCount};
pub use scores::{ScoreOptions, Scores};
