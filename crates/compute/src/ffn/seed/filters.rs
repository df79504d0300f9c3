//! The linear filters of the seed policy, in the arithmetic of `scipy.ndimage` (lines summed in f64
//! from the outermost pair inwards, stored as f32), because the seeds hang on single roundings.

use std::ops::Range;

use rayon::prelude::*;

/// One half of a kernel: centre and one side; the other side is the same, or its negative.
struct Kernel {
    centre: f64,
    /// Weight at distance 1, 2, ….
    side: Vec<f64>,
    /// -1.0: the weight at `+k` is the negative of that at `-k`.
    sign: f64,
}

/// Planes of a volume, f32, with the borders of the whole.
pub(super) struct Slab {
    shape: [usize; 3],
    first: usize,
    values: Vec<f32>,
}

impl Slab {
    /// Planes from `first` on of a volume of `shape`.
    pub(super) fn new(shape: [usize; 3], first: usize, values: Vec<f32>) -> Self {
        Self { shape, first, values }
    }

    pub(super) fn empty(shape: [usize; 3]) -> Self {
        Self::new(shape, 0, Vec::new())
    }

    pub(super) fn planes(&self) -> Range<usize> {
        self.first..self.first + self.values.len() / self.plane().max(1)
    }

    pub(super) fn values(&self, planes: Range<usize>) -> &[f32] {
        let plane = self.plane();
        &self.values[(planes.start - self.first) * plane..(planes.end - self.first) * plane]
    }

    /// Forgets planes before one of its own.
    pub(super) fn drop_before(&mut self, first: usize) {
        self.values.drain(..(first - self.first) * self.plane());
        self.first = first;
    }

    pub(super) fn append(&mut self, values: &[f32]) {
        self.values.extend_from_slice(values);
    }

