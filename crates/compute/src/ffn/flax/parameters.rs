//! Where in a training state the parameters of a network are.

use super::msgpack::{Array, Value, entry};

/// Parts of a path under which an optimizer keeps things of the same names and shapes.
const NOT_TRAINED: [&str; 7] = ["opt_state", "param_states", "state", "mu", "nu", "trace", "grads"];
/// Names of moving averages.
const AVERAGED: [&str; 4] = ["ema_params", "ema", "avg_params", "polyak_params"];
/// Names of tensors that an error shows.
const NAMES_SHOWN: usize = 3;

/// The parameters of a network.
pub(super) struct Found {
    path: String,
    others: Vec<String>,
    /// Names from here on, `res0a/kernel`, without the number that connectomics may put before a layer.
    pub(super) tensors: Vec<(String, Array)>,
}

impl Found {
    /// The path, and what else there would be, for people.
    pub(super) fn place(&self) -> String {
        let path = if self.path.is_empty() { "the top" } else { &self.path };
        if self.others.is_empty() {
            return path.to_owned();
        }
        format!("{path} (there are also {})", self.others.join(", "))
    }
}

/// Finds the map with the layers of a network: the one of the path that is wanted, else the best.
///
/// # Errors
/// What is there instead.
pub(super) fn find(tree: &Value, wanted: Option<&str>) -> Result<Found, String> {
    let mut all = Vec::new();
    networks(tree, &mut Vec::new(), &mut all);
    // The sort is stable: of equals the first in the file counts.
    all.sort_by_key(|(path, _)| rank(path));
    let names: Vec<String> = all.iter().map(|(path, _)| path.join("/")).collect();
    let chosen = match wanted {
        None => 0,
        Some(wanted) => {
            let asked = wanted.trim_matches('/');
            let at = |name: &String| name == asked || name.strip_prefix(asked) == Some("/params");
            names.iter().position(at).ok_or_else(|| {
                format!("parameters: expected one of [{}], found '{wanted}'", names.join(", "))
            })?
        }
    };
    let Some((_, network)) = all.get(chosen) else { return Err(nothing(tree)) };
    let mut tensors = Vec::new();
    flatten(network, "", &mut tensors);
    let path = names[chosen].clone();
    let others = names.into_iter().enumerate().filter(|(n, _)| *n != chosen).map(|(_, p)| p);
    Ok(Found { path, others: others.collect(), tensors })
}

/// Every map with a layer `pre_a` of its own.
fn networks<'v>(
    value: &'v Value,
    path: &mut Vec<&'v str>,
    all: &mut Vec<(Vec<&'v str>, &'v Value)>,
) {
    let Value::Map(entries) = value else { return };
    let is_first = |(key, value): &(String, Value)| match value {
        Value::Map(layer) => without_number(key) == "pre_a" && entry(layer, "kernel").is_some(),
        _ => false,
    };
    if entries.iter().any(is_first) {
        all.push((path.clone(), value));
        return;
    }
    for (key, value) in entries {
        path.push(key);
        networks(value, path, all);
        path.pop();
    }
}

/// Small for what was trained, larger for averages, largest for what an optimizer keeps.
fn rank(path: &[&str]) -> (bool, bool, bool) {
    let has = |names: &[&str]| path.iter().any(|part| names.contains(part));
    (has(&NOT_TRAINED), has(&AVERAGED), !has(&["params"]))
}

fn flatten(value: &Value, name: &str, tensors: &mut Vec<(String, Array)>) {
    match value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let key = without_number(key);
                let name = if name.is_empty() { key.to_owned() } else { format!("{name}/{key}") };
                flatten(value, &name, tensors);
            }
        }
        Value::Array(array) => tensors.push((name.to_owned(), array.clone())),
        Value::Integer(_) | Value::Other => (),
    }
}

/// `7:res2b` -> `res2b`.
fn without_number(key: &str) -> &str {
    match key.split_once(':') {
        Some((number, name)) if number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => key,
    }
}

fn nothing(tree: &Value) -> String {
    let mut tensors = Vec::new();
    flatten(tree, "", &mut tensors);
    let names: Vec<&str> = tensors.iter().take(NAMES_SHOWN).map(|(n, _)| n.as_str()).collect();
    let more = if tensors.len() > NAMES_SHOWN { ", ..." } else { "" };
    format!(
        "expected the tensor pre_a/kernel of a ResConvStack, found [{}{more}]",
        names.join(", ")
    )
}
