//! Progress of long work as events; who shows them, and how, is not known here.

/// What a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of input.
    Bytes,
    /// Voxels of input.
    Voxels,
    /// Seed positions of a flood-filling network.
    Seeds,
    /// Blocks of a stage.
    Blocks,
    /// Steps of an optimiser.
    Steps,
    /// Seconds of a run that ends by the clock.
    Seconds,
    /// Pairs of segments.
    Pairs,
    /// Ends of segments.
    Endpoints,
}

/// Something that happened during a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage begins, with `total` units of work ahead.
    Started {
        /// Name of the stage: `project`, `convert`, `flood`.
        stage: &'a str,
        /// Units of work.
        total: u64,
        /// What is counted.
        unit: Unit,
    },
    /// Work of the running stage is done.
    Advanced {
        /// Units done since the last event.
        by: u64,
        /// What the work is at, for people: `12 segments`; may be empty.
        note: &'a str,
    },
    /// One item of several (a channel) is done or has failed.
    Item {
        /// Name of the item.
        name: &'a str,
        /// The error, if it failed.
        error: Option<&'a str>,
    },
    /// The running stage has ended.
    Finished {
        /// Name of the stage.
        stage: &'a str,
        /// Wall-clock time of the stage.
        seconds: f64,
    },
    /// A training has taken a step; told before it is counted as an advance.
    #[cfg(feature = "train")]
    Trained(&'a crate::train::TrainView<'a>),
    /// Something that people should know, though the run goes on.
    Warning(&'a str),
}

/// Who is told of events; called from many threads.
pub trait Observer: Send + Sync {
    /// Takes note of an event. Must be fast: workers wait for it.
    fn notify(&self, event: &Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn notify(&self, _event: &Event<'_>) {}
}
