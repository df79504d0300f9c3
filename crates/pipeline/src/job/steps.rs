//! The steps that a plan may have: what each one takes, and how it is planned. One file each.

use serde::{Deserialize, Serialize};

use super::inputs::Inputs;
use super::{SharedTarget, StageContext};
use crate::blocks::{Stage, StagePlan};
use crate::error::Result;

mod blockwise;
mod codec;
mod components;
mod convert;
mod downsample;
mod evaluate;
mod files;
mod filter;
mod finish;
mod flood;
mod layout;
mod part;
mod part_files;
mod project;
mod segment;
mod source;
mod surface;
mod touching;

pub use codec::CodecName;
pub use components::{ComponentTotals, ComponentsSpec};
pub use convert::ConvertSpec;
pub use downsample::DownsampleSpec;
pub use evaluate::EvaluateSpec;
pub use filter::{FilterSettings, FilterSpec};
pub use flood::{FloodSpec, FloodTotals};
pub use layout::Layout;
pub use part::PartSpec;
pub use project::ProjectSpec;
pub use segment::SegmentSpec;
pub use source::SourceSpec;

/// A step, planned: it knows its stages by arithmetic, and opens them one at a time.
pub trait Step: Send + Sync {
    /// Its stages, in the order in which they must be complete.
    fn stages(&self) -> &[StagePlan];

    /// Opens a stage; all stages before it are complete.
    ///
    /// # Errors
    /// If an input or output cannot be opened.
    fn open<'a>(&'a self, stage: usize, context: &StageContext<'a>) -> Result<Box<dyn Stage + 'a>>;

    /// Volumes that it writes under names of the user's.
    fn targets(&self) -> Vec<&SharedTarget>;

    /// Refuses targets that are there before the job has begun.
    ///
    /// # Errors
    /// [`exavox_io::Error::Exists`].
    fn refuse_existing_targets(&self) -> Result<()> {
        self.targets().into_iter().try_for_each(|target| {
            target.check()?;
            target.refuse_existing()
        })
    }
}

/// A step of `PLAN.toml`: `[[step]]` with `run = "..."`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StepSpec {
    /// A coarser volume, or the coarser scales of a pyramid.
    Downsample(DownsampleSpec),
    /// A filter of every channel.
    Filter(FilterSpec),
    /// A projection along an axis.
    Project(ProjectSpec),
    /// Another format, type, chunk shape or codec, or a part.
    Convert(ConvertSpec),
    /// Connected components.
    Components(ComponentsSpec),
    /// Seeded flood fill.
    Flood(FloodSpec),
    /// Labels of a flood-filling network, by subvolumes.
    Segment(Box<SegmentSpec>),
    /// Labels against a ground truth.
    Evaluate(Box<EvaluateSpec>),
}

impl StepSpec {
    /// What it does, as `run` says.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Downsample(_) => "downsample",
            Self::Filter(_) => "filter",
            Self::Project(_) => "project",
            Self::Convert(_) => "convert",
            Self::Components(_) => "components",
            Self::Flood(_) => "flood",
            Self::Segment(_) => "segment",
            Self::Evaluate(_) => "evaluate",
        }
    }

    /// Plans it; volumes that it writes are known to later steps.
    ///
    /// # Errors
    /// If an input cannot be opened, or a setting does not fit it.
    pub fn plan(&self, inputs: &mut Inputs) -> Result<Box<dyn Step>> {
        match self {
            Self::Downsample(spec) => spec.plan(inputs),
            Self::Filter(spec) => spec.plan(inputs),
            Self::Project(spec) => spec.plan(inputs),
            Self::Convert(spec) => spec.plan(inputs),
            Self::Components(spec) => spec.plan(inputs),
            Self::Flood(spec) => spec.plan(inputs),
            Self::Segment(spec) => spec.plan(inputs),
            Self::Evaluate(spec) => spec.plan(inputs),
        }
    }
}
