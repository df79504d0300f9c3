//! Peaks of an image, as `skimage.feature.peak_local_max` finds them, plane by plane.

use std::collections::VecDeque;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::lists::push;

/// What a voxel has to exceed to be a peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// All voxels up to the distance along each axis.
    Cube,
    /// The same in its plane.
    Square,
    /// All voxels of its plane up to a radius.
    Disk(usize),
}

/// What a peak is.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeakRule {
    pub(super) window: Window,
    /// Peaks are so far apart and from the borders; of two that are nearer the higher one stays. By Euclid
    /// with [`Window::Disk`], else by the longest axis.
    pub(super) min_distance: usize,
    /// Peaks are higher than this.
    pub(super) threshold: f64,
}

/// Peaks of an image of `shape`, highest first, equal ones in C order; none if every voxel is as high as its
/// surroundings. `fill(z, plane)` writes the heights of a plane and is called for each in turn; only as many
/// planes as the window is high are held.
pub(super) fn local_maxima(
    shape: [usize; 3],
    rule: &PeakRule,
    mut fill: impl FnMut(usize, &mut [f64]),
) -> Vec<[usize; 3]> {
    let reach = if rule.window == Window::Cube { rule.min_distance.min(shape[0]) } else { 0 };
    let mut planes: VecDeque<Plane> = VecDeque::new();
    let mut found = Candidates { shape, is_flat: !rule.takes_all(), voxels: Vec::new() };
    for z in 0..shape[0] + reach {
        if z < shape[0] {
            let mut heights = vec![0.0; shape[1] * shape[2]];
            fill(z, &mut heights);
            planes.push_back(Plane::new(z, heights, shape, rule));
        }
        if let Some(centre) = z.checked_sub(reach) {
            found.add(centre, &planes, rule);
            while planes.front().is_some_and(|plane| plane.z + reach <= centre) {
                planes.pop_front();
            }
        }
    }
    found.spaced(rule)
}

impl PeakRule {
    /// A window of one voxel: every voxel above the threshold is a peak.
    fn takes_all(&self) -> bool {
        match self.window {
            Window::Disk(radius) => radius == 0,
            Window::Cube | Window::Square => self.min_distance == 0,
        }
    }

    /// Distance from the borders along z, y, x.
    fn border(&self) -> [usize; 3] {
        let d = self.min_distance;
        if self.window == Window::Cube { [d; 3] } else { [0, d, d] }
    }

    fn are_near(&self, p: [usize; 3], q: [usize; 3]) -> bool {
        let d = self.min_distance;
        if self.window != Window::Cube && p[0] != q[0] {
            return false;
        }
        let apart = [0, 1, 2].map(|a| p[a].abs_diff(q[a]));
        match self.window {
            Window::Disk(_) => apart.iter().map(|v| v * v).sum::<usize>() < d * d,
            Window::Cube | Window::Square => apart.iter().all(|v| *v < d),
        }
    }
}

/// Heights of a plane, and the largest within the window in this plane.
struct Plane {
    z: usize,
    heights: Vec<f64>,
    highest: Vec<f64>,
}

impl Plane {
    fn new(z: usize, heights: Vec<f64>, [_, ny, nx]: [usize; 3], rule: &PeakRule) -> Self {
        let highest = match rule.window {
            Window::Disk(radius) => max_of_disk(&heights, [ny, nx], radius),
            Window::Cube | Window::Square => max_of_square(&heights, [ny, nx], rule.min_distance),
        };
        Self { z, heights, highest }
    }
}

struct Candidates {
    shape: [usize; 3],
    /// Whether every voxel so far is as high as its surroundings.
    is_flat: bool,
    /// Heights and places in C order.
    voxels: Vec<(f64, usize)>,
}

impl Candidates {
    fn add(&mut self, z: usize, planes: &VecDeque<Plane>, rule: &PeakRule) {
        let [nz, ny, nx] = self.shape;
        let border = rule.border();
        let Some(plane) = planes.iter().find(|plane| plane.z == z) else { return };
        let is_highest = |i: usize| {
            plane.heights[i] == plane.highest[i]
                && planes.iter().all(|other| other.highest[i] <= plane.heights[i])
        };
        if self.is_flat {
            self.is_flat = (0..ny * nx).all(is_highest);
        }
        let inside = |at: usize, border: usize, size: usize| at >= border && at + border < size;
        if !inside(z, border[0], nz) {
            return;
        }
        for y in (0..ny).filter(|y| inside(*y, border[1], ny)) {
            for x in (0..nx).filter(|x| inside(*x, border[2], nx)) {
                let i = y * nx + x;
                if plane.heights[i] > rule.threshold && is_highest(i) {
                    push(&mut self.voxels, (plane.heights[i], z * ny * nx + i));
                }
            }
        }
    }

    /// The highest ones that are not too near to one that is higher.
    fn spaced(mut self, rule: &PeakRule) -> Vec<[usize; 3]> {
        if self.is_flat {
            return Vec::new();
        }
        self.voxels.sort_unstable_by(|a, b| {
            let by_height = b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal);
            by_height.then(a.1.cmp(&b.1))
        });
        let [_, ny, nx] = self.shape;
        let position = |(_, at): &(f64, usize)| [at / (ny * nx), at / nx % ny, at % nx];
        let voxels = self.voxels.iter().map(position);
        if rule.min_distance <= 1 {
            return voxels.collect();
        }
        // Cells of `min_distance` voxels hold few of those that are kept: more than one only with Euclid.
        let mut cells: FxHashMap<[usize; 3], Vec<[usize; 3]>> = FxHashMap::default();
        let cell = |p: [usize; 3]| p.map(|v| v / rule.min_distance);
        let mut all = Vec::new();
        for p in voxels {
            let near = neighbours(cell(p)).any(|c| {
                cells.get(&c).is_some_and(|kept| kept.iter().any(|q| rule.are_near(p, *q)))
            });
            if !near {
                cells.entry(cell(p)).or_insert_with(|| Vec::with_capacity(1)).push(p);
                push(&mut all, p);
            }
        }
        all
    }
}

