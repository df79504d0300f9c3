//! Objects whose logits stay where the network is, so that a step moves bytes, not volumes: the seam
//! between the flood loop and devices with memory of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use exavox_io::Voxels;

use super::config::{InferenceOptions, ModelConfig};
use super::object_logits::{TileBits, TileIndex};
use crate::error::Result;

/// What a canvas is for the steps over it: it does not change while objects grow.
pub struct CanvasImage {
    /// Its voxels, not normalised.
    pub voxels: Arc<Voxels>,
    /// Geometry of the network.
    pub model: ModelConfig,
    /// Normalisation and thresholds.
    pub options: InferenceOptions,
    number: u64,
}

impl CanvasImage {
    pub(super) fn new(voxels: Arc<Voxels>, model: ModelConfig, options: InferenceOptions) -> Self {
        Self { voxels, model, options, number: number() }
    }

    /// A number that nothing else in this process has.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Name of an object whose logits are elsewhere. They are given back there when all clones are gone.
#[derive(Debug, Clone)]
pub struct ObjectKey(Arc<u64>);

impl ObjectKey {
    /// A name that nothing else in this process has.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Arc::new(number()))
    }

    /// The name.
    pub fn number(&self) -> u64 {
        *self.0
    }

    /// Tells whether somebody needs the object still.
    pub fn watch(&self) -> Weak<u64> {
        Arc::downgrade(&self.0)
    }
}

fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A step of an object whose logits are where the network is.
#[derive(Clone)]
pub struct Window {
    /// What it looks at.
    pub canvas: Arc<CanvasImage>,
    /// Whose step it is. One that is not known there is lost, unless `seed` is given.
    pub object: ObjectKey,
    /// First voxel of the FOV, `[z, y, x]`.
    pub start: [usize; 3],
    /// For the first step of an object: the logit that its centre has before.
    pub seed: Option<f32>,
    /// Voxels in the window whose logits are wanted afterwards.
    pub probes: Vec<[usize; 3]>,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a step.
#[derive(Debug, Clone, Default)]
pub enum Answer {
    /// It is not done yet.
    #[default]
    Open,
    /// It is done.
    Said(Said),
    /// There is no room for the object to grow; it is as it was before the step.
    NoRoom,
    /// The object is gone: it has to begin again.
    Lost,
}

/// What is said of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Voxels that were surely inside before and were judged outside.
    pub deleted: u32,
    /// The maximum of each face of the cuboid `deltas` around the centre and its offset from the centre,
    /// the first in C order; minus infinity and no offset if a face has none.
    pub faces: Vec<(f32, [i64; 3])>,
    /// Logits of the probes, in their order.
    pub probes: Vec<f32>,
    /// Tiles of the object.
    pub tiles: usize,
}

/// Which tiles of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that were written since they were last asked for this way.
    Changed,
    /// All.
    All,
}

/// A tile of logits, `[z, y, x]` in C order, and its number along z, y and x.
pub type TileValues = (TileIndex, Vec<f32>);

/// Logits of objects in tiles of 16 voxels along each axis, somewhere else.
///
/// An object that is not known is lost: `None`.
pub trait ObjectTiles {
    /// Voxels of an object that reach a logit, as bits of its tiles, the lowest first.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`](crate::Error::DeviceFailed) if the device fails and nothing takes over.
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>>;

    /// Tiles of an object. Memory: 16 KiB each.
    ///
    /// # Errors
    /// As [`ObjectTiles::inside`].
    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>>;

    /// Begins an object with these tiles; `false` if there is no room.
    ///
    /// # Errors
    /// As [`ObjectTiles::inside`].
    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool>;
}

/// A network that has images and objects where it computes.
pub trait Residence: ObjectTiles {
    /// Computes steps of different objects, and writes their answers. The logits are what
    /// [`Network::step`](super::Network::step) gives for the FOVs, put to their places by the rules.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`](crate::Error::DeviceFailed) if the device fails and nothing takes over.
    fn step(&mut self, windows: &mut [Window]) -> Result<()>;
}

/// Nothing of these steps is left.
pub(super) fn lose(windows: &mut [Window]) {
    windows.iter_mut().for_each(|window| window.answer = Answer::Lost);
}
