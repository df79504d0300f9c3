//! The seed policy of a request: a class of google/ffn and its arguments in JSON.

use std::path::Path;

use exavox_compute::ffn::seed::SeedPolicy;
use serde_json::{Map, Value as Json};

use super::{Field, Reader};
use crate::error::{Error, Result};
use crate::segment::SeedTable;
use crate::segment::seed_table::POLICIES;

/// Table of segments that a request's run leaves in its output directory.
const TABLE: &str = "labels.segments.csv";

/// The policy that two fields name together.
pub(super) fn policy(fields: &[Field], file: &str) -> Result<SeedPolicy> {
    let of = |name: &str| fields.iter().rfind(|field| field.name == name);
    let reader = |field| Reader { file, field };
    let Some(class) = of("seed_policy").map(reader) else {
        return Err(Error::settings(file, "seed_policy is missing"));
    };
    let arguments = of("seed_policy_args").map(reader);
    let text = match &arguments {
        Some(arguments) => arguments.text()?.trim(),
        None => "",
    };
    let arguments = arguments.as_ref().unwrap_or(&class);
    let map = match text {
        "" => Map::new(),
        _ => serde_json::from_str(text)
            .map_err(|e| arguments.wrong(&format!("is no object of JSON: {e}")))?,
    };
    of_class(class.text()?, map, arguments)
}

fn of_class(class: &str, mut map: Map<String, Json>, place: &Reader<'_>) -> Result<SeedPolicy> {
    let class = class.rsplit('.').next().unwrap_or(class);
    match class {
        "ReverseCoords" => {
            let Some(Json::String(inner)) = map.remove("policy_to_reverse") else {
                return Err(place.wrong("of ReverseCoords lacks policy_to_reverse, a name"));
            };
            Ok(SeedPolicy::Reverse(Box::new(of_class(&inner, map, place)?)))
        }
        "SequentialPolicies" => sequence(map, place),
        "PolicyInvertOrigins" => invert_origins(map, place),
        _ => plain(class, map, place),
    }
}

fn sequence(mut map: Map<String, Json>, place: &Reader<'_>) -> Result<SeedPolicy> {
    let policies = map.remove("policies");
    let Some(Json::Array(policies)) = policies.filter(|_| map.is_empty()) else {
        return Err(
            place.wrong("of SequentialPolicies is not {\"policies\": [[name, arguments], …]}")
        );
    };
    let policies = policies.into_iter().map(|policy| match policy {
        Json::Array(pair) => match <[Json; 2]>::try_from(pair) {
            Ok([Json::String(class), Json::Object(map)]) => of_class(&class, map, place),
            _ => Err(place.wrong("holds a policy that is not [name, {arguments}]")),
        },
        _ => Err(place.wrong("holds a policy that is not [name, {arguments}]")),
    });
    Ok(SeedPolicy::Sequence(policies.collect::<Result<_>>()?))
}

/// google/ffn reads the origins from a Python pickle; those of a run of exavox lie in a table.
fn invert_origins(mut map: Map<String, Json>, place: &Reader<'_>) -> Result<SeedPolicy> {
    map.remove("corner");
    let directory = map.remove("segmentation_dir");
    let Some(Json::String(directory)) = directory.filter(|_| map.is_empty()) else {
        return Err(place.wrong("of PolicyInvertOrigins is not {\"segmentation_dir\": \"…\"}"));
    };
    let path = Path::new(&directory).join(TABLE);
    if !path.is_file() {
        let why = format!(
            "of PolicyInvertOrigins: expected {TABLE} of an exavox run in {directory}; files of google/ffn \
             hold Python pickles and are not read"
        );
        return Err(place.wrong(&why));
    }
    let table = SeedTable {
        policy: Some("invert-origins".to_owned()),
        origins: Some(path),
        ..SeedTable::default()
    };
    table.seed_policy(Path::new(""), &place.place())
}

fn plain(class: &str, map: Map<String, Json>, place: &Reader<'_>) -> Result<SeedPolicy> {
    let Some(known) = POLICIES.iter().find(|known| known.class == class) else {
        let classes = POLICIES.map(|known| known.class).join(", ");
        let why = format!(
            "'{class}' is not supported; expected {classes}, ReverseCoords or SequentialPolicies"
        );
        return Err(place.wrong(&why));
    };
    let ours = ["policy", "sequence", "reverse", "points_zyx", "origins"];
    if let Some(name) = ours.iter().find(|name| map.contains_key(**name)) {
        return Err(place.wrong(&format!("of {class} does not take {name}")));
    }
    let table: SeedTable = serde_json::from_value(Json::Object(map))
        .map_err(|e| place.wrong(&format!("is not what {class} takes: {e}")))?;
    let table = SeedTable { policy: Some(known.name.to_owned()), ..table };
    table.seed_policy(Path::new(""), &place.place())
}
