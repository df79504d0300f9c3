//! `PolicyGrid3d` and `PolicyGrid2d`: seeds at regular distances.

use super::scene::Scene;

pub(super) fn grid_3d(scene: &Scene<'_>, step: usize, offsets: &[usize]) -> Vec<[usize; 3]> {
    let depth = scene.shape()[0];
    grid(scene.shape(), step, offsets, |offset| (offset..depth).step_by(step))
}

pub(super) fn grid_2d(scene: &Scene<'_>, step: usize, offsets: &[usize]) -> Vec<[usize; 3]> {
    let depth = scene.shape()[0];
    grid(scene.shape(), step, offsets, |_| 0..depth)
}

/// The seeds of all offsets in the planes of each, in memory for just as many.
fn grid<I: ExactSizeIterator<Item = usize>>(
    shape: [usize; 3],
    step: usize,
    offsets: &[usize],
    planes: impl Fn(usize) -> I,
) -> Vec<[usize; 3]> {
    let along = |axis: usize, offset: usize| (offset..shape[axis]).step_by(step).len();
    let count = |offset: &usize| planes(*offset).len() * along(1, *offset) * along(2, *offset);
    let mut seeds = Vec::with_capacity(offsets.iter().map(count).sum());
    for offset in offsets {
        seeds.extend(planes(*offset).flat_map(|z| plane(z, *offset, shape, step)));
    }
    seeds
}

fn plane(
    z: usize,
    offset: usize,
    [_, ny, nx]: [usize; 3],
    step: usize,
) -> impl Iterator<Item = [usize; 3]> {
    let ys = (offset..ny).step_by(step);
    ys.flat_map(move |y| (offset..nx).step_by(step).map(move |x| [z, y, x]))
}
