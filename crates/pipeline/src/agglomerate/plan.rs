//! What the runs of pairs depend on, so that a run that goes on is refused where something has changed.

use exavox_io::Volume;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{AgglomerateSettings, AgglomerateTable};
use crate::error::{Error, Result};
use crate::job::print;
use crate::ledger::Plan;
use crate::segment::{InferenceTable, ModelTable, SegmentSettings, region_of, weights};

/// Everything that the runs of a pair depend on. Volumes and checkpoints count with their shapes and the times at
/// which their files were changed; `labels`: none if the run makes them itself.
pub(super) fn run_plan(
    labels: Option<&Volume>,
    image: &Volume,
    settings: &AgglomerateSettings,
) -> Result<Plan> {
    let segment = &settings.segment;
    let region = region_of(image.name(), image.shape(), segment)?;
    let mut entries = vec![
        ("image", Ok(identity(image))),
        ("scale", value(&image.scale())),
        ("region", value(&region.to_string())),
        ("model", value(&ModelTable::of(segment))),
        ("checkpoint", value(&weights(segment))),
        ("inference", value(&InferenceTable::of(segment))),
        ("masks", value(&segment.masks)),
        ("seed_masks", value(&segment.seed_masks)),
        ("shift_mask", value(&segment.shift_mask)),
        ("mask_volumes", mask_volumes(segment)),
        ("agglomerate", value(&AgglomerateTable::of_runs(settings))),
    ];
    entries.extend(labels.map(|labels| ("labels", Ok(identity(labels)))));
    plan(entries)
}

/// Name of a volume, and all that tells whether it is still the same.
fn identity(volume: &Volume) -> Value {
    let mut print = print(volume.name(), volume.metadata());
    if let Value::Object(print) = &mut print {
        print.insert("name".to_owned(), volume.name().into());
    }
    print
}

fn mask_volumes(settings: &SegmentSettings) -> Result<Value> {
    let mut prints = Map::new();
    for name in settings.mask_volumes() {
        prints.insert(name.clone(), print(name, Volume::open(name)?.metadata()));
    }
    Ok(Value::Object(prints))
}

/// A plan from names and values. Tables become an entry for each of their keys that has a value, so that
/// what has changed can be told.
pub(super) fn plan(entries: Vec<(&str, Result<Value>)>) -> Result<Plan> {
    let mut plan = Plan::new();
    for (name, value) in entries {
        match value? {
            Value::Object(table) => {
                let said = table.into_iter().filter(|(_, value)| !value.is_null());
                plan.extend(said.map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => {
                plan.insert(name.to_owned(), value);
            }
        }
    }
    Ok(plan)
}

/// A value for a plan.
pub(super) fn value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::settings("plan", e.to_string()))
}
