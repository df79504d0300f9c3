//! One label space for blocks that were labelled on their own.
//!
//! Blocks overlap. Where two of them do, labels that occur in the same voxels are counted
//! ([`overlap()`]), a rule decides which of them are one ([`LinkRule`]), and what it decided is written with
//! the place to look at ([`FacesWriter`]). Labels are named by [`GlobalIds`]: block number and label in the
//! block, so that an id does not depend on who labelled what when. The links go to [`crate::union`]; the
//! report says how many there were, what was refused, and where ([`report()`]).

mod faces;
mod global_ids;
mod links;
mod overlap;
mod report;

pub use faces::{Face, FaceRecord, FacesWriter, FacesWritten, edges_path, faces_path};
pub use global_ids::GlobalIds;
pub use links::{Decided, LinkRule, Verdict, decide};
pub use overlap::{Label, LabelSize, Overlap, OverlapTable, overlap};
pub use report::{Conflict, ReconcileReport, Refusals, report};
