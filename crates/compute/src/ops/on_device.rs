//! The classic operations on the device of the caller's choice, each by one call: the volume goes there, the
//! result comes back. On the plain CPU they are the functions of their own modules.
//!
//! Labels are bit-equal on all devices. Filters differ in the last bits where devices add in another order.
//! What a device cannot do is an error that says why; falling back to the CPU is the caller's decision.

use exavox_io::Voxels;

use super::connected_components::{Components, Foreground, label_equal, label_mask};
use super::filter::Filter;
use super::flood_fill::{Flood, FloodOptions, Seed, flood_fill as flood_fill_on_cpu};
use super::{Connectivity, ValueRange};
use crate::device::ComputeDevice;
use crate::error::Result;

#[cfg(feature = "cube")]
mod cube;

/// Runs a filter: gaussian and median with the reflecting boundary, sobel, and normalize by mean or by
/// extremes on any device; all else, and the median of uint32, on the CPU only.
///
/// # Errors
/// [`Error::NotOnDevice`](crate::Error::NotOnDevice) if the filter, its boundary, or the volume's type, size or values are not for
/// the device; [`Error::DeviceFailed`](crate::Error::DeviceFailed); as [`Filter::run`].
pub fn filter(device: &ComputeDevice, filter: &Filter, voxels: &Voxels) -> Result<Voxels> {
    #[cfg(feature = "cube")]
    if device.client().is_some() {
        return cube::filter(device, filter, voxels);
    }
    let _ = device;
    filter.run(voxels)
}

/// Components of foreground: [`label_mask`].
///
/// # Errors
/// As [`label_mask`]; [`Error::NotOnDevice`](crate::Error::NotOnDevice) for types and sizes that the device does not hold;
/// [`Error::DeviceFailed`](crate::Error::DeviceFailed).
pub fn components_of_mask(
    device: &ComputeDevice,
    voxels: &Voxels,
    foreground: Foreground,
    connectivity: Connectivity,
) -> Result<Components> {
    #[cfg(feature = "cube")]
    if device.client().is_some() {
        return cube::components_of_mask(device, voxels, foreground, connectivity);
    }
    let _ = device;
    label_mask(voxels, foreground, connectivity)
}

/// Components of labels: [`label_equal`].
///
/// # Errors
/// As [`label_equal`]; [`Error::NotOnDevice`](crate::Error::NotOnDevice) for types and sizes that the device does not hold;
/// [`Error::DeviceFailed`](crate::Error::DeviceFailed).
pub fn components_of_labels(
    device: &ComputeDevice,
    voxels: &Voxels,
    connectivity: Connectivity,
) -> Result<Components> {
    #[cfg(feature = "cube")]
    if device.client().is_some() {
        return cube::components_of_labels(device, voxels, connectivity);
    }
    let _ = device;
    label_equal(voxels, connectivity)
}

/// Fills from seeds: [`flood_fill`](flood_fill_on_cpu).
///
/// # Errors
/// As [`flood_fill`](flood_fill_on_cpu); [`Error::NotOnDevice`](crate::Error::NotOnDevice) for types and sizes that the
/// device does not hold; [`Error::DeviceFailed`](crate::Error::DeviceFailed).
pub fn flood_fill(
    device: &ComputeDevice,
    voxels: &Voxels,
    range: ValueRange,
    seeds: &[Seed],
    options: &FloodOptions,
) -> Result<Flood> {
    #[cfg(feature = "cube")]
    if device.client().is_some() {
        return cube::flood_fill(device, voxels, range, seeds, options);
    }
    let _ = device;
    flood_fill_on_cpu(voxels, range, seeds, options)
}
