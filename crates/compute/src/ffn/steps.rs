//! Where steps of the network are computed: by the caller, or elsewhere.

use super::network::Network;
use super::residence::{ObjectTiles, Window, lose};
use crate::error::Result;

/// What a step sees, and what it says. All three have the FOV's voxels in C order `[z, y, x]`, the image
/// for each channel.
#[derive(Default)]
pub struct Fov {
    /// Normalised image.
    pub image: Vec<f32>,
    /// Logits of the object, without NaN.
    pub seed: Vec<f32>,
    /// The new logits, once the step is done.
    pub logits: Vec<f32>,
    /// If image and logits are where the network is: which step this is of them. The other fields are then
    /// not used.
    pub window: Option<Window>,
    /// Whose step it is.
    pub(super) ticket: Ticket,
}

/// Which seed, and which attempt at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) seed: usize,
    pub(super) attempt: u64,
}

/// Something that computes steps, several under way at a time, in any order.
pub trait Steps {
    /// How many steps may sensibly be under way now; at least 1. May change from call to call.
    fn at_once(&self) -> usize;

    /// Hands a step over.
    ///
    /// # Errors
    /// If nobody computes any more.
    fn submit(&mut self, fov: Fov) -> Result<()>;

    /// Waits for one of the steps that were handed over and gives it back.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`](crate::Error::DeviceFailed) if the device fails;
    /// [`Error::Usage`](crate::Error::Usage) if there is nothing to wait for.
    fn wait(&mut self) -> Result<Fov>;

    /// The place for logits of objects where the steps are computed; `None` if a step has to bring them along.
    /// May change from call to call.
    fn tiles(&mut self) -> Option<&mut dyn ObjectTiles> {
        None
    }

    /// Name of the device that computes now.
    fn device_name(&self) -> String;

    /// Warnings since the last call, for people.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Computes steps on the caller's thread, in batches.
pub struct Inline<'n> {
    network: &'n mut dyn Network,
    batch: usize,
    waiting: Vec<Fov>,
    done: Vec<Fov>,
    /// A whole batch.
    buffers: Buffers,
}

/// FOVs one after the other.
#[derive(Default)]
pub(super) struct Buffers {
    images: Vec<f32>,
    seeds: Vec<f32>,
    logits: Vec<f32>,
}

impl<'n> Inline<'n> {
    /// With batches of at most `batch` FOVs.
    pub fn new(network: &'n mut dyn Network, batch: usize) -> Self {
        let (waiting, done) = (Vec::new(), Vec::new());
        Self { network, batch: batch.max(1), waiting, done, buffers: Buffers::default() }
    }
}

impl Steps for Inline<'_> {
    fn at_once(&self) -> usize {
        self.batch
    }

    fn submit(&mut self, fov: Fov) -> Result<()> {
        self.waiting.push(fov);
        Ok(())
    }

    fn wait(&mut self) -> Result<Fov> {
        if self.done.is_empty() {
            let count = self.waiting.len().min(self.batch);
            let mut fovs: Vec<Fov> = self.waiting.drain(..count).collect();
            self.buffers.run(self.network, &mut fovs)?;
            // Given back from the end: the first first.
            fovs.reverse();
            self.done = fovs;
        }
        let nothing = || crate::Error::Usage("no step is under way".into());
        self.done.pop().ok_or_else(nothing)
    }

    fn tiles(&mut self) -> Option<&mut dyn ObjectTiles> {
        self.network.residence().map(|residence| residence as &mut dyn ObjectTiles)
    }

    fn device_name(&self) -> String {
        self.network.device_name()
    }
}

impl Buffers {
    /// One batch.
    pub(super) fn run(&mut self, network: &mut dyn Network, fovs: &mut [Fov]) -> Result<()> {
        run_windows(network, fovs)?;
        let mut fovs: Vec<&mut Fov> = fovs.iter_mut().filter(|f| f.window.is_none()).collect();
        match fovs.as_mut_slice() {
            [] => Ok(()),
            [fov] => network.step(&fov.image, &fov.seed, &mut fov.logits),
            fovs => self.run_values(network, fovs),
        }
    }

    fn run_values(&mut self, network: &mut dyn Network, fovs: &mut [&mut Fov]) -> Result<()> {
        self.images.clear();
        self.seeds.clear();
        for fov in &*fovs {
            self.images.extend_from_slice(&fov.image);
            self.seeds.extend_from_slice(&fov.seed);
        }
        self.logits.resize(self.seeds.len(), 0.0);
        network.step_batch(&self.images, &self.seeds, &mut self.logits, fovs.len())?;
        let mut logits = self.logits.as_slice();
        for fov in fovs {
            let (first, rest) = logits.split_at(fov.logits.len());
            fov.logits.copy_from_slice(first);
            logits = rest;
        }
        Ok(())
    }
}

/// The steps of a batch whose image and logits are where the network is.
fn run_windows(network: &mut dyn Network, fovs: &mut [Fov]) -> Result<()> {
    let mut windows = Vec::new();
    let mut places = Vec::new();
    for (place, fov) in fovs.iter_mut().enumerate() {
        windows.extend(fov.window.take().inspect(|_| places.push(place)));
    }
    let done = match network.residence() {
        _ if windows.is_empty() => Ok(()),
        Some(residence) => residence.step(&mut windows),
        None => {
            lose(&mut windows);
            Ok(())
        }
    };
    for (place, window) in places.into_iter().zip(windows) {
        fovs[place].window = Some(window);
    }
    done
}
