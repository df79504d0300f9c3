//! The operations by the kernels of CubeCL.

use std::collections::HashSet;

use exavox_io::{DataType, Voxels};

use crate::device::ComputeDevice;
use crate::error::{Error, Result};
use crate::ops::connected_components::{Components, Foreground};
use crate::ops::device_volume::DeviceVolume;
use crate::ops::filter::{Boundary, Filter, Gradient};
use crate::ops::flood_fill::{Flood, FloodOptions, Seed, check_leak, check_seeds};
use crate::ops::{Connectivity, ValueRange};

pub(super) fn filter(device: &ComputeDevice, filter: &Filter, voxels: &Voxels) -> Result<Voxels> {
    let volume = || DeviceVolume::upload(device, voxels);
    let result = match filter {
        Filter::Gaussian { sigma_zyx, boundary: Boundary::Reflect } => {
            volume()?.gaussian(*sigma_zyx)
        }
        // Medians are found among floats, which hold whole numbers of 24 bits.
        Filter::Median { radius_zyx, boundary: Boundary::Reflect }
            if voxels.dtype() != DataType::U32 =>
        {
            volume()?.median(*radius_zyx)
        }
        Filter::Sobel(Gradient::Magnitude) => volume()?.sobel(None),
        Filter::Sobel(Gradient::Along(axis)) => volume()?.sobel(Some(*axis)),
        Filter::Normalize(method) if !method.clips() => {
            let [offset, scale] = method.offset_and_scale(voxels)?;
            if scale == 0.0 {
                return filter.run(voxels);
            }
            volume()?.normalize(offset as f32, (1.0 / scale) as f32)
        }
        other => {
            let message = format!("{} with these settings is done on the CPU only", other.name());
            return Err(Error::NotOnDevice(message));
        }
    }?;
    result.download_as(filter.output_dtype(voxels.dtype()))
}

pub(super) fn components_of_mask(
    device: &ComputeDevice,
    voxels: &Voxels,
    foreground: Foreground,
    connectivity: Connectivity,
) -> Result<Components> {
    let range = match foreground {
        Foreground::Range(range) => range,
        Foreground::NonZero if voxels.dtype().kind() == 'u' => {
            ValueRange::of_integers(1, i128::from(u64::MAX))?
        }
        Foreground::NonZero => {
            let message = format!(
                "components on a device: expected unsigned integers or a range, found {}",
                voxels.dtype()
            );
            return Err(Error::NotOnDevice(message));
        }
    };
    let (labels, count) =
        DeviceVolume::upload(device, voxels)?.components_within(range, connectivity)?;
    Ok(Components { labels: labels.download()?, count: u64::from(count) })
}

pub(super) fn components_of_labels(
    device: &ComputeDevice,
    voxels: &Voxels,
    connectivity: Connectivity,
) -> Result<Components> {
    let (labels, count) =
        DeviceVolume::upload(device, voxels)?.components_of_labels(connectivity)?;
    Ok(Components { labels: labels.download()?, count: u64::from(count) })
}

pub(super) fn flood_fill(
    device: &ComputeDevice,
    voxels: &Voxels,
    range: ValueRange,
    seeds: &[Seed],
    options: &FloodOptions,
) -> Result<Flood> {
    check_seeds(seeds, voxels.shape())?;
    let found = DeviceVolume::upload(device, voxels)?.flood(range, seeds, options.connectivity)?;
    let wide = seeds.iter().any(|seed| seed.label > 255);
    let labels = found.labels.download_as(if wide { DataType::U32 } else { DataType::U8 })?;
    let filled = match labels.dtype() {
        DataType::U8 => labels.as_slice::<u8>()?.iter().filter(|l| **l != 0).count(),
        _ => labels.as_slice::<u32>()?.iter().filter(|l| **l != 0).count(),
    };
    check_leak(filled as u64, options)?;
    let reached = found.objects.iter().flatten();
    Ok(Flood {
        labels,
        voxels: filled as u64,
        components: reached.clone().map(|object| object.root).collect::<HashSet<_>>().len() as u64,
        seeds_out_of_range: found.objects.iter().filter(|object| object.is_none()).count() as u64,
        seeds_taken: reached
            .zip(seeds_inside(seeds, &found.objects))
            .filter(|(object, seed)| object.label != seed.label)
            .count() as u64,
    })
}

/// The seeds that have an object, in their order.
fn seeds_inside<'a, T>(
    seeds: &'a [Seed],
    objects: &'a [Option<T>],
) -> impl Iterator<Item = &'a Seed> {
    seeds.iter().zip(objects).filter(|(_, object)| object.is_some()).map(|(seed, _)| seed)
}
