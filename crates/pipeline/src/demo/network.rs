//! A flood-filling network whose weights are set by hand, not trained: it grows the object over
//! bright voxels, a voxel per module, and stops at dark membranes. It shows the whole way of a
//! segmentation with real steps of a real network, and needs no download.

use exavox_compute::ffn::{InferenceOptions, Layer, ModelConfig, Weights};

use crate::segment::SegmentSettings;

/// Residual modules; each grows the object by one voxel in all directions.
const GROWTH: usize = 5;
/// Bright voxels; the same, smoothed; the object at the start and after each module.
const FEATURES: usize = GROWTH + 3;
const BRIGHT: usize = 0;
const SMOOTH: usize = 1;
const OBJECT: usize = 2;

/// The network. Depth 6, 8 features.
pub fn demo_network() -> Weights {
    let modules = (1..=GROWTH).map(|i| (neighbours(i), grow(i))).collect();
    Weights { first: (ramps(), levels()), modules, update: update() }
}

/// Settings that go with the network and the synthetic volume; seeds are still to be set.
pub fn demo_settings() -> SegmentSettings {
    let mut settings = SegmentSettings::new("");
    settings.model = ModelConfig { fov_zyx: [13; 3], deltas_zyx: [4; 3] };
    settings.inference = InferenceOptions {
        image_mean: 120.0,
        image_stddev: 55.0,
        // A voxel out of reach in one step is judged outside at first; the disco rule would keep it so.
        disco_seed_threshold: -1.0,
        min_segment_size: 100,
        ..InferenceOptions::default()
    };
    settings
}

/// First layer: two ramps each over image and seed. The difference of two ramps is a step from 0 to 1.
fn ramps() -> Layer {
    let mut layer = empty(3, 2, FEATURES);
    for (channel, threshold) in [(0, -0.2), (1, 0.2)] {
        // Mean of a voxel and its six neighbours, against noise; slope 2.5 over a width of 0.4.
        for (tap, weight) in cross().map(|tap| (tap, 2.5 / 7.0)) {
            set(&mut layer, tap, 0, channel, weight);
        }
        layer.biases[channel] = -2.5 * threshold;
    }
    for (channel, threshold) in [(2, 0.0), (3, 2.0)] {
        set(&mut layer, CENTRE, 1, channel, 0.5);
        layer.biases[channel] = -0.5 * threshold;
    }
    layer
}

/// Second layer: the steps themselves.
fn levels() -> Layer {
    let mut layer = empty(3, FEATURES, FEATURES);
    for (channel, ramp) in [(BRIGHT, 0), (SMOOTH, 0), (OBJECT, 2)] {
        set(&mut layer, CENTRE, ramp, channel, 1.0);
        set(&mut layer, CENTRE, ramp + 1, channel, -1.0);
    }
    layer
}

/// Ramps over the sum of the object in the cube of 27 voxels; the bright voxels carried along; the
/// smoothed ones before and after one more smoothing.
fn neighbours(module: usize) -> Layer {
    let mut layer = empty(3, FEATURES, FEATURES);
    for tap in 0..27 {
        set(&mut layer, tap, OBJECT + module - 1, 0, 1.0);
        set(&mut layer, tap, OBJECT + module - 1, 1, 1.0);
        set(&mut layer, tap, SMOOTH, 3, 1.0 / 27.0);
    }
    layer.biases[1] = -1.0;
    set(&mut layer, CENTRE, BRIGHT, 2, 1.0);
    set(&mut layer, CENTRE, SMOOTH, 4, 1.0);
    layer
}

/// The grown object: a voxel that is bright and beside the object, or in it.
fn grow(module: usize) -> Layer {
    let mut layer = empty(3, FEATURES, FEATURES);
    let object = OBJECT + module;
    set(&mut layer, CENTRE, 0, object, 1.0);
    set(&mut layer, CENTRE, 1, object, -1.0);
    set(&mut layer, CENTRE, 2, object, 1.0);
    layer.biases[object] = -1.0;
    set(&mut layer, CENTRE, 3, SMOOTH, 1.0);
    set(&mut layer, CENTRE, 4, SMOOTH, -1.0);
    layer
}

/// Object: +6 logits a step; bright but not reached: no change; dark: -3. A little less towards the
/// membrane: the FOV then moves along the middle of a tube, not along its first wall.
fn update() -> Layer {
    let mut layer = empty(1, FEATURES, 1);
    set(&mut layer, 0, OBJECT + GROWTH, 0, 6.0);
    set(&mut layer, 0, BRIGHT, 0, 3.0);
    set(&mut layer, 0, SMOOTH, 0, 1.0);
    layer.biases[0] = -4.0;
    layer
}

/// The middle tap of a 3x3x3 kernel.
const CENTRE: usize = 13;

/// The taps of a voxel and its six neighbours.
fn cross() -> impl Iterator<Item = usize> {
    [CENTRE, 4, 10, 12, 14, 16, 22].into_iter()
}

fn empty(kernel: usize, inputs: usize, outputs: usize) -> Layer {
    let shape = [kernel, kernel, kernel, inputs, outputs];
    Layer { shape, weights: vec![0.0; shape.iter().product()], biases: vec![0.0; outputs] }
}

fn set(layer: &mut Layer, tap: usize, input: usize, output: usize, weight: f32) {
    let [.., inputs, outputs] = layer.shape;
    layer.weights[(tap * inputs + input) * outputs + output] = weight;
}
