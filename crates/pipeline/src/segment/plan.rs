//! What floods depend on, by names that people know, so that a run that goes on can tell what has changed.

use exavox_io::Volume;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{InferenceTable, ModelTable, SeedTable, Seeds, SegmentSettings, region_of, weights};
use crate::blocks::Digest;
use crate::error::{Error, Result};
use crate::job::print;
use crate::ledger::Plan;

/// Image, network, rules and masks. Volumes and checkpoints count with their shapes and the times at which their
/// files were changed.
pub(crate) fn flood_plan(image: &Volume, settings: &SegmentSettings) -> Result<Plan> {
    let region = region_of(image.name(), image.shape(), settings)?;
    plan(vec![
        ("image", Ok(identity(image))),
        ("scale", value(&image.scale())),
        ("region", value(&region.to_string())),
        ("model", value(&ModelTable::of(settings))),
        ("checkpoint", value(&weights(settings))),
        ("inference", value(&InferenceTable::of(settings))),
        ("masks", value(&settings.masks)),
        ("seed_masks", value(&settings.seed_masks)),
        ("shift_mask", value(&settings.shift_mask)),
        ("mask_volumes", mask_volumes(settings)),
    ])
}

/// The same with seeds and labels of before: all that the labels of a segmentation depend on.
pub(super) fn labels_plan(image: &Volume, settings: &SegmentSettings) -> Result<Plan> {
    let mut all = flood_plan(image, settings)?;
    let seeds = match &settings.seeds {
        Seeds::Policy(_) => value(&SeedTable::of(settings)),
        Seeds::Points(points) => {
            let places: Vec<u8> = points.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
            value(&Digest::of(&places))
        }
    };
    let before = settings.init_segmentation.as_ref();
    let before = before.map(|name| Ok(identity(&Volume::open(name)?)));
    all.extend(plan(vec![
        ("seeds", seeds),
        ("initial_labels", before.unwrap_or(Ok(Value::Null))),
    ])?);
    Ok(all)
}

/// Name of a volume, and all that tells whether it is still the same.
pub(crate) fn identity(volume: &Volume) -> Value {
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
pub(crate) fn plan(entries: Vec<(&str, Result<Value>)>) -> Result<Plan> {
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
pub(crate) fn value(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::settings("plan", e.to_string()))
}
