//! Connected components: of a volume that fits into memory, or by blocks.

use std::time::Instant;

use exavox_compute::ops::Connectivity;
use exavox_compute::ops::connected_components::{
    Components, Foreground, bytes_needed, label_dtype, label_equal, label_mask,
};
use exavox_compute::ops::labels::{Numbering, filter};
use exavox_compute::ops::on_device;
use exavox_io::{Volume, Voxels};
use serde::Serialize;

pub use crate::labelling::{LabellingOptions, goes_by_blocks};

mod by_blocks;

pub use by_blocks::{ComponentsByBlocks, components_by_blocks};

use crate::error::{Error, Result};
use crate::labelling::{self, Part, stage};
use crate::on_device::device_or_cpu;
use crate::peak_memory::peak_memory_bytes;
use crate::progress::{Event, Observer, Unit};

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objects {
    /// Voxels of a mask that touch.
    Mask(Foreground),
    /// Voxels of the same value, not 0, that touch.
    Equal,
}

/// Which components, and how they are written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComponentsOptions {
    /// What a component is. Default: voxels that are not 0 and touch.
    pub objects: Objects,
    /// Which voxels touch. Default: those that share a face.
    pub connectivity: Connectivity,
    /// Components of fewer voxels become background; the others are numbered without gaps. Default: 0.
    pub min_voxels: u64,
    /// What is read, and where labels go.
    pub labelling: LabellingOptions,
}

impl Default for ComponentsOptions {
    fn default() -> Self {
        Self {
            objects: Objects::Mask(Foreground::NonZero),
            connectivity: Connectivity::default(),
            min_voxels: 0,
            labelling: LabellingOptions::default(),
        }
    }
}

/// What was found. The names are those of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComponentsReport {
    /// Components that were written: the largest label.
    pub components: u64,
    /// Components that were too small.
    pub dropped: u64,
    /// Voxels of the components that were written.
    pub foreground_voxels: u64,
    /// Voxels of the largest component.
    pub largest_voxels: u64,
    /// Type of the labels.
    pub dtype: &'static str,
    /// Voxels of the region.
    pub voxels: u64,
    /// Blocks that it was cut into, if it was not held in memory as a whole.
    pub blocks: Option<u64>,
    /// Wall-clock time of the whole run.
    pub seconds: f64,
    /// Time of finding and counting components, without reading and writing.
    pub compute_seconds: f64,
    /// Voxels of the region over `seconds`.
    pub voxels_per_second: f64,
    /// Memory that the region was expected to need.
    pub memory_needed_bytes: u64,
    /// Largest resident memory of the process, where the system tells it.
    pub peak_memory_bytes: Option<u64>,
}

/// Bytes of memory that [`components`] will need.
///
/// # Errors
/// If channel or region do not exist.
pub fn memory_needed(source: &Volume, options: &ComponentsOptions) -> Result<u64> {
    Ok(needed(&Part::of(source, &options.labelling)?))
}

fn needed(part: &Part<'_>) -> u64 {
    Part::with_overhead(bytes_needed(part.source.metadata().dtype, part.region.shape()))
}

/// Writes the connected components of one channel of `source` to `target`, numbered from 1 on in the order
/// of their first voxels. The whole region is held in memory.
///
/// # Errors
/// If an option does not fit the volume, or the region does not fit into memory, before anything is read;
/// if the volume cannot be read, or the labels cannot be written: nothing is left then.
pub fn components(
    source: &Volume,
    target: &str,
    options: &ComponentsOptions,
    observer: &dyn Observer,
) -> Result<ComponentsReport> {
    let started = Instant::now();
    let part = Part::of(source, &options.labelling)?;
    check_type(source, options)?;
    let memory_needed_bytes = needed(&part);
    part.check_memory(memory_needed_bytes, &options.labelling)?;
    let dtype = label_dtype(part.region.shape());
    let writer = part.create(target, dtype, &options.labelling)?;
    let voxels = part.read(observer)?;
    let computing = Instant::now();
    let total = voxels.len() as u64;
    let found = stage(observer, "components", total, Unit::Voxels, || {
        let found = find(voxels, options, observer)
            .map_err(|e| Error::settings(source.name(), e.to_string()))?;
        let found = filter(found.labels, options.min_voxels, Numbering::Dense)?;
        observer.notify(&Event::Advanced { by: total, note: "" });
        Ok(found)
    })?;
    let compute_seconds = computing.elapsed().as_secs_f64();
    labelling::write(writer, &found.labels, observer)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(ComponentsReport {
        components: found.sizes.len() as u64,
        dropped: found.dropped,
        foreground_voxels: found.sizes.iter().map(|size| size.voxels).sum(),
        largest_voxels: found.sizes.iter().map(|size| size.voxels).max().unwrap_or(0),
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

/// The voxels are given back to the system when they have been labelled.
fn find(
    voxels: Voxels,
    options: &ComponentsOptions,
    observer: &dyn Observer,
) -> Result<Components> {
    let (device, connectivity) = (options.labelling.device.as_ref(), options.connectivity);
    Ok(match options.objects {
        Objects::Mask(foreground) => device_or_cpu(
            device,
            observer,
            |device| on_device::components_of_mask(device, &voxels, foreground, connectivity),
            || label_mask(&voxels, foreground, connectivity),
        )?,
        Objects::Equal => device_or_cpu(
            device,
            observer,
            |device| on_device::components_of_labels(device, &voxels, connectivity),
            || label_equal(&voxels, connectivity),
        )?,
    })
}

/// Refuses floats as labels before they are read.
fn check_type(source: &Volume, options: &ComponentsOptions) -> Result<()> {
    let dtype = source.metadata().dtype;
    if options.objects == Objects::Equal && dtype.kind() == 'f' {
        let message = format!("labels must be integers, found {dtype}; choose a range of values");
        return Err(Error::settings(source.name(), message));
    }
    Ok(())
}
