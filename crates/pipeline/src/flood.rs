//! Seeded flood fill: of a volume that fits into memory, or by blocks.

use std::path::Path;
use std::time::Instant;

use exavox_compute::ops::ValueRange;
use exavox_compute::ops::flood_fill::{
    Flood, FloodOptions as Spread, Seed, bytes_needed, flood_fill,
};
use exavox_compute::ops::on_device;
use exavox_io::{DataType, Volume, Voxels};
use serde::{Deserialize, Serialize};

pub use crate::labelling::{LabellingOptions, goes_by_blocks};

mod by_blocks;

pub use by_blocks::{FloodByBlocks, flood_by_blocks};

use crate::error::{Error, Result};
use crate::labelling::{self, Part, stage};
use crate::on_device::device_or_cpu;
use crate::peak_memory::peak_memory_bytes;
use crate::progress::{Event, Observer, Unit};

/// A voxel of the volume to flood from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloodSeed {
    /// `[z, y, x]` in the volume.
    pub position_zyx: [u64; 3],
    /// What is reached from here gets this label; above 0.
    #[serde(default = "one")]
    pub label: u32,
}

fn one() -> u32 {
    1
}

/// What to flood, and how it is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FloodOptions {
    /// Values that are flooded, both ends included.
    pub range: ValueRange,
    /// Where floods start; at least one.
    pub seeds: Vec<FloodSeed>,
    /// Which voxels are neighbours, and how far floods may go.
    pub spread: Spread,
    /// What is read, and where labels go.
    pub labelling: LabellingOptions,
}

impl FloodOptions {
    /// Floods a range from seeds, over voxels that share a face.
    pub fn new(range: ValueRange, seeds: Vec<FloodSeed>) -> Self {
        let (spread, labelling) = (Spread::default(), LabellingOptions::default());
        Self { range, seeds, spread, labelling }
    }
}

/// What was reached. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FloodReport {
    /// Voxels that were reached.
    pub filled_voxels: u64,
    /// Connected objects that were reached.
    pub components: u64,
    /// Seeds given.
    pub seeds: u64,
    /// Seeds whose own value is out of the range: nothing is reached from them.
    pub seeds_out_of_range: u64,
    /// Seeds whose object an earlier seed with another label has taken.
    pub seeds_taken: u64,
    /// Type of the labels.
    pub dtype: &'static str,
    /// Voxels of the region.
    pub voxels: u64,
    /// Blocks that it was cut into, if it was not held in memory as a whole.
    pub blocks: Option<u64>,
    /// Wall-clock time of the whole run.
    pub seconds: f64,
    /// Time of the flood itself, without reading and writing.
    pub compute_seconds: f64,
    /// Voxels of the region over `seconds`.
    pub voxels_per_second: f64,
    /// Memory that the region was expected to need at most.
    pub memory_needed_bytes: u64,
    /// Largest resident memory of the process, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
}

/// Bytes of memory that [`flood`] will need at most.
///
/// # Errors
/// If channel or region do not exist.
pub fn memory_needed(source: &Volume, options: &FloodOptions) -> Result<u64> {
    Ok(needed(&Part::of(source, &options.labelling)?))
}

fn needed(part: &Part<'_>) -> u64 {
    Part::with_overhead(bytes_needed(part.source.metadata().dtype, part.region.shape()))
}

