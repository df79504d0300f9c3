//! The state of a segmentation: image, current object, finished segments; and one step on it.

use super::config::{InferenceOptions, ModelConfig, logit};
use super::network::Network;
use super::restrictor::Restrictor;
use crate::error::{Error, Result};

mod prior;

/// Label of a voxel where a seed was tried and should not be tried again; becomes 0 at the end.
pub(super) const TRIED: i32 = -1;

/// A voxel, `[z, y, x]`.
pub(super) type Position = [usize; 3];

/// Thresholds as logits; converted once, kept as f32 as google/ffn keeps them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logits {
    pub(super) init_activation: f32,
    pub(super) pad_value: f32,
    pub(super) move_threshold: f32,
    pub(super) segment_threshold: f32,
}

/// Image, logits of the current object, and segments of one subvolume, `[z, y, x]` in C order.
///
/// Memory: 12 bytes a voxel.
pub struct Canvas {
    pub(super) shape: [usize; 3],
    pub(super) config: ModelConfig,
    pub(super) options: InferenceOptions,
    pub(super) logits: Logits,
    image: Vec<f32>,
    /// Logits of the current object; NaN where no step has been.
    seed: Vec<f32>,
    segmentation: Vec<i32>,
    /// Where FOVs may be centred and objects may start.
    pub(super) restrictor: Restrictor,
    /// Labels that were there before: 1 up to this.
    pub(super) initial_labels: u32,
    /// Quantised probabilities of segments, if they are wanted.
    probabilities: Option<Vec<u8>>,
    /// Box `[start, end)` outside which `seed` is all NaN, so that a reset need not clear it all.
    dirty: [[usize; 3]; 2],
    window: Window,
}

/// Buffers of one FOV, kept between steps.
struct Window {
    image: Vec<f32>,
    seed: Vec<f32>,
    old: Vec<f32>,
    logits: Vec<f32>,
}

