//! Planes in many files as one volume. A damaged channel gives its error when it is read; the others
//! are not touched by it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::listing::{ChannelFiles, Damage};
use crate::dtype::DataType;
use crate::error::{Error, Place, Result};
use crate::format::plane_source::{PlaneSource, Window};
use crate::format::png::PngReader;
use crate::format::tiff::{KeepOpen, TiffReader};
use crate::metadata::Metadata;
use crate::volume::OpenOptions;

/// Files that stay open. The others are opened for each read: systems allow some 1000 open files.
const MAX_OPEN: usize = 256;

/// What one file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// One plane.
    FilePerPlane,
    /// All planes of a channel.
    FilePerChannel,
}

/// A volume of planes in many files.
pub(super) struct PlanesReader {
    metadata: Metadata,
    grouping: Grouping,
    channels: Vec<Result<Vec<Box<dyn PlaneSource>>, Damage>>,
}

type Form = ([u64; 3], DataType);

impl PlanesReader {
    /// Opens all files, in parallel, and compares them.
    ///
    /// # Errors
    /// [`Error::Format`] of the first channel if all channels are damaged.
    pub(super) fn open(
        location: &Path,
        channels: Vec<ChannelFiles>,
        grouping: Grouping,
        options: &OpenOptions,
    ) -> Result<Self> {
        let names: Vec<String> = channels.iter().map(|c| c.name.clone()).collect();
        let files: Vec<_> = channels.into_iter().map(|c| c.files).collect();
        let opened = open_all(&files, options);
        let form = common_form(&opened);
        let channels: Vec<_> = files
            .into_iter()
            .zip(opened)
            .map(|(paths, sources)| whole_channel(&paths?, sources, form, grouping))
            .collect();
        let Some(first) = channels.iter().find_map(|c| c.as_ref().ok()) else {
            let damage = channels.into_iter().find_map(Result::err).map(|d| d.error());
            return Err(damage.unwrap_or_else(|| Error::usage(Place::path(location), "no channel")));
        };
        let metadata = describe(first, names, grouping);
        Ok(Self { metadata, grouping, channels })
    }
}

impl PlaneSource for PlanesReader {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read_plane(&self, channel: usize, z: u64, window: &Window, out: &mut [u8]) -> Result<()> {
        let missing = || {
            let message = format!("plane {z} of channel {channel} does not exist");
            Error::usage(Place::new(&self.metadata.format), message)
        };
        let files =
            self.channels.get(channel).ok_or_else(missing)?.as_ref().map_err(Damage::error)?;
        let (file, z) = match self.grouping {
            Grouping::FilePerPlane => (z as usize, 0),
            Grouping::FilePerChannel => (0, z),
        };
        files.get(file).ok_or_else(missing)?.read_plane(0, z, window, out)
    }
}

type Opened = Result<Box<dyn PlaneSource>>;

/// Opens the files of all channels that have no damage yet.
fn open_all(channels: &[Result<Vec<PathBuf>, Damage>], options: &OpenOptions) -> Vec<Vec<Opened>> {
    let paths: Vec<&Path> = channels.iter().flatten().flatten().map(PathBuf::as_path).collect();
    let mut opened = paths
        .par_iter()
        .enumerate()
        .map(|(i, path)| {
            open_plane(path, options, if i < MAX_OPEN { KeepOpen::Yes } else { KeepOpen::No })
        })
        .collect::<Vec<_>>()
        .into_iter();
    let count = |channel: &Result<Vec<PathBuf>, Damage>| channel.as_ref().map_or(0, Vec::len);
    channels.iter().map(|c| opened.by_ref().take(count(c)).collect()).collect()
}

fn open_plane(path: &Path, options: &OpenOptions, keep: KeepOpen) -> Opened {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read(&mut head));
    read.map_err(Error::at(path))?;
    match &head {
        b"\x89PNG" => Ok(Box::new(PngReader::open(path, options)?)),
        [b'I', b'I', 42 | 43, 0] | [b'M', b'M', 0, 42 | 43] => {
            Ok(Box::new(TiffReader::open(path, options, keep)?))
        }
        _ => {
            let message = format!("neither TIFF nor PNG (first bytes {head:02x?})");
            Err(Error::format(Place::path(path), message))
        }
    }
}

/// Shape and type that most files have; the first of those that as many have.
fn common_form(channels: &[Vec<Opened>]) -> Option<Form> {
    let mut votes: Vec<(Form, usize)> = Vec::new();
    for source in channels.iter().flatten().flatten() {
        let form = form_of(source.as_ref());
        match votes.iter_mut().find(|(f, _)| *f == form) {
            Some((_, count)) => *count += 1,
            None => votes.push((form, 1)),
        }
    }
    votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(form, _)| form)
}

fn form_of(source: &dyn PlaneSource) -> Form {
    (source.metadata().shape, source.metadata().dtype)
}

fn whole_channel(
    paths: &[PathBuf],
    sources: Vec<Opened>,
    form: Option<Form>,
    grouping: Grouping,
) -> Result<Vec<Box<dyn PlaneSource>>, Damage> {
    if let (Grouping::FilePerChannel, [_, second, ..]) = (grouping, paths) {
        let message = "a second file of the same channel; the pattern needs {z}".to_owned();
        return Err(Damage { place: Place::path(second), message });
    }
    let mut whole = Vec::with_capacity(sources.len());
    for (path, source) in paths.iter().zip(sources) {
        let source = source.map_err(|error| damage_of(path, error))?;
        check_plane(source.as_ref(), form, grouping)
            .map_err(|message| Damage { place: Place::path(path), message })?;
        whole.push(source);
    }
    Ok(whole)
}

fn check_plane(
    source: &dyn PlaneSource,
    form: Option<Form>,
    grouping: Grouping,
) -> Result<(), String> {
    let metadata = source.metadata();
    if metadata.channels.len() > 1 {
        let channels = metadata.channels.len();
        return Err(format!(
            "{channels} channels in one file; expected one, open the file by itself"
        ));
    }
    if grouping == Grouping::FilePerPlane && metadata.shape[0] > 1 {
        let planes = metadata.shape[0];
        return Err(format!("{planes} planes in one file; open it by itself or leave {{z}} out"));
    }
    let found = form_of(source);
    match form {
        Some(expected) if expected != found => Err(format!(
            "expected {} of shape {:?} as in the other files, found {} of {:?}",
            expected.1, expected.0, found.1, found.0
        )),
        _ => Ok(()),
    }
}

fn damage_of(path: &Path, error: Error) -> Damage {
    match error {
        Error::Format { place, message }
        | Error::Unsupported { place, message }
        | Error::Usage { place, message } => Damage { place, message },
        Error::Io { place, source } => Damage { place, message: source.to_string() },
        other => Damage { place: Place::path(path), message: other.to_string() },
    }
}

fn describe(first: &[Box<dyn PlaneSource>], names: Vec<String>, grouping: Grouping) -> Metadata {
    let mut metadata = first.first().map_or_else(
        || Metadata::new("planes", DataType::U8, [0; 3]),
        |source| source.metadata().clone(),
    );
    if grouping == Grouping::FilePerPlane {
        metadata.shape[0] = first.len() as u64;
    }
    metadata.format = format!("{} planes", metadata.format);
    metadata.stored_axes = if names.len() > 1 { "czyx" } else { "zyx" }.to_owned();
    metadata.scales.iter_mut().for_each(|scale| scale.shape[0] = metadata.shape[0]);
    metadata.channels = names;
    metadata
}
