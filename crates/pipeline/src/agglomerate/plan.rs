//! What the runs of pairs depend on, so that a run that goes on is refused where something has changed.

use exavox_io::Volume;

use super::{AgglomerateSettings, AgglomerateTable};
use crate::error::Result;
use crate::ledger::Plan;
use crate::segment::plan::{flood_plan, identity, plan, value};

/// Everything that the runs of a pair depend on; `labels`: none if the run makes them itself.
pub(super) fn run_plan(
    labels: Option<&Volume>,
    image: &Volume,
    settings: &AgglomerateSettings,
) -> Result<Plan> {
    let mut all = flood_plan(image, &settings.segment)?;
    let mut entries = vec![("agglomerate", value(&AgglomerateTable::of_runs(settings)))];
    entries.extend(labels.map(|labels| ("labels", Ok(identity(labels)))));
    all.extend(plan(entries)?);
    Ok(all)
}
