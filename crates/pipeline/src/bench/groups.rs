//! The groups, one file each.

use super::Group;
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

/// The group of a name.
///
/// # Errors
/// If there is none; says which there are.
pub fn find_group(name: &str) -> Result<&'static dyn Group> {
    let groups = all_groups();
    groups.into_iter().find(|group| group.name() == name).ok_or_else(|| {
        let known = groups.map(|group| group.name()).join(", ");
        Error::settings("bench", format!("group '{name}' is unknown; known are {known}"))
    })
}
