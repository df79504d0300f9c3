//! Training of flood-filling networks, from labels to weights that [`crate::segment`] uses.
//!
//! What happens is that of google/ffn (`train.py`): voxels are told apart by how much of the box around
//! them is their own object, and all such classes come up equally often; around each the field of view
//! moves as in inference, and every position is one step of the optimiser on new logits against soft
//! labels; what the network said is written back and is what it sees next.
//!
//! ```text
//! volumes -> census of classes -> example number -> centre -> crop -> augmentation -> example
//!                                                                                      | thread
//!     checkpoint <- weights <- step <- batch: one field of view of each generator <- generators
//! ```
//!
//! Nothing large is stored: the census has a few numbers for each block of 64 voxels; an example follows
//! from its number alone, so that a run that was killed goes on, from its last checkpoint,
//! to the same weights, bit by bit, as one that was not.

mod augment;
mod census;
mod checkpoint;
pub mod config;
mod coordinates;
mod curves;
mod ending;
mod example;
mod feeder;
mod folder;
mod generator;
mod geometry;
mod learner;
mod log;
mod material;
mod memory;
mod moves;
mod partition;
mod positions;
mod run;
mod session;
mod source;
mod start;
mod tally;
mod validation;
mod view;

pub use config::TrainConfig;
pub use curves::thinned;
pub use folder::StartMode;
pub use log::CurvePoint;
pub use run::{Select, TrainReport, TrainRun, train};
pub use validation::Validated;
pub use view::TrainView;
