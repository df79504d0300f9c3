//! Networks of both families in f64, as they are defined. A ConvStack is a ResConvStack of one module less
//! without normalisation, which changes the seed.

use exavox_compute::ffn::{Architecture, Padding, SeedUpdate, TrainedModel};

/// A convolution, or a normalisation whose weights are the scale.
pub(crate) struct Exact {
    pub(crate) shape: Vec<usize>,
    pub(crate) weights: Vec<f64>,
    pub(crate) biases: Vec<f64>,
}

/// The layers in the order of the optimizer's slots.
pub(crate) fn exact(model: &TrainedModel) -> Vec<Exact> {
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect();
    let layer = |pair: &[(String, Vec<usize>, &[f32])]| {
        let [(_, shape, weights), (_, _, biases)] = pair else { unreachable!() };
        Exact { shape: shape.clone(), weights: wide(weights), biases: wide(biases) }
    };
    model.tensors().chunks(2).map(layer).collect()
}

/// Channels last.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) size: [usize; 3],
    pub(crate) values: Vec<f64>,
}

impl Image {
    pub(crate) fn new(size: [usize; 3], values: &[f32]) -> Self {
        Self { size, values: values.iter().map(|v| f64::from(*v)).collect() }
    }

    /// Of values `[channel, z, y, x]`.
    pub(crate) fn of_channels(size: [usize; 3], values: &[f32]) -> Self {
        let voxels: usize = size.iter().product();
        let voxel = |v: usize| values.iter().skip(v).step_by(voxels).map(|v| f64::from(*v));
        Self { size, values: (0..voxels).flat_map(voxel).collect() }
    }

    fn channels(&self) -> usize {
        self.values.len() / self.size.iter().product::<usize>()
    }

    fn voxels(&self) -> impl Iterator<Item = [usize; 3]> {
        let [nz, ny, nx] = self.size;
        (0..nz * ny * nx).map(move |at| [at / (ny * nx), at / nx % ny, at % nx])
    }

    /// All channels of a voxel; `None` outside.
    fn at(&self, zyx: [i64; 3]) -> Option<&[f64]> {
        let mut at = 0;
        for (p, n) in zyx.into_iter().zip(self.size) {
            at = at * n + usize::try_from(p).ok().filter(|p| *p < n)?;
        }
        Some(&self.values[at * self.channels()..][..self.channels()])
    }

    /// The middle.
    pub(crate) fn middle(&self, size: [usize; 3]) -> Self {
        let of_size = Self { size, values: vec![0.0; size.iter().product()] };
        let inside =
            |zyx: [usize; 3]| [0, 1, 2].map(|a| (zyx[a] + (self.size[a] - size[a]) / 2) as i64);
        let values = of_size.voxels().flat_map(|zyx| self.at(inside(zyx)).unwrap());
        Self { size, values: values.copied().collect() }
    }

    fn relu(&self) -> Self {
        Self { values: self.values.iter().map(|v| v.max(0.0)).collect(), ..*self }
    }

    fn plus(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a + b).collect();
        Self { values, ..*self }
    }

    fn convolved(&self, layer: &Exact, padding: Padding) -> Self {
        let [k, outputs] = [layer.shape[0], layer.shape[4]];
        let around = if padding == Padding::Same { k / 2 } else { 0 };
        let size = self.size.map(|n| n + 2 * around + 1 - k);
        let mut result = Self { size, values: Vec::new() };
        for zyx in (Self { size, values: Vec::new() }).voxels() {
            let mut sums = layer.biases.clone();
            for tap in 0..k * k * k {
                let offset = [tap / (k * k), tap / k % k, tap % k];
                let from = [0, 1, 2].map(|a| (zyx[a] + offset[a]) as i64 - around as i64);
                for (i, value) in self.at(from).into_iter().flatten().enumerate() {
                    let row = &layer.weights[(tap * layer.shape[3] + i) * outputs..][..outputs];
                    sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += value * w);
                }
            }
            result.values.extend(sums);
        }
        result
    }

    fn normalised(&self, layer: Option<&Exact>) -> Self {
        let Some(layer) = layer else { return self.clone() };
        let mut values = Vec::new();
        for voxel in self.values.chunks(self.channels()) {
            let channels = voxel.len() as f64;
            let mean = voxel.iter().sum::<f64>() / channels;
            let variance = voxel.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / channels;
            let parameters = layer.weights.iter().zip(&layer.biases);
            let deviation = (variance + 1e-6).sqrt();
            values.extend(
                voxel.iter().zip(parameters).map(|(v, (s, b))| (v - mean) / deviation * s + b),
            );
        }
        Self { values, ..*self }
    }
}

/// New logits of the middle of a field of view.
pub(crate) fn forward(
    architecture: &Architecture,
    layers: &[Exact],
    image: &Image,
    seed: &Image,
) -> Image {
    let padding = architecture.padding;
    let (convolutions, norms) = layers.split_at(architecture.features.len() + 1);
    let mut norms = norms.iter();
    let (output, convolutions) = convolutions.split_last().unwrap();
    let mut modules = convolutions.chunks(architecture.num_convs);
    let both = image.values.chunks(image.channels()).zip(seed.values.chunks(1));
    let both = both.flat_map(|(image, seed)| [image, seed].concat()).collect();
    let (begin, rest) = modules.next().unwrap().split_first().unwrap();
    let x = Image { values: both, ..*image }.convolved(begin, padding).normalised(norms.next());
    let mut x = rest.iter().fold(x, |x, layer| x.relu().convolved(layer, padding));
    for module in modules {
        let inner = x.normalised(norms.next());
        let inner = module.iter().fold(inner, |x, layer| x.relu().convolved(layer, padding));
        x = x.middle(inner.size).plus(&inner);
    }
    let new = x.normalised(norms.next()).relu().convolved(output, padding);
    match architecture.update {
        SeedUpdate::Additive => new.plus(&seed.middle(new.size)),
        SeedUpdate::Direct => new,
    }
}
