//! Networks that say nothing at the border of their FOV, and networks of several image channels, in the
//! flood loop.

use std::collections::HashMap;
use std::sync::Arc;

use exavox_compute::Result;
use exavox_compute::ffn::{
    Canvas, CanvasChannel, Everywhere, InferenceOptions, Inline, ModelConfig, Network, Segmenter,
    flood_object,
};
use exavox_io::{DataType, Voxels};

const CONFIG: ModelConfig = ModelConfig { fov_zyx: [9; 3], deltas_zyx: [2; 3] };
const SHAPE: [usize; 3] = [15, 13, 17];

/// Speaks of the inner 5^3 voxels of its FOV only, as without padding.
struct Inner {
    /// What it says, by step and voxel of the FOV.
    says: fn(usize, [usize; 3]) -> f32,
    steps: usize,
    images: Vec<Vec<f32>>,
}

impl Inner {
    fn new(says: fn(usize, [usize; 3]) -> f32) -> Self {
        Self { says, steps: 0, images: Vec::new() }
    }
}

fn places(shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [nz, ny, nx] = shape;
    (0..nz * ny * nx).map(move |i| [i / (ny * nx), i / nx % ny, i % nx])
}

fn is_inner(place: [usize; 3]) -> bool {
    place.iter().all(|p| (2..7).contains(p))
}

impl Network for Inner {
    fn step(&mut self, image: &[f32], _seed: &[f32], logits: &mut [f32]) -> Result<()> {
        self.images.push(image.to_vec());
        for (logit, place) in logits.iter_mut().zip(places(CONFIG.fov_zyx)) {
            *logit = if is_inner(place) { (self.says)(self.steps, place) } else { f32::NAN };
        }
        self.steps += 1;
        Ok(())
    }

    fn device_name(&self) -> String {
        "inner".into()
    }
}

fn ramp(factor: usize) -> Arc<Voxels> {
    let values = places(SHAPE).enumerate().map(|(i, _)| (i * factor % 251) as u8).collect();
    Arc::new(Voxels::from_vec(SHAPE, values).unwrap())
}

fn canvas(options: InferenceOptions) -> Canvas {
    Canvas::new(ramp(7), CONFIG, options).unwrap()
}

#[test]
fn what_the_network_leaves_out_stays_as_it_was() {
    let options = InferenceOptions { disco_seed_threshold: -1.0, ..Default::default() };
    let mut network =
        Inner::new(|step, [z, y, x]| 5.0 + step as f32 + (z * 81 + y * 9 + x) as f32 / 1e3);
    let flooded = flood_object(&canvas(options), [7, 6, 8], &mut network, &Everywhere).unwrap();
    assert!(flooded.steps > 5, "{}", flooded.steps);
    // By its definition: the inner part of each step over those before.
    let mut expected = HashMap::new();
    for (step, (centre, _)) in flooded.history.iter().enumerate() {
        for place in places(CONFIG.fov_zyx).filter(|p| is_inner(*p)) {
            let at = [0, 1, 2].map(|a| centre[a] + place[a] - 4);
            expected.insert(at, (network.says)(step, place));
        }
    }
    let found = flooded.probabilities([0; 3], SHAPE);
    for (found, at) in found.iter().zip(places(SHAPE)) {
        match expected.get(&at) {
            Some(logit) => assert!((found - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6, "{at:?}"),
            None => assert!(found.is_nan(), "{at:?}: {found}"),
        }
    }
}

/// The share of the FOV that the disco rule asks for is a share of what the network speaks of: 125 of 729
/// voxels are a sixth, but all of them.
#[test]
fn the_disco_rule_counts_what_was_said() {
    let options = InferenceOptions { disco_seed_threshold: 0.5, ..Default::default() };
    // The first step judges a plane beside the seed outside, all later ones want everything inside.
    let says = |step: usize, [z, _, _]: [usize; 3]| if step == 0 && z == 5 { -1.0 } else { 4.0 };
    let mut network = Inner::new(says);
    let flooded = flood_object(&canvas(options), [7, 6, 8], &mut network, &Everywhere).unwrap();
    assert!(flooded.steps > 1);
    let outside = 1.0 / (1.0 + 1f32.exp());
    let plane = flooded.probabilities([8, 4, 6], [1, 5, 5]);
    assert!(plane.iter().all(|p| (p - outside).abs() < 1e-6), "{plane:?}");
}

#[test]
fn a_network_sees_its_channels_one_after_the_other() {
    let options = InferenceOptions { image_mean: 100.0, image_stddev: 2.0, ..Default::default() };
    let second = CanvasChannel { voxels: ramp(11), mean: 10.0, stddev: 4.0 };
    let third = CanvasChannel { voxels: ramp(3), mean: 0.0, stddev: 1.0 };
    let make = || canvas(options).with_more_channels(vec![second.clone(), third.clone()]).unwrap();
    let mut network = Inner::new(|_, _| -3.0);
    flood_object(&make(), [7, 6, 8], &mut network, &Everywhere).unwrap();
    let expected: Vec<f32> = [(7, 100.0, 2.0), (11, 10.0, 4.0), (3, 0.0, 1.0)]
        .into_iter()
        .flat_map(|(factor, mean, stddev)| {
            places(CONFIG.fov_zyx).map(move |[z, y, x]| {
                let at = ((z + 3) * SHAPE[1] + y + 2) * SHAPE[2] + x + 4;
                ((at * factor % 251) as f32 - mean) / stddev
            })
        })
        .collect();
    assert_eq!(network.images, [expected]);

    // Many at a time see the same.
    let mut network = Inner::new(|_, [z, _, _]| z as f32 - 2.0);
    let seeds = vec![[7, 6, 8], [5, 5, 5], [9, 7, 11]];
    let mut segmenter = Segmenter::new(make(), seeds).unwrap();
    let mut steps = Inline::new(&mut network, 3);
    while segmenter.advance(&mut steps, &mut |_| ()).unwrap() {}
    assert!(segmenter.finish().counters.fov_steps >= 1);
    assert!(network.images.iter().all(|image| image.len() == 3 * CONFIG.fov_voxels()));
}

#[test]
fn channels_that_cannot_be_are_refused() {
    let with = |voxels: Arc<Voxels>, stddev: f32| {
        let channel = CanvasChannel { voxels, mean: 0.0, stddev };
        let refused = canvas(InferenceOptions::default()).with_more_channels(vec![channel]);
        refused.err().unwrap().to_string()
    };
    let other = Arc::new(Voxels::zeros(DataType::U8, [15, 13, 16]).unwrap());
    assert!(with(other, 1.0).contains("expected [15, 13, 17], found [15, 13, 16]"));
    assert!(with(ramp(1), 0.0).contains("a deviation above 0"));
    let mut values = vec![0.0f32; SHAPE.iter().product()];
    values[20] = f32::NAN;
    let bad = Arc::new(Voxels::from_vec(SHAPE, values).unwrap());
    assert!(with(bad, 1.0).contains("NaN at z,y,x 0,1,3"));
}
