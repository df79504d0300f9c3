//! Volumes as blocks: a grid addressed by arithmetic, a ledger of what is done, and an engine that does
//! the rest.
//!
//! A [`Stage`] is a number of blocks, each a pure function of inputs, parameters and its own number, whose
//! output is committed before the [`Ledger`] says so. Who computes a block, when, on how many threads, and
//! how often, changes nothing; so a run can be killed anywhere and started again anywhere.

mod breaker;
mod digest;
mod each;
mod grid;
mod ledger;
mod local;
mod page;
mod stage;

pub use digest::Digest;
pub(crate) use each::for_each_block;
pub use grid::{BlockGrid, fitting_block};
pub use ledger::{BlockFailure, Ledger, LedgerCount};
pub use local::{LocalEngine, StageReport, StopFlag};
pub use stage::{BlockWorker, Stage, StagePlan};