impl Canvas {
    /// A canvas with nothing segmented. `image`: f32 `[z, y, x]`, not normalised; becomes
    /// `(image - mean) / stddev`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the image is smaller than the FOV, or a setting is out of range.
    pub fn new(
        mut image: Vec<f32>,
        shape: [usize; 3],
        config: ModelConfig,
        options: InferenceOptions,
    ) -> Result<Self> {
        config.check()?;
        options.check()?;
        check_image(&image, shape, &config)?;
        for value in &mut image {
            *value = (*value - options.image_mean) / options.image_stddev;
        }
        let voxels = image.len();
        let fov = config.fov_voxels();
        let buffer = || vec![0.0; fov];
        let window = Window { image: buffer(), seed: buffer(), old: buffer(), logits: buffer() };
        let logits = Logits {
            init_activation: logit(options.init_activation) as f32,
            pad_value: logit(options.pad_value) as f32,
            move_threshold: logit(options.move_threshold) as f32,
            segment_threshold: logit(options.segment_threshold) as f32,
        };
        Ok(Self {
            shape,
            config,
            options,
            logits,
            image,
            seed: vec![f32::NAN; voxels],
            segmentation: vec![0; voxels],
            restrictor: Restrictor::default(),
            initial_labels: 0,
            probabilities: None,
            dirty: [[0; 3]; 2],
            window,
        })
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The normalised image, C order.
    pub fn image(&self) -> &[f32] {
        &self.image
    }

    /// Labels: 0 = free, above 0 = segment, -1 = a seed was tried here. C order.
    pub fn segmentation(&self) -> &[i32] {
        &self.segmentation
    }

    pub(super) fn segmentation_mut(&mut self) -> &mut [i32] {
        &mut self.segmentation
    }

    /// The finished labels, tried seeds turned to 0.
    pub(super) fn into_segmentation(self) -> Vec<i32> {
        self.segmentation
    }

    pub(super) fn index(&self, [z, y, x]: Position) -> usize {
        (z * self.shape[1] + y) * self.shape[2] + x
    }

    /// Logit of the current object at a voxel; NaN where no step has been.
    ///
    /// # Panics
    /// If the voxel lies outside the canvas.
    pub fn seed_at(&self, position: [usize; 3]) -> f32 {
        self.seed[self.index(position)]
    }

    pub(super) fn seed(&self) -> &[f32] {
        &self.seed
    }

    /// Whether a FOV centred here lies inside the volume and its centre is in no segment.
    pub(super) fn is_free(&self, position: Position) -> bool {
        let margin = self.config.margin();
        let inside =
            (0..3).all(|a| position[a] >= margin[a] && position[a] + margin[a] < self.shape[a]);
        inside && self.segmentation[self.index(position)] <= 0
    }

    /// Whether the FOV may move here: free, and not judged outside the object. Voxels that no step
    /// has touched (NaN) pass.
    pub(super) fn is_valid(&self, position: Position) -> bool {
        let judged_outside = |logit: f32| logit < self.logits.move_threshold;
        self.is_free(position) && !judged_outside(self.seed[self.index(position)])
    }

    /// Forgets the current object and starts one at a voxel.
    pub(super) fn start_object(&mut self, position: Position) {
        let [start, end] = self.dirty;
        for z in start[0]..end[0] {
            for y in start[1]..end[1] {
                let row = self.index([z, y, start[2]]);
                self.seed[row..row + end[2] - start[2]].fill(f32::NAN);
            }
        }
        let at = self.index(position);
        self.seed[at] = self.logits.init_activation;
        self.dirty = [position, position.map(|p| p + 1)];
    }

    /// Runs the network on the FOV centred at `position` and writes the new logits to the canvas.
    /// Returns them, `[z, y, x]` of the FOV in C order. `position` must be at least a margin away
    /// from the borders.
    ///
    /// # Errors
    /// What the network returns; the canvas is as before then.
    pub fn update_at(&mut self, position: [usize; 3], network: &mut dyn Network) -> Result<&[f32]> {
        let start = self.window_start(position)?;
        let mut window = std::mem::replace(
            &mut self.window,
            Window { image: Vec::new(), seed: Vec::new(), old: Vec::new(), logits: Vec::new() },
        );
        self.gather(&self.image, start, &mut window.image);
        self.gather(&self.seed, start, &mut window.old);
        let pad = self.logits.pad_value;
        for (seed, old) in window.seed.iter_mut().zip(&window.old) {
            *seed = if old.is_nan() { pad } else { *old };
        }
        let done = network.step(&window.image, &window.seed, &mut window.logits);
        if done.is_ok() {
            self.keep_outside(&window.old, &mut window.logits);
            self.scatter(start, &window.logits);
        }
        self.window = window;
        done.map(|()| self.window.logits.as_slice())
    }

    /// The disco rule: where a voxel was judged outside (logit below 0) and the network now wants it
    /// more inside, the old value stays; only once enough of the FOV is inside. Stops objects from
    /// flashing through thin membranes.
    fn keep_outside(&self, old: &[f32], logits: &mut [f32]) {
        let threshold = self.options.disco_seed_threshold;
        if threshold < 0.0 {
            return;
        }
        let inside = logits.iter().filter(|l| **l >= self.logits.move_threshold).count();
        if inside as f64 / logits.len() as f64 <= f64::from(threshold) {
            return;
        }
        for (new, old) in logits.iter_mut().zip(old) {
            if *old < 0.0 && *new > *old {
                *new = *old;
            }
        }
    }

    fn window_start(&self, position: Position) -> Result<Position> {
        let margin = self.config.margin();
        let inside =
            (0..3).all(|a| position[a] >= margin[a] && position[a] + margin[a] < self.shape[a]);
        if !inside {
            let (shape, fov) = (self.shape, self.config.fov_zyx);
            let message = format!("FOV {fov:?} at {position:?} leaves the volume of {shape:?}");
            return Err(Error::Usage(message));
        }
        Ok(std::array::from_fn(|a| position[a] - margin[a]))
    }

    fn gather(&self, from: &[f32], start: Position, to: &mut [f32]) {
        let [_, ny, nx] = self.config.fov_zyx;
        for (row, target) in to.chunks_exact_mut(nx).enumerate() {
            let at = self.index([start[0] + row / ny, start[1] + row % ny, start[2]]);
            target.copy_from_slice(&from[at..at + nx]);
        }
    }

    fn scatter(&mut self, start: Position, logits: &[f32]) {
        let fov = self.config.fov_zyx;
        for (row, source) in logits.chunks_exact(fov[2]).enumerate() {
            let at = self.index([start[0] + row / fov[1], start[1] + row % fov[1], start[2]]);
            self.seed[at..at + fov[2]].copy_from_slice(source);
        }
        for a in 0..3 {
            self.dirty[0][a] = self.dirty[0][a].min(start[a]);
            self.dirty[1][a] = self.dirty[1][a].max(start[a] + fov[a]);
        }
    }
}

fn check_image(image: &[f32], shape: [usize; 3], config: &ModelConfig) -> Result<()> {
    if shape.iter().product::<usize>() != image.len() {
        let message = format!("shape {shape:?} does not hold {} voxels", image.len());
        return Err(Error::Usage(message));
    }
    for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
        if shape[a] < config.fov_zyx[a] {
            let (found, fov) = (shape[a], config.fov_zyx[a]);
            let message = format!(
                "the image is smaller than the FOV along {axis}: expected {fov}, found {found}"
            );
            return Err(Error::Usage(message));
        }
    }
    if let Some(at) = image.iter().position(|v| !v.is_finite()) {
        let (plane, x) = (shape[1] * shape[2], at % shape[2]);
        let (z, y) = (at / plane, at / shape[2] % shape[1]);
        let message = format!("the image has the value {} at z,y,x {z},{y},{x}", image[at]);
        return Err(Error::Usage(message));
    }
    Ok(())
}
