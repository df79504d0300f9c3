//! Agglomeration of segments: the consensus of two segmentations, the points at which segments are close,
//! both segmented again around them, scores, and merged labels. The rules are those of
//! [`exavox_compute::ffn::agglomerate`]; here they run over volumes, and go on after a kill.

mod blockwise;
mod consensus;
mod inputs;
mod merge;
mod outputs;
mod pair;
mod points;
mod record;
mod report;
mod settings;
mod whole;
mod work;

pub use consensus::{ConsensusOptions, ConsensusReport, consensus};
pub use merge::{AgglomerateReport, AgglomerateRun, agglomerate, agglomerate_with};
pub use pair::{PairRecord, RunRecord, ScoreRecord};
pub use points::{Point, PointOptions, Points, find_points, write_points};
pub use settings::{AgglomerateSettings, AgglomerateTable, Border};
pub use whole::{WholeReport, agglomerate_image, agglomerate_image_with};
