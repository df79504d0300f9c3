//! The state of a segmentation that its objects share: image and finished segments.

use std::ops::Range;
use std::sync::Arc;

use exavox_io::{Element, Voxels, match_dtype};

use super::config::{InferenceOptions, ModelConfig, logit};
use super::residence::CanvasImage;
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
    /// Of probability 0.8: a voxel that was above and falls below 0 counts as deleted.
    pub(super) sure: f32,
}

impl Logits {
    pub(super) fn of(options: &InferenceOptions) -> Self {
        Self {
            init_activation: logit(options.init_activation) as f32,
            pad_value: logit(options.pad_value) as f32,
            move_threshold: logit(options.move_threshold) as f32,
            segment_threshold: logit(options.segment_threshold) as f32,
            sure: logit(0.8) as f32,
        }
    }
}

/// Image and segments of one subvolume, `[z, y, x]` in C order.
///
/// Memory: the image in its own type, and 4 bytes a voxel; 5 with probabilities.
pub struct Canvas {
    pub(super) shape: [usize; 3],
    pub(super) config: ModelConfig,
    pub(super) options: InferenceOptions,
    pub(super) logits: Logits,
    image: Arc<Voxels>,
    /// For steps where the network is.
    still: Arc<CanvasImage>,
    more: Vec<CanvasChannel>,
    segmentation: Vec<i32>,
    /// Labels written since they were last asked for, if they are noted.
    changes: Option<Vec<LabelRun>>,
    /// Quantised probabilities of segments, if they are wanted.
    probabilities: Option<Vec<u8>>,
}

/// A channel of the image behind the first; networks see `(voxel - mean) / stddev`.
#[derive(Debug, Clone)]
pub struct CanvasChannel {
    /// Of the shape of the first channel.
    pub voxels: Arc<Voxels>,
    /// Subtracted.
    pub mean: f32,
    /// Divided by.
    pub stddev: f32,
}

/// Voxels along x that got a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelRun {
    /// Number of the first voxel.
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) label: i32,
}

impl Canvas {
    /// A canvas with nothing segmented. The image is not normalised; networks see
    /// `(image - mean) / stddev`.
    ///
    /// # Errors
    /// [`Error::Usage`] if the image is smaller than the FOV or has a value that is not finite, or a
    /// setting is out of range.
    pub fn new(
        image: impl Into<Arc<Voxels>>,
        config: ModelConfig,
        options: InferenceOptions,
    ) -> Result<Self> {
        let image = image.into();
        config.check()?;
        options.check()?;
        check_image(&image, &config)?;
        let logits = Logits::of(&options);
        let (shape, segmentation) = (image.shape(), vec![0; image.len()]);
        let still = Arc::new(CanvasImage::new(Arc::clone(&image), config, options));
        Ok(Self {
            shape,
            config,
            options,
            logits,
            image,
            still,
            more: Vec::new(),
            segmentation,
            changes: None,
            probabilities: None,
        })
    }

    /// With channels of the image behind the first, which the network sees in this order.
    ///
    /// # Errors
    /// [`Error::Usage`] if one has another shape or a value that is not finite, or cannot be normalised.
    pub fn with_more_channels(mut self, more: Vec<CanvasChannel>) -> Result<Self> {
        for CanvasChannel { voxels, mean, stddev } in &more {
            let (expected, found) = (self.shape, voxels.shape());
            if expected != found {
                let message =
                    format!("channel of the image: expected {expected:?}, found {found:?}");
                return Err(Error::Usage(message));
            }
            check_image(voxels, &self.config)?;
            if !mean.is_finite() || !stddev.is_finite() || *stddev <= 0.0 {
                let message = format!(
                    "channel of the image: expected a finite mean and a deviation above 0, found {mean} and {stddev}"
                );
                return Err(Error::Usage(message));
            }
        }
        self.more = more;
        Ok(self)
    }

    /// What steps are made of where the network is; `None` if they see several channels.
    pub(super) fn still(&self) -> Option<&Arc<CanvasImage>> {
        self.more.is_empty().then_some(&self.still)
    }

    /// Values of the image that a step sees: those of an FOV, for each channel.
    pub(super) fn image_values(&self) -> usize {
        self.config.fov_voxels() * (1 + self.more.len())
    }

    /// Voxels along z, y and x.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The image as it was given.
    pub fn image(&self) -> &Voxels {
        &self.image
    }

    /// Labels: 0 = free, above 0 = segment, -1 = a seed was tried here. C order.
    pub fn segmentation(&self) -> &[i32] {
        &self.segmentation
    }

    pub(super) fn note_changes(&mut self) {
        self.changes = Some(Vec::new());
    }

    pub(super) fn take_changes(&mut self) -> Vec<LabelRun> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Labels a voxel.
    pub(super) fn write_label(&mut self, position: Position, label: i32) {
        let at = self.index(position);
        self.segmentation[at] = label;
        let Some(changes) = &mut self.changes else { return };
        // Subvolumes have fewer voxels than an i32 can number.
        let start = at as u32;
        match changes.last_mut() {
            Some(run) if run.label == label && run.start + run.len == start => run.len += 1,
            _ => changes.push(LabelRun { start, len: 1, label }),
        }
    }

