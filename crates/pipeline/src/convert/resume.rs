//! Going on with a conversion that was killed.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{fs, io};

use exavox_io::location::Location;
use exavox_io::store::Durability;
use exavox_io::{Volume, VolumeWriter, WriteOptions};
use serde_json::{Value, json};

use super::blocks::Blocks;
use super::run::Job;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Plan, Survives};
use crate::progress::{Event, Observer};

/// Documents whose change tells that a directory of many objects is another volume.
const DOCUMENTS: [&str; 6] =
    ["zarr.json", ".zarray", ".zattrs", ".zgroup", "attributes.json", "info"];

/// An output that may have been begun by an earlier run.
pub(crate) struct Resumable {
    /// Where the output lies until it is whole.
    partial: PathBuf,
    plan: Plan,
    pub(super) ledger: Ledger,
}

/// What there is of an output when a run with `WriteMode::Resume` starts.
pub(super) enum Found {
    /// All of it.
    Whole,
    /// A part, or nothing.
    Unfinished(Box<Resumable>),
}

impl Found {
    /// Looks for the output and its ledger.
    ///
    /// # Errors
    /// If the format cannot be resumed; if what is there is another volume than is asked for.
    pub(super) fn at(target: &str, job: &Job<'_>, write: &WriteOptions) -> Result<Self> {
        let partial = VolumeWriter::resume_path(target)?;
        let ledger_path = partial.with_extension("ledger");
        if whole_path(&partial).is_some_and(|path| path.exists()) {
            check_whole(target, write)?;
            // A run that is killed after the last rename leaves it.
            remove_file(&ledger_path)?;
            return Ok(Self::Whole);
        }
        if let Some(parent) = partial.parent() {
            fs::create_dir_all(parent).map_err(io_error(parent))?;
        }
        let plan = plan(job, write);
        let survives = match write.durability {
            Durability::Synced => Survives::PowerLoss,
            Durability::Buffered => Survives::Kill,
        };
        let ledger = Ledger::open(&ledger_path, &plan, survives)?;
        Ok(Self::Unfinished(Box::new(Resumable { partial, plan, ledger })))
    }
}

impl Resumable {
    /// Origin and shape of the blocks of the run that began it.
    pub(super) fn grid(&self) -> Result<Option<[[u64; 3]; 2]>> {
        let Some(blocks) = self.ledger.blocks() else { return Ok(None) };
        let triple = |name: &str| serde_json::from_value::<[u64; 3]>(blocks[name].clone()).ok();
        match (triple("origin"), triple("shape")) {
            (Some(origin), Some(shape)) if !shape.contains(&0) => Ok(Some([origin, shape])),
            _ => {
                let message = "the ledger is damaged: its blocks have no origin and shape";
                Err(Error::settings(
                    self.partial.with_extension("ledger").display().to_string(),
                    message,
                ))
            }
        }
    }

    /// Notes how the work is cut, before the first block is written.
    pub(super) fn begin(&mut self, blocks: &Blocks, observer: &dyn Observer) -> Result<()> {
        if self.ledger.distrusted() > 0 {
            let text = format!(
                "{}: the machine was restarted since; {} blocks are written again (with --sync they \
                 would count)",
                self.partial.display(),
                self.ledger.distrusted()
            );
            observer.notify(&Event::Warning(&text));
        }
        let grid = json!({ "origin": blocks.origin, "shape": blocks.shape });
        self.ledger.begin(self.plan.clone(), grid)
    }

    /// The output is whole: the ledger goes. Gives the number of blocks of earlier runs.
    pub(super) fn finish(self) -> Result<u64> {
        let earlier = self.ledger.len();
        self.ledger.remove()?;
        Ok(earlier)
    }

    /// Leaves no trace of a run that could not begin.
    pub(super) fn withdraw(self) -> Result<()> {
        if self.ledger.blocks().is_some() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.partial) {
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => remove_file(&self.partial)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(io_error(&self.partial))?,
        }
        self.ledger.remove()
    }
}

