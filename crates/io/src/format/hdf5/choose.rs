//! Datasets of a file by name, for a file that was given without one.

use std::collections::HashSet;
use std::path::Path;

use hdf5_reader::Hdf5File;
use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::group::Group;

use crate::error::{Error, Place, Result};

use super::of_hdf5;

/// Groups and datasets that are looked at; a file can have millions.
const MAX_OBJECTS: usize = 10_000;
/// Names that an error lists.
const MAX_LISTED: usize = 20;

/// The name of the only dataset of 2 to 4 axes.
pub(super) fn only_dataset(file: &Hdf5File, path: &Path) -> Result<String> {
    let mut names = list(file).map_err(|e| of_hdf5(Place::path(path), &e))?;
    if names.len() == 1
        && let Some(name) = names.pop()
    {
        return Ok(name);
    }
    let message = format!("name a dataset as {}:DATASET; {}", path.display(), found(&names));
    Err(Error::usage(Place::path(path), message))
}

/// The error for a dataset that is not there; lists those that are.
pub(super) fn not_found(file: &Hdf5File, path: &Path, name: &str) -> Error {
    let names = list(file).unwrap_or_default();
    Error::usage(Place::path(path).with_key(name), format!("no such dataset; {}", found(&names)))
}

fn found(names: &[String]) -> String {
    match names {
        [] => "found no dataset of 2 to 4 axes".to_owned(),
        _ => format!("found {}", names[..names.len().min(MAX_LISTED)].join(", ")),
    }
}

fn list(file: &Hdf5File) -> Result<Vec<String>, Hdf5Error> {
    let mut walk = Walk::default();
    walk.visit(&file.root_group()?, "")?;
    walk.names.sort();
    Ok(walk.names)
}

#[derive(Default)]
struct Walk {
    /// Addresses of groups: hard links can make circles.
    visited: HashSet<u64>,
    objects: usize,
    names: Vec<String>,
}

impl Walk {
    fn visit(&mut self, group: &Group, prefix: &str) -> Result<(), Hdf5Error> {
        if !self.visited.insert(group.address()) || self.objects > MAX_OBJECTS {
            return Ok(());
        }
        let (groups, datasets) = group.members()?;
        self.objects += groups.len() + datasets.len();
        for dataset in datasets.iter().filter(|d| (2..=4).contains(&d.ndim())) {
            self.names.push(format!("{prefix}{}", dataset.name()));
        }
        for child in &groups {
            self.visit(child, &format!("{prefix}{}/", child.name()))?;
        }
        Ok(())
    }
}
