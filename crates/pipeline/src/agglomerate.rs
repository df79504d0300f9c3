//! Agglomeration of segments: the consensus of two segmentations, the points at which segments are close,
//! both segmented again around them, scores, and merged labels; segments followed beyond their ends. The rules are those of
//! [`exavox_compute::ffn::agglomerate`]; here they run over volumes, and go on after a kill.

mod blockwise;
mod consensus;
mod endpoint;
mod endpoint_tables;
mod endpoints;
mod files;
mod inputs;
mod merge;
mod outputs;
mod pair;
mod pair_table;
mod plan;
mod points;
mod record;
mod report;
mod run;
mod scene;
mod settings;
mod stages;
mod whole;
mod work;

pub use consensus::{ConsensusOptions, ConsensusReport, consensus};
pub use endpoint::{CoveredRecord, Endpoint, EndpointRecord, ExtensionRecord};
pub use endpoints::{
    EndpointReport, EndpointRun, extend_endpoints, extend_endpoints_with, read_endpoints,
};
pub use merge::{agglomerate, agglomerate_with};
pub use pair::{PairRecord, RunRecord, ScoreRecord};
pub use points::{Point, PointOptions, Points, find_points, write_points};
pub use run::{AgglomerateReport, AgglomerateRun};
pub use settings::{AgglomerateSettings, AgglomerateTable, Border};
pub use whole::{WholeReport, agglomerate_image, agglomerate_image_with};
