//! From segments that are too small to objects: consensus, decision points, resegmentation, scores.
//!
//! A flood-filling network that is set to merge little splits much. [`Consensus`] keeps of two
//! segmentations what both agree on, which splits further. Then pairs of segments that lie close together
//! are found with the point between them ([`find_decision_points`]), both are segmented again around that
//! point, each from a seed of its own ([`resegment`]), and if both runs come out as the same object,
//! which covers both segments, the two are one ([`PairScores`], [`MergeRule`]). A segment that ends where it
//! should not is followed alone ([`EndpointScores`]).
//!
//! Januszewski et al., Nature Methods 15 (2018), <https://doi.org/10.1038/s41592-018-0049-4>; the rules are
//! those of <https://github.com/google/ffn>.

mod attempts;
mod block;
mod consensus;
mod decision_points;
mod endpoint;
mod flood;
mod meetings;
mod resegmentation;
mod rule;
mod score;

pub use block::PairBlock;
pub use consensus::{Consensus, ConsensusCounts};
pub use decision_points::{DecisionPoint, DecisionPointOptions, find_decision_points};
pub use endpoint::{Covered, EndpointScores};
pub use flood::PairFlood;
pub use resegmentation::{
    Flooded, Resegmentation, ResegmentationOptions, Run, Side, Stopped, Threshold, resegment,
};
pub use rule::{MergeRule, Refusal};
pub use score::{PairScores, RunScores};
