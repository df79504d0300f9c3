//! Extended focus of whole volumes.

use exavox_compute::ops::projection::focus::{
    Composer, FocusMap, FocusOptions, height_dtype, smoothed,
};
use exavox_io::{BoundingBox, Volume, Voxels};

use super::plan::Plan;
use super::products::{Job, Product};
use super::{ProjectOptions, ProjectReport, region};
use crate::error::Result;
use crate::progress::Observer;

/// Bytes that the work on one pixel of a tile keeps: sums, variances and heights.
const CELL_BYTES: u64 = 48;

/// Bytes for tiles, all threads together, unless the options say so.
const DEFAULT_MEMORY: u64 = 256 << 20;

/// Composes, for every channel of `source`, an image of the values that are sharpest along an axis, and
/// writes it to `target`; the planes where they lie go to `height_map`, if it is named. Every voxel is
/// read twice, at the borders of tiles more often.
///
/// Of `options`, kind and device are not looked at. Memory: for each pixel of a plane its value and
/// its height, and some tiles, whatever the number of planes.
///
/// # Errors
/// As [`super::project`], and if `focus` cannot be.
pub fn extended_focus(
    source: &Volume,
    target: &str,
    height_map: Option<&str>,
    focus: &FocusOptions,
    options: &ProjectOptions,
    observer: &dyn Observer,
) -> Result<ProjectReport> {
    focus.check()?;
    let job = Job { source, options, region: region(source, options)?, observer };
    let product = |target: &str, dtype| Product { target: target.to_owned(), dtype, parts: &[""] };
    let mut products = vec![product(target, job.dtype())];
    products.extend(height_map.map(|target| product(target, height_dtype(job.depth()))));
    job.run(&products, 2, |channel| {
        let [image, heights] = image_and_heights(&job, channel, focus)?;
        let mut planes = vec![vec![image]];
        planes.extend(height_map.map(|_| vec![heights]));
        Ok(planes)
    })
}

fn image_and_heights(job: &Job<'_>, channel: usize, focus: &FocusOptions) -> Result<[Voxels; 2]> {
    let memory = job.options.memory_bytes.unwrap_or(DEFAULT_MEMORY);
    let plan = job.plan(CELL_BYTES, memory / job.options.threads.get() as u64);
    let planes = vec![job.plane(job.dtype())?, job.plane(height_dtype(job.depth()))?];
    let filled = job.fill(&plan, planes, |tile, buffer| {
        let heights = heights(job, channel, &plan, tile, focus, buffer)?;
        job.advance(&tile);
        let shape = tile.shape().map(|v| v as usize);
        let mut composer = Composer::new(job.dtype(), job.options.axis, shape, &heights)?;
        job.read(channel, &plan, tile, buffer, |block| Ok(composer.push(block)?))?;
        job.advance(&tile);
        Ok(vec![composer.finish()?, heights])
    })?;
    let mut filled = filled.into_iter();
    match (filled.next(), filled.next()) {
        (Some(image), Some(heights)) => Ok([image, heights]),
        _ => Err(crate::Error::settings("extended focus", "a plane is missing")),
    }
}

/// Smoothed heights of a tile, from the tile and the pixels around it on which they depend.
fn heights(
    job: &Job<'_>,
    channel: usize,
    plan: &Plan,
    tile: BoundingBox,
    focus: &FocusOptions,
    buffer: &mut Option<Voxels>,
) -> Result<Voxels> {
    let (axis, halo) = (job.options.axis, focus.halo() as u64);
    let mut wide = tile;
    for a in plan.kept_axes() {
        wide.start[a] = tile.start[a].saturating_sub(halo).max(job.region.start[a]);
        wide.end[a] = tile.end[a].saturating_add(halo).min(job.region.end[a]);
    }
    let mut map = FocusMap::new(axis, wide.shape().map(|v| v as usize), focus)?;
    job.read(channel, plan, wide, buffer, |block| Ok(map.push(block)?))?;
    let heights = smoothed(&map.finish()?, axis, focus.smooth_radius)?;
    let mut inner = tile.relative_to(wide.start);
    (inner.start[job.axis_index()], inner.end[job.axis_index()]) = (0, 1);
    let mut cut = Voxels::zeros(heights.dtype(), inner.shape().map(|v| v as usize))?;
    cut.copy_box([0; 3], &heights, &inner)?;
    Ok(cut)
}
