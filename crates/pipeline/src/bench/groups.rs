//! The groups, one file each.

use super::{Case, Group};
use crate::error::{Error, Result};

mod components;
mod distance;
mod ffn;
mod flood;
mod gaussian;
mod projection;

/// All groups, in the order of the table.
pub fn all_groups() -> [&'static dyn Group; 6] {
    [
        &projection::Projection,
        &flood::Flood,
        &components::Components,
        &distance::Distance,
        &gaussian::Gaussian,
        &ffn::FfnStep,
    ]
}

/// The group of a name, and its cases; of `GROUP/CASE` the one.
///
/// # Errors
/// If there is none; says which there are.
pub fn find_group(name: &str) -> Result<(&'static dyn Group, &'static [Case])> {
    let (name, case) = name.split_once('/').map_or((name, None), |(name, case)| (name, Some(case)));
    let groups = all_groups();
    let group = groups
        .into_iter()
        .find(|group| group.name() == name)
        .ok_or_else(|| unknown("group", name, groups.iter().map(|group| group.name())))?;
    let Some(case) = case else { return Ok((group, group.cases())) };
    let at = group
        .cases()
        .iter()
        .position(|known| known.name == case)
        .ok_or_else(|| unknown("case", case, group.cases().iter().map(|case| case.name)))?;
    Ok((group, &group.cases()[at..=at]))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known = known.collect::<Vec<_>>().join(", ");
    Error::settings("bench", format!("{what} '{name}' is unknown; known are {known}"))
}