    /// Labels voxels that an earlier run has labelled; `None` if there are no such voxels.
    pub(super) fn write_run(&mut self, run: &LabelRun) -> Option<()> {
        let start = run.start as usize;
        self.segmentation.get_mut(start..start + run.len as usize)?.fill(run.label);
        Some(())
    }

    /// The finished labels, tried seeds among them.
    pub(super) fn into_segmentation(self) -> Vec<i32> {
        self.segmentation
    }

    pub(super) fn index(&self, [z, y, x]: Position) -> usize {
        (z * self.shape[1] + y) * self.shape[2] + x
    }

    pub(super) fn label_at(&self, position: Position) -> i32 {
        self.segmentation[self.index(position)]
    }

    /// Whether a FOV centred here lies inside the volume.
    pub(super) fn holds_fov(&self, position: Position) -> bool {
        let margin = self.config.margin();
        (0..3).all(|a| position[a] >= margin[a] && position[a] + margin[a] < self.shape[a])
    }

    /// Whether a FOV centred here lies inside the volume and its centre is in no segment.
    pub(super) fn is_free(&self, position: Position) -> bool {
        self.holds_fov(position) && self.label_at(position) <= 0
    }

    /// Whether a segment lies within the minimum boundary distance, a box, of a voxel.
    pub(super) fn is_close_to_segment(&self, [z, y, x]: Position) -> bool {
        let distance = self.options.min_boundary_dist_zyx;
        let range = |a: usize, p: usize| {
            p.saturating_sub(distance[a])..p.saturating_add(distance[a] + 1).min(self.shape[a])
        };
        range(0, z).any(|z| {
            range(1, y).any(|y| {
                let Range { start, end } = range(2, x);
                let row = self.index([z, y, 0]);
                self.segmentation[row + start..row + end].iter().any(|label| *label > 0)
            })
        })
    }

    /// Marks a voxel where a seed was tried, unless a segment is there.
    pub(super) fn mark_tried(&mut self, seed: Position) {
        if self.label_at(seed) == 0 {
            self.write_label(seed, TRIED);
        }
    }

    /// Where the FOV around a voxel starts. The voxel must be a margin away from the borders.
    pub(super) fn window_start(&self, position: Position) -> Position {
        let margin = self.config.margin();
        std::array::from_fn(|a| position[a] - margin[a])
    }

    /// Copies the normalised image of an FOV, one channel after the other.
    pub(super) fn gather_image(&self, start: Position, to: &mut [f32]) {
        let (first, rest) = to.split_at_mut(self.config.fov_voxels());
        let (mean, stddev) = (self.options.image_mean, self.options.image_stddev);
        self.gather_channel(&self.image, mean, stddev, start, first);
        let rest = rest.chunks_exact_mut(self.config.fov_voxels());
        for (CanvasChannel { voxels, mean, stddev }, to) in self.more.iter().zip(rest) {
            self.gather_channel(voxels, *mean, *stddev, start, to);
        }
    }

    fn gather_channel(
        &self,
        voxels: &Voxels,
        mean: f32,
        stddev: f32,
        start: Position,
        to: &mut [f32],
    ) {
        let [_, ny, nx] = self.config.fov_zyx;
        match_dtype!(voxels.dtype(), T => {
            let values: &[T] = values_of(voxels);
            for (row, target) in to.chunks_exact_mut(nx).enumerate() {
                let at = self.index([start[0] + row / ny, start[1] + row % ny, start[2]]);
                normalise(&values[at..at + nx], mean, stddev, target);
            }
        });
    }
}

fn values_of<T: Element>(voxels: &Voxels) -> &[T] {
    // The type is asked for just before: there is no other.
    voxels.as_slice().unwrap_or_default()
}

/// `(voxel - mean) / stddev`.
pub(super) fn normalise<T: Element>(from: &[T], mean: f32, stddev: f32, to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = (from.to_f64() as f32 - mean) / stddev;
    }
}

fn check_image(image: &Voxels, config: &ModelConfig) -> Result<()> {
    let shape = image.shape();
    for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
        if shape[a] < config.fov_zyx[a] {
            let (found, fov) = (shape[a], config.fov_zyx[a]);
            let message = format!(
                "the image is smaller than the FOV along {axis}: expected {fov}, found {found}"
            );
            return Err(Error::Usage(message));
        }
    }
    let wrong = match_dtype!(image.dtype(), T => {
        let values: &[T] = image.as_slice()?;
        let values = values.iter().map(|v| v.to_f64() as f32);
        values.enumerate().find(|(_, v)| !v.is_finite())
    });
    if let Some((at, value)) = wrong {
        let (plane, x) = (shape[1] * shape[2], at % shape[2]);
        let (z, y) = (at / plane, at / shape[2] % shape[1]);
        let message = format!("the image has the value {value} at z,y,x {z},{y},{x}");
        return Err(Error::Usage(message));
    }
    Ok(())
}