/// `.NAME.resume.partial` -> `NAME`.
fn whole_path(partial: &Path) -> Option<PathBuf> {
    let name = partial.file_name()?.to_str()?;
    let name = name.strip_prefix('.')?.strip_suffix(".resume.partial")?;
    Some(partial.with_file_name(name))
}

/// An output that is whole must be what is asked for, as far as its header tells.
fn check_whole(target: &str, write: &WriteOptions) -> Result<()> {
    let location: Location = target.parse()?;
    let [z, y, x] = write.shape;
    let channels = write.channels.len();
    let is_raw = [".raw", ".bin", ".dat"].iter().any(|e| target.to_ascii_lowercase().ends_with(e));
    let name = match &location {
        Location::Path(_) if is_raw => format!("{target}:{}:{channels},{z},{y},{x}", write.dtype),
        _ => target.to_owned(),
    };
    let volume = Volume::open(&name)?;
    if let (true, Ok(file)) = (is_raw, fs::metadata(location.path())) {
        // Bare values of a larger volume could be read as this one.
        let (expected, found) = (volume.metadata().num_bytes(), file.len());
        if found != expected {
            let message = format!("exists already: expected {expected} bytes, found {found}");
            return Err(Error::settings(target, message));
        }
    }
    let metadata = volume.metadata();
    let found = (metadata.dtype, metadata.shape, metadata.channels.len());
    if found != (write.dtype, write.shape, channels) {
        let message = format!(
            "exists already, and is another volume: expected {} {:?} of {channels} channels, found \
             {} {:?} of {}",
            write.dtype, write.shape, found.0, found.1, found.2
        );
        return Err(Error::settings(target, message));
    }
    Ok(())
}

/// Everything that the bytes of the output depend on, but for the voxels themselves.
fn plan(job: &Job<'_>, write: &WriteOptions) -> Plan {
    let source = job.source;
    let metadata = source.metadata();
    let mut plan = Plan::new();
    let mut add = |name: &str, value: Value| _ = plan.insert(name.to_owned(), value);
    add("exavox version", env!("CARGO_PKG_VERSION").into());
    add("source", source.name().into());
    add("source format", metadata.format.clone().into());
    add("source type", metadata.dtype.name().into());
    add("source shape", json!(metadata.shape));
    add("source scale", source.scale().into());
    add("source time", source.time().into());
    add("source files", files(source.name()));
    add("region", job.region.to_string().into());
    add("channels", json!(write.channels));
    add("channels read", json!(job.channels));
    add("type", write.dtype.name().into());
    add("what is made", format!("{:?}", job.make).into());
    add("chunk shape", json!(write.chunk_shape));
    add("shard shape", json!(write.shard_shape));
    add("encoding", format!("{:?}", write.encoding).into());
    add("codec", format!("{:?}", write.codec).into());
    add("durability", format!("{:?}", write.durability).into());
    add("OME version", format!("{:?}", write.ome).into());
    add("voxel size in nm", json!(write.voxel_size.map(|size| size.nm_zyx)));
    plan
}

/// Size and time of the last change of the source's file, or of the documents of a local directory.
fn files(name: &str) -> Value {
    let Ok(location) = name.parse::<Location>() else { return Value::Null };
    let path = match &location {
        Location::Array { address, .. } => Path::new(address.trim_start_matches("file://")),
        other => other.path(),
    };
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!(
            "{} bytes of {}.{:09}",
            metadata.len(),
            changed.as_secs(),
            changed.subsec_nanos()
        ))
    };
    let documents =
        DOCUMENTS.iter().filter_map(|d| Some(((*d).to_owned(), stamp(&path.join(d))?.into())));
    match stamp(path) {
        Some(stamp) => stamp.into(),
        None => Value::Object(documents.collect()),
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(io_error(path)),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| exavox_io::Error::io(exavox_io::Place::path(path), source).into()
}
