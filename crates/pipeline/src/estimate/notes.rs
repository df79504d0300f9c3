//! What one should know before beginning.

use super::cluster::ClusterModel;
use super::figures::StageEstimate;
use super::quantity::count;

/// Arrays above which somebody should think again.
const MANY_ARRAYS: u64 = 100;

/// What one should know before beginning, a line each.
pub(super) fn notes(stages: &[StageEstimate], cluster: &ClusterModel) -> Vec<String> {
    let mut notes: Vec<String> = stages.iter().flat_map(|s| stage_notes(s, cluster)).collect();
    let gathered: Vec<String> = (stages.iter().filter(|s| s.simulated_units < s.shards))
        .map(|s| format!("{} as {}", s.name, count(s.simulated_units)))
        .collect();
    if !gathered.is_empty() {
        notes.push(format!(
            "too many shards to simulate each, gathered but for the last ones: {}",
            gathered.join(", ")
        ));
    }
    notes
}

fn stage_notes(stage: &StageEstimate, cluster: &ClusterModel) -> Vec<String> {
    let (name, at_once) = (&stage.name, stage.blocks_at_once_per_node);
    let mut notes = Vec::new();
    if at_once < cluster.slots_per_node {
        notes.push(format!(
            "{name}: the memory of a node is enough for {at_once} of its {} slots",
            cluster.slots_per_node
        ));
    }
    if stage.arrays > MANY_ARRAYS {
        notes.push(format!(
            "{name}: {} arrays of at most {} tasks; longer shards or larger arrays make fewer",
            count(stage.arrays),
            cluster.max_array_size
        ));
    }
    if cluster.mtbf_hours.is_some_and(|hours| stage.block_seconds > hours * 360.0) {
        notes.push(format!(
            "{name}: a block takes more than a tenth of the time between two failures of a node"
        ));
    }
    notes
}
