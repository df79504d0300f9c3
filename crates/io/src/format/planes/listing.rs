//! Which files belong to which channel and plane, by their names alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::natural;
use super::pattern::{Fields, Pattern};
use crate::error::{Error, Place, Result};

/// The files of one channel in the order of z, or why it cannot be read.
pub(super) struct ChannelFiles {
    pub(super) name: String,
    pub(super) files: Result<Vec<PathBuf>, Damage>,
}

/// An error that is given again on each read of a channel.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    pub(super) place: Place,
    pub(super) message: String,
}

impl Damage {
    /// The error.
    pub(super) fn error(&self) -> Error {
        Error::format(self.place.clone(), self.message.clone())
    }
}

/// All files that fit a pattern.
pub(super) struct Listing {
    found: Vec<Found>,
}

struct Found {
    path: PathBuf,
    fields: Fields,
    z: u64,
    t: u64,
}

impl Listing {
    /// Lists the directories of a pattern.
    ///
    /// # Errors
    /// [`Error::Usage`] if no file fits; [`Error::Io`] if a directory cannot be read.
    pub(super) fn read(pattern: &Pattern) -> Result<Self> {
        let mut paths = vec![(pattern.folder().to_owned(), Fields::default())];
        let last = pattern.components().len() - 1;
        for (depth, component) in pattern.components().iter().enumerate() {
            let mut inner = Vec::new();
            for (directory, outer) in &paths {
                for name in names(directory)? {
                    let path = directory.join(&name);
                    let Some(fields) = component.fields(&name, outer) else { continue };
                    if depth == last || path.is_dir() {
                        let at = |message| Error::usage(Place::path(&path), message);
                        inner.push((path.clone(), fields.map_err(at)?));
                    }
                }
            }
            paths = inner;
        }
        let found: Vec<Found> = paths.into_iter().map(Found::new).collect::<Result<_>>()?;
        if found.is_empty() {
            return Err(Error::usage(Place::new(pattern.text()), "no file fits the pattern"));
        }
        Ok(Self { found })
    }

    /// The channels of a time point in natural order.
    ///
    /// # Errors
    /// [`Error::Usage`] if the time point does not exist.
    pub(super) fn channels(&self, pattern: &Pattern, time: usize) -> Result<Vec<ChannelFiles>> {
        let times: BTreeSet<u64> = self.found.iter().map(|f| f.t).collect();
        let wanted = if pattern.has_time() { times.iter().nth(time) } else { times.first() };
        let Some(&wanted) = wanted else {
            let message = format!("time point {time} does not exist, there are {}", times.len());
            return Err(Error::usage(Place::new(pattern.text()), message));
        };
        let mut groups: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
        for found in self.found.iter().filter(|f| f.t == wanted) {
            groups.entry(found.fields.channel.as_deref().unwrap_or("0")).or_default().push(found);
        }
        groups.values_mut().for_each(|files| files.sort_by_key(|f| f.z));
        let expected = expected_range(&groups);
        let mut channels: Vec<ChannelFiles> = groups
            .into_iter()
            .map(|(name, files)| ChannelFiles {
                name: name.to_owned(),
                files: check(name, &files, expected, pattern),
            })
            .collect();
        channels.sort_by(|a, b| natural::compare(&a.name, &b.name));
        Ok(channels)
    }
}

impl Found {
    fn new((path, fields): (PathBuf, Fields)) -> Result<Self> {
        let number = |text: &Option<String>| match text.as_deref().map(str::parse) {
            None => Ok(0),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => {
                let found = text.as_deref().unwrap_or_default();
                let is_number = found.bytes().all(|b| b.is_ascii_digit());
                let why = if is_number { "above 2^64" } else { "no number" };
                let message = format!("plane or time point '{found}' is {why}");
                Err(Error::format(Place::path(&path), message))
            }
        };
        let (z, t) = (number(&fields.z)?, number(&fields.t)?);
        Ok(Self { path, fields, z, t })
    }
}

/// The range of z without gaps that most channels have; the longer one if as many have another.
fn expected_range(groups: &BTreeMap<&str, Vec<&Found>>) -> Option<(u64, u64)> {
    let mut votes: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    for files in groups.values() {
        let whole = files.windows(2).all(|pair| pair[0].z.checked_add(1) == Some(pair[1].z));
        if let (true, Some(first), Some(last)) = (whole, files.first(), files.last()) {
            *votes.entry((first.z, last.z)).or_default() += 1;
        }
    }
    votes
        .into_iter()
        .max_by_key(|((first, last), votes)| (*votes, last - first))
        .map(|(range, _)| range)
}

fn check(
    name: &str,
    files: &[&Found],
    expected: Option<(u64, u64)>,
    pattern: &Pattern,
) -> Result<Vec<PathBuf>, Damage> {
    let (Some(head), Some(tail)) = (files.first(), files.last()) else { return Ok(Vec::new()) };
    let (first, last) = expected.unwrap_or((head.z, tail.z));
    let have = ranges(files);
    let damage = |place: &Path, message: String| Damage { place: Place::path(place), message };
    if let Some(pair) = files.windows(2).find(|pair| pair[0].z == pair[1].z) {
        let other = pair[0].path.display();
        return Err(damage(&pair[1].path, format!("the same channel and plane as {other}")));
    }
    let extra = files.iter().find(|f| !(first..=last).contains(&f.z));
    let mut present = files.iter().map(|f| f.z).filter(|z| (first..=last).contains(z)).peekable();
    // Counting stops at the first gap, so that a plane named z999999999999 costs nothing.
    let gap = (first..=last).find(|z| present.next_if_eq(z).is_none());
    if let Some(z) = gap {
        let message =
            format!("missing plane: channel {name} has z {have}, expected {first}-{last}");
        return Err(damage(&missing_path(pattern, head, z), message));
    }
    if let Some(extra) = extra {
        let message =
            format!("plane too many: channel {name} has z {have}, expected {first}-{last}");
        return Err(damage(&extra.path, message));
    }
    Ok(files.iter().map(|f| f.path.clone()).collect())
}

/// The path that a missing plane would have, with as many digits as its neighbour; the expression, if
/// there is one: it makes no names.
fn missing_path(pattern: &Pattern, neighbour: &Found, z: u64) -> PathBuf {
    if pattern.is_expression() {
        return PathBuf::from(pattern.text());
    }
    let mut fields = neighbour.fields.clone();
    let padded = fields.z.as_deref().filter(|t| t.starts_with('0')).map_or(1, str::len);
    fields.z = Some(format!("{z:0padded$}"));
    pattern.path(&fields)
}

/// `0-2,4-6` for files sorted by z.
fn ranges(files: &[&Found]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for file in files {
        match runs.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(file.z) => *end = file.z,
            _ => runs.push((file.z, file.z)),
        }
    }
    let text = |(first, last): &(u64, u64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Names in a directory; names that are not Unicode fit no pattern and are left out.
pub(super) fn names(directory: &Path) -> Result<Vec<String>> {
    let readable = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries = readable.read_dir().map_err(Error::at(readable))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::at(readable))?.file_name();
        names.extend(name.into_string().ok());
    }
    names.sort();
    Ok(names)
}
