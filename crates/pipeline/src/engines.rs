//! Jobs on clusters: what is submitted, as text. Nothing here starts a process or talks to a network.
//!
//! The engine of a cluster deals out [shards](crate::job::shard_range) of a stage as the tasks of an array,
//! starts again what was lost with a node, and keeps the order of stages. Which blocks are done, only the
//! ledger says: a task that is started twice, late, or for nothing does no harm.

mod array;
mod chain;
mod deal;
pub mod kubernetes;
mod record;
mod shell;
pub mod slurm;

pub use array::{ArrayTask, array_task};
pub use chain::{Chain, StageTasks};
pub use deal::Deal;
pub use record::{Submission, SubmittedJob, keep_settings, kept_settings};
