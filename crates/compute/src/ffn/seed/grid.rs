//! `PolicyGrid3d` and `PolicyGrid2d`: seeds at regular distances.

use super::scene::Scene;

pub(super) fn grid_3d(scene: &Scene<'_>, step: usize, offsets: &[usize]) -> Vec<[usize; 3]> {
    let shape = scene.shape();
    let along = |axis: usize, offset: usize| (offset..shape[axis]).step_by(step);
    let grid = |offset: usize| along(0, offset).flat_map(move |z| plane(z, offset, shape, step));
    offsets.iter().flat_map(|offset| grid(*offset)).collect()
}

pub(super) fn grid_2d(scene: &Scene<'_>, step: usize, offsets: &[usize]) -> Vec<[usize; 3]> {
    let shape = scene.shape();
    let grid = |offset: usize| (0..shape[0]).flat_map(move |z| plane(z, offset, shape, step));
    offsets.iter().flat_map(|offset| grid(*offset)).collect()
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