/// Floods one channel of `source` from seeds and writes what is reached to `target`. The whole region is
/// held in memory.
///
/// # Errors
/// If a seed lies outside of the region, an option does not fit the volume, or the region does not fit into
/// memory, before anything is read; if the flood leaks; if the volume cannot be read, or the labels cannot
/// be written. Nothing is left then.
pub fn flood(
    source: &Volume,
    target: &str,
    options: &FloodOptions,
    observer: &dyn Observer,
) -> Result<FloodReport> {
    let started = Instant::now();
    let part = Part::of(source, &options.labelling)?;
    let seeds = seeds_in(&part, &options.seeds)?;
    let memory_needed_bytes = needed(&part);
    part.check_memory(memory_needed_bytes, &options.labelling)?;
    let dtype = label_type(&options.seeds);
    let writer = part.create(target, dtype, &options.labelling)?;
    let voxels = part.read(observer)?;
    let computing = Instant::now();
    let total = voxels.len() as u64;
    let found = stage(observer, "flood", total, Unit::Voxels, || {
        let found = spread(&voxels, &seeds, options, observer)
            .map_err(|e| Error::settings(source.name(), e.to_string()))?;
        observer.notify(&Event::Advanced { by: total, note: "" });
        Ok(found)
    })?;
    drop(voxels);
    let compute_seconds = computing.elapsed().as_secs_f64();
    labelling::write(writer, &found.labels, observer)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(FloodReport {
        filled_voxels: found.voxels,
        components: found.components,
        seeds: seeds.len() as u64,
        seeds_out_of_range: found.seeds_out_of_range,
        seeds_taken: found.seeds_taken,
        dtype: dtype.name(),
        voxels: total,
        blocks: None,
        seconds,
        compute_seconds,
        voxels_per_second: total as f64 / seconds.max(1e-9),
        memory_needed_bytes,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn spread(
    voxels: &Voxels,
    seeds: &[Seed],
    options: &FloodOptions,
    observer: &dyn Observer,
) -> Result<Flood> {
    let FloodOptions { range, spread, labelling, .. } = options;
    Ok(device_or_cpu(
        labelling.device.as_ref(),
        observer,
        |device| on_device::flood_fill(device, voxels, *range, seeds, spread),
        || flood_fill(voxels, *range, seeds, spread),
    )?)
}

/// The type of what is written.
pub(crate) fn label_type(seeds: &[FloodSeed]) -> DataType {
    match seeds.iter().any(|seed| seed.label > 255) {
        true => DataType::U32,
        false => DataType::U8,
    }
}

/// Seeds of the volume as seeds of the region.
fn seeds_in(part: &Part<'_>, seeds: &[FloodSeed]) -> Result<Vec<Seed>> {
    let region = &part.region;
    let inside = |p: &[u64; 3]| (0..3).all(|a| region.start[a] <= p[a] && p[a] < region.end[a]);
    if seeds.is_empty() {
        return Err(Error::settings(part.source.name(), "no seed to flood from"));
    }
    seeds
        .iter()
        .map(|FloodSeed { position_zyx, label }| {
            if !inside(position_zyx) {
                let [z, y, x] = position_zyx;
                let message = format!("seed {z},{y},{x} lies outside of {region}");
                return Err(Error::settings(part.source.name(), message));
            }
            let position_zyx =
                std::array::from_fn(|a| (position_zyx[a] - region.start[a]) as usize);
            Ok(Seed { position_zyx, label: *label })
        })
        .collect()
}

/// Reads seeds from a CSV file: `z,y,x` or `z,y,x,label` in each line, voxels of the volume. Where there is
/// no label it is 1. A first line that does not begin with a number is a heading.
///
/// # Errors
/// [`Error::Settings`] with file and line.
pub fn seeds_from_csv(path: &Path) -> Result<Vec<FloodSeed>> {
    let text = std::fs::read_to_string(path).map_err(exavox_io::Error::at(path))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut seeds = Vec::new();
    for (n, (number, line)) in lines.enumerate() {
        let fields: Vec<&str> = line.split(',').map(|v| v.trim().trim_matches('"')).collect();
        let heading = n == 0 && fields[0].parse::<f64>().is_err();
        if !heading {
            let place = || format!("{}:{number}", path.display());
            let message = || format!("expected z,y,x or z,y,x,label, found '{line}'");
            seeds.push(seed_of(&fields).ok_or_else(|| Error::settings(place(), message()))?);
        }
    }
    if seeds.is_empty() {
        return Err(Error::settings(path.display().to_string(), "no seeds in this file"));
    }
    Ok(seeds)
}

fn seed_of(fields: &[&str]) -> Option<FloodSeed> {
    let (position, label) = match fields {
        [z, y, x] => ([z, y, x], 1),
        [z, y, x, label] => ([z, y, x], label.parse().ok().filter(|label| *label > 0)?),
        _ => return None,
    };
    let [z, y, x] = position.map(|v| v.parse().ok());
    Some(FloodSeed { position_zyx: [z?, y?, x?], label })
}
