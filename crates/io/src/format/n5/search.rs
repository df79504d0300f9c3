//! What a container holds, for a name that is neither dataset nor pyramid.

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::store::Directory;

use super::attributes::is_dataset;
use super::node::{document, scale_name};

/// Groups inside groups that are looked into.
const MAX_DEPTH: usize = 6;
/// Directories that are looked at.
const MAX_DIRECTORIES: usize = 2000;
/// Names that an error lists.
const MAX_NAMES: usize = 16;

/// Path of the only dataset or pyramid in a container.
///
/// # Errors
/// [`Error::Usage`] lists what there is if that is not one; [`Error::Unsupported`] if the store cannot
/// list.
pub(super) fn only_volume(directory: &Directory, limits: &Limits) -> Result<String> {
    let mut found = Search { limits, names: Vec::new(), looked_at: 0 };
    found.group(directory, "", 0).map_err(|error| match error {
        Error::Unsupported { place, .. } => {
            let message = "neither dataset nor pyramid, and the store cannot list; give the path of \
                a dataset, such as v.n5/raw/s0";
            Error::unsupported(place, message)
        }
        other => other,
    })?;
    let names = found.names;
    if let [only] = &names[..] {
        return Ok(only.clone());
    }
    let message = match names.len() {
        0 => "an N5 group without datasets".to_owned(),
        count => {
            let listed = names[..count.min(MAX_NAMES)].join(", ");
            let more = if count > MAX_NAMES { ", …" } else { "" };
            format!("{count} volumes here, give the path of one: {listed}{more}")
        }
    };
    Err(Error::usage(directory.place(""), message))
}

struct Search<'a> {
    limits: &'a Limits,
    names: Vec<String>,
    looked_at: usize,
}

impl Search<'_> {
    /// Adds the datasets and pyramids below a group, in the order of their names.
    fn group(&mut self, directory: &Directory, path: &str, depth: usize) -> Result<()> {
        for name in directory.list()? {
            // Outputs under construction begin with a dot.
            let name = name.strip_suffix('/').filter(|name| !name.starts_with('.'));
            let Some(name) = name else { continue };
            self.looked_at += 1;
            if depth >= MAX_DEPTH || self.looked_at > MAX_DIRECTORIES {
                return Ok(());
            }
            let child = directory.join(name);
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let is_volume = is_dataset(&document(&child, self.limits)?)
                || is_dataset(&document(&child.join(&scale_name(0)), self.limits)?);
            if is_volume {
                self.names.push(path);
            } else {
                self.group(&child, &path, depth + 1)?;
            }
        }
        Ok(())
    }
}