    fn plane(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    fn row(&self, [z, y]: [usize; 2]) -> &[f32] {
        let [_, ny, nx] = self.shape;
        &self.values[((z - self.first) * ny + y) * nx..][..nx]
    }
}

/// Gradient magnitude along `axes` by the unnormalised Sobel operator, borders reflected. `image` must have
/// one more plane on each side than asked for, or end with the volume.
pub(super) fn sobel_magnitude(image: &Slab, planes: Range<usize>, axes: &[usize]) -> Vec<f32> {
    let difference = Kernel { centre: 0.0, side: vec![-1.0], sign: -1.0 };
    let smooth = Kernel { centre: 2.0, side: vec![1.0], sign: 1.0 };
    let mut sum = vec![0.0f32; planes.len() * image.plane()];
    for axis in axes {
        // Planes of the halo are needed until the pass along z.
        let of = |axis: usize, slab: &Slab| if axis == 0 { planes.clone() } else { slab.planes() };
        let mut gradient = correlate(image, of(*axis, image), *axis, &difference);
        for other in axes.iter().filter(|a| *a != axis) {
            gradient = correlate(&gradient, of(*other, &gradient), *other, &smooth);
        }
        sum.par_iter_mut().zip(&gradient.values).for_each(|(s, g)| *s += g * g);
    }
    sum.par_iter_mut().for_each(|s| *s = s.sqrt());
    sum
}

/// Voxels on each side that [`gaussian`] looks at.
pub(super) fn gaussian_radius(sigma: f64) -> usize {
    (4.0 * sigma + 0.5) as usize
}

/// Gaussian of standard deviation `sigma` voxels along `axes`, cut at 4 sigma, borders reflected. `image`
/// must have as many more planes on each side as the radius, or end with the volume.
pub(super) fn gaussian(image: &Slab, planes: Range<usize>, axes: &[usize], sigma: f64) -> Slab {
    let radius = gaussian_radius(sigma);
    let weight = |k: usize| (-0.5 / (sigma * sigma) * (k * k) as f64).exp();
    let sum = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
    let side = (1..=radius).map(|k| weight(k) / sum).collect();
    let kernel = Kernel { centre: 1.0 / sum, side, sign: 1.0 };
    let mut result = correlate(image, planes.clone(), axes[0], &kernel);
    for axis in &axes[1..] {
        result = correlate(&result, planes.clone(), *axis, &kernel);
    }
    result
}

/// One pass along one axis, for some planes.
fn correlate(input: &Slab, planes: Range<usize>, axis: usize, kernel: &Kernel) -> Slab {
    let [_, ny, nx] = input.shape;
    let mut output = vec![0.0f32; planes.len() * input.plane()];
    output.par_chunks_mut(nx).enumerate().for_each_init(
        || (vec![0.0f64; nx], Vec::new()),
        |(sums, padded), (row, out)| {
            let line = [planes.start + row / ny, row % ny];
            if axis == 2 {
                correlate_along_row(input.row(line), kernel, sums, padded);
            } else {
                correlate_across_rows(input, axis, line, kernel, sums);
            }
            out.iter_mut().zip(sums.iter()).for_each(|(o, s)| *o = *s as f32);
        },
    );
    Slab::new(input.shape, planes.start, output)
}

fn correlate_along_row(row: &[f32], kernel: &Kernel, sums: &mut [f64], padded: &mut Vec<f64>) {
    let (n, radius) = (row.len(), kernel.side.len());
    padded.clear();
    padded
        .extend((0..n + 2 * radius).map(|i| f64::from(row[reflect(i as i64 - radius as i64, n)])));
    let shifted = |offset: usize| &padded[offset..offset + n];
    start(sums, shifted(radius).iter().copied(), kernel.centre);
    for (k, weight) in kernel.side.iter().enumerate().rev().map(|(k, w)| (k + 1, *w)) {
        let (before, after) = (shifted(radius - k), shifted(radius + k));
        add_pair(sums, before.iter().copied(), after.iter().copied(), kernel.sign, weight);
    }
}

fn correlate_across_rows(
    input: &Slab,
    axis: usize,
    [z, y]: [usize; 2],
    kernel: &Kernel,
    sums: &mut [f64],
) {
    let [nz, ny, _] = input.shape;
    let row = |offset: i64| {
        let line = match axis {
            0 => [reflect(z as i64 + offset, nz), y],
            _ => [z, reflect(y as i64 + offset, ny)],
        };
        input.row(line).iter().map(|v| f64::from(*v))
    };
    start(sums, row(0), kernel.centre);
    for (k, weight) in kernel.side.iter().enumerate().rev().map(|(k, w)| (k as i64 + 1, *w)) {
        add_pair(sums, row(-k), row(k), kernel.sign, weight);
    }
}

fn start(sums: &mut [f64], values: impl Iterator<Item = f64>, weight: f64) {
    sums.iter_mut().zip(values).for_each(|(s, v)| *s = v * weight);
}

fn add_pair(
    sums: &mut [f64],
    before: impl Iterator<Item = f64>,
    after: impl Iterator<Item = f64>,
    sign: f64,
    weight: f64,
) {
    for ((s, b), a) in sums.iter_mut().zip(before).zip(after) {
        *s += (b + sign * a) * weight;
    }
}

/// Index into `0..n` mirrored at the half-sample border: `d c b a | a b c d | d c b a`.
fn reflect(index: i64, n: usize) -> usize {
    let n = n as i64;
    let folded = index.rem_euclid(2 * n);
    (if folded < n { folded } else { 2 * n - 1 - folded }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: a 3-d sum over the product kernel.
    fn naive_gaussian(image: &[f32], shape: [usize; 3], sigma: f64) -> Vec<f64> {
        let radius = (4.0 * sigma + 0.5) as i64;
        let weight = |k: i64| (-0.5 / (sigma * sigma) * (k * k) as f64).exp();
        let total: f64 = (-radius..=radius).map(weight).sum::<f64>().powi(3);
        let at = |z: i64, y: i64, x: i64| {
            let (z, y, x) = (reflect(z, shape[0]), reflect(y, shape[1]), reflect(x, shape[2]));
            f64::from(image[(z * shape[1] + y) * shape[2] + x])
        };
        let mut out = Vec::new();
        for z in 0..shape[0] as i64 {
            for y in 0..shape[1] as i64 {
                for x in 0..shape[2] as i64 {
                    let mut sum = 0.0;
                    for i in -radius..=radius {
                        for j in -radius..=radius {
                            for k in -radius..=radius {
                                sum += weight(i) * weight(j) * weight(k) * at(z + i, y + j, x + k);
                            }
                        }
                    }
                    out.push(sum / total);
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gaussian_is_the_sum_over_the_product_kernel(
            shape in [1usize..5, 1usize..6, 1usize..7], seed in 0u32..1000,
        ) {
            let n = shape.iter().product::<usize>() as u32;
            let image: Vec<f32> = (0..n).map(|i| ((i * 37 + seed) % 17) as f32).collect();
            let slab = Slab::new(shape, 0, image.clone());
            let fast = gaussian(&slab, 0..shape[0], &[0, 1, 2], 0.9).values;
            for (f, s) in fast.iter().zip(naive_gaussian(&image, shape, 0.9)) {
                prop_assert!((f64::from(*f) - s).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn sobel_of_a_ramp_is_its_slope_times_sixteen_twice() {
        let shape = [5, 5, 5];
        let image: Vec<f32> = (0..125).map(|i| (i % 5) as f32).collect();
        let edges = sobel_magnitude(&Slab::new(shape, 0, image), 0..5, &[0, 1, 2]);
        assert_eq!(edges[62], 32.0);
        // At the border the mirrored neighbour halves the difference.
        assert_eq!(edges[60], 16.0);
    }
}
