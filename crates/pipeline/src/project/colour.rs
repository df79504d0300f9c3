//! Colour by depth of whole volumes.

use std::ops::RangeInclusive;

use exavox_compute::ops::projection::depth_colour::{depth_colour as coloured, value_range};
use exavox_compute::ops::projection::{Projection, ProjectionKind, Projector};
use exavox_io::{DataType, Volume, Voxels};

use super::products::{Job, Planes, Product};
use super::{ProjectOptions, ProjectReport, region};
use crate::error::Result;
use crate::progress::Observer;

/// Projects every channel of `source` along an axis in colour: the hue says in which plane the maximum
/// lies (blue: the first, green: the middle, red: the last), the brightness how high it is. `target`
/// gets red, green and blue as channels of uint8: of each channel of the source in a file of its own if
/// there is one, or with `{channel}`; else of all channels one after the other.
///
/// `range`: values that become black and bright; by default, for each channel, the lowest and the
/// highest of its maxima. Of `options`, kind and device are not looked at. Memory: for each pixel of
/// a plane the maximum, its index and 3 bytes, whatever the number of planes.
///
/// # Errors
/// As [`super::project`].
pub fn depth_colour(
    source: &Volume,
    target: &str,
    range: Option<RangeInclusive<f64>>,
    options: &ProjectOptions,
    observer: &dyn Observer,
) -> Result<ProjectReport> {
    let job = Job { source, options, region: region(source, options)?, observer };
    let parts: &[&str] = &["red", "green", "blue"];
    let product = Product { target: target.to_owned(), dtype: DataType::U8, parts };
    job.run(&[product], 1, |channel| colours(&job, channel, range.clone()))
}

fn colours(job: &Job<'_>, channel: usize, range: Option<RangeInclusive<f64>>) -> Result<Planes> {
    let (dtype, axis, depth) = (job.dtype(), job.options.axis, job.depth());
    let kinds = [ProjectionKind::Max, ProjectionKind::Argmax];
    let cell_bytes: usize = kinds.iter().map(|kind| kind.bytes_per_cell(dtype, depth)).sum();
    let plan = job.plan(cell_bytes as u64, 64 << 20);
    let planes = kinds.map(|kind| job.plane(kind.output_dtype(dtype, depth)));
    let planes = planes.into_iter().collect::<Result<_>>()?;
    let filled = job.fill(&plan, planes, |tile, buffer| {
        let shape = tile.shape().map(|v| v as usize);
        let new = |kind| Projector::new(kind, dtype, axis, shape);
        let mut both = [new(kinds[0])?, new(kinds[1])?];
        job.read(channel, &plan, tile, buffer, |block: &Voxels| {
            both.iter_mut().try_for_each(|projector| Ok(projector.push(block)?))
        })?;
        job.advance(&tile);
        both.into_iter().map(|projector| Ok(Box::new(projector).finish()?)).collect()
    })?;
    let range = range.unwrap_or_else(|| value_range(&filled[0]));
    Ok(vec![coloured(&filled[0], &filled[1], depth, range)?.into()])
}