fn neighbours(cell: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let range = |a: usize| cell[a].saturating_sub(1)..=cell[a] + 1;
    let (zs, ys, xs) = (range(0), range(1), range(2));
    zs.flat_map(move |z| {
        let xs = xs.clone();
        ys.clone().flat_map(move |y| xs.clone().map(move |x| [z, y, x]))
    })
}

fn max_of_square(plane: &[f64], [ny, nx]: [usize; 2], distance: usize) -> Vec<f64> {
    let mut along = vec![0.0; plane.len()];
    along.par_chunks_mut(nx).zip(plane.par_chunks(nx)).for_each(|(out, row)| {
        out.copy_from_slice(row);
        for shift in 1..=distance.min(nx - 1) {
            raise(&mut out[shift..], &row[..nx - shift]);
            raise(&mut out[..nx - shift], &row[shift..]);
        }
    });
    let mut highest = vec![f64::NEG_INFINITY; plane.len()];
    highest.par_chunks_mut(nx).enumerate().for_each(|(y, out)| {
        for other in y.saturating_sub(distance)..(y + distance + 1).min(ny) {
            raise(out, &along[other * nx..][..nx]);
        }
    });
    highest
}

fn max_of_disk(plane: &[f64], [ny, nx]: [usize; 2], radius: usize) -> Vec<f64> {
    let mut highest = plane.to_vec();
    highest.par_chunks_mut(nx).enumerate().for_each(|(y, out)| {
        for other in y.saturating_sub(radius)..(y + radius + 1).min(ny) {
            let (rise, row) = (other.abs_diff(y), &plane[other * nx..][..nx]);
            let width = (radius * radius - rise * rise).isqrt();
            raise(out, row);
            for shift in 1..=width.min(nx - 1) {
                raise(&mut out[shift..], &row[..nx - shift]);
                raise(&mut out[..nx - shift], &row[shift..]);
            }
        }
    });
    highest
}

fn raise(out: &mut [f64], values: &[f64]) {
    out.iter_mut().zip(values).for_each(|(o, v)| *o = o.max(*v));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, voxel by voxel.
    fn naive(image: &[f64], shape: [usize; 3], rule: &PeakRule) -> Vec<[usize; 3]> {
        let at = |p: [usize; 3]| image[(p[0] * shape[1] + p[1]) * shape[2] + p[2]];
        let d = rule.min_distance;
        let in_window = |p: [usize; 3], q: [usize; 3]| {
            let o = [0, 1, 2].map(|a| p[a].abs_diff(q[a]));
            match rule.window {
                Window::Cube => o.iter().all(|v| *v <= d),
                Window::Square => o[0] == 0 && o[1] <= d && o[2] <= d,
                Window::Disk(r) => o[0] == 0 && o[1] * o[1] + o[2] * o[2] <= r * r,
            }
        };
        let voxels = || {
            (0..shape[0]).flat_map(move |z| {
                (0..shape[1]).flat_map(move |y| (0..shape[2]).map(move |x| [z, y, x]))
            })
        };
        let highest = |p: [usize; 3]| !voxels().any(|q| in_window(p, q) && at(q) > at(p));
        if !rule.takes_all() && voxels().all(highest) {
            return Vec::new();
        }
        let border = rule.border();
        let inside =
            |p: [usize; 3]| (0..3).all(|a| p[a] >= border[a] && p[a] + border[a] < shape[a]);
        let mut all: Vec<_> =
            voxels().filter(|p| inside(*p) && at(*p) > rule.threshold && highest(*p)).collect();
        all.sort_by(|a, b| at(*b).total_cmp(&at(*a)));
        let mut kept: Vec<[usize; 3]> = Vec::new();
        for p in all {
            if d <= 1 || !kept.iter().any(|q| rule.are_near(p, *q)) {
                kept.push(p);
            }
        }
        kept
    }

    fn window() -> impl Strategy<Value = Window> {
        prop_oneof![Just(Window::Cube), Just(Window::Square), (0usize..4).prop_map(Window::Disk),]
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            shape in [1usize..9, 1usize..10, 1usize..11], min_distance in 0usize..4, window in window(),
            seed in 0u64..1000, values in 1u64..9, threshold in -1.0..3.0,
        ) {
            let n: usize = shape.iter().product();
            // Few different values, so that plateaus occur.
            let image: Vec<f64> = (0..n as u64)
                .map(|i| (((i * 2_654_435_761 + seed * 97) >> 7) % values) as f64)
                .collect();
            let rule = PeakRule { window, min_distance, threshold };
            let plane = shape[1] * shape[2];
            let found = local_maxima(shape, &rule, |z, out| {
                out.copy_from_slice(&image[z * plane..][..plane]);
            });
            prop_assert_eq!(found, naive(&image, shape, &rule));
        }
    }
}
