//! A network with another to take over when its device fails.

use super::network::{Network, in_parts};
use super::object_logits::{TileBits, TileIndex};
use super::residence::{ObjectKey, ObjectTiles, Residence, TileValues, Which, Window, lose};
use crate::error::{Error, Result};

/// Repeats a failed step on the CPU and stays there, so that the run goes on. A batch that fails is first
/// tried in smaller ones.
pub struct FallbackNetwork<'a> {
    current: Box<dyn Network + 'a>,
    /// Taken at the first failure; `None` afterwards, and where the first device is the CPU already.
    fallback: Option<MakeNetwork<'a>>,
    warn: Box<dyn FnMut(&str) + 'a>,
    /// FOVs that the device takes at once; fewer after a failure.
    most: usize,
}

/// What is done on the CPU after a failure, for warnings.
const REPEATED: &str = "the step is repeated";
const BEGUN_AGAIN: &str = "objects under way begin again";

/// Builds the network that takes over. Weights are put on the CPU only if they are needed there.
pub type MakeNetwork<'a> = Box<dyn FnOnce() -> Result<Box<dyn Network + 'a>> + 'a>;

impl<'a> FallbackNetwork<'a> {
    /// A network with another to take over; `warn` is told when it does.
    pub fn new(
        first: Box<dyn Network + 'a>,
        fallback: Option<MakeNetwork<'a>>,
        warn: impl FnMut(&str) + 'a,
    ) -> Self {
        Self { current: first, fallback, warn: Box::new(warn), most: usize::MAX }
    }

    /// Puts the other network in place of one that failed, if there is another.
    fn fall_back(&mut self, error: Error, what: &str) -> Result<()> {
        let Some(make) = self.fallback.take() else { return Err(error) };
        (self.warn)(&format!("{error}; {what} on the CPU, and the run goes on there"));
        self.current = make()?;
        self.most = usize::MAX;
        Ok(())
    }

    /// `None` if the device has failed, now or before.
    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut dyn Residence) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.current.residence().map(question) {
            Some(Ok(answer)) => Ok(Some(answer)),
            Some(Err(error)) => self.fall_back(error, BEGUN_AGAIN).map(|()| None),
            None => Ok(None),
        }
    }

    fn in_parts(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        count: usize,
    ) -> Result<()> {
        let [image, fov] = [images, seeds].map(|all| all.len() / count.max(1));
        let (current, most) = (&mut self.current, &mut self.most);
        in_parts(count, most, |part| {
            let voxels = part.start * fov..part.end * fov;
            let images = &images[part.start * image..part.end * image];
            let seeds = &seeds[voxels.clone()];
            current.step_batch(images, seeds, &mut logits[voxels], part.len())
        })
    }
}

impl Network for FallbackNetwork<'_> {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        if let Err(error) = self.current.step(image, seed, logits) {
            self.fall_back(error, REPEATED)?;
            self.current.step(image, seed, logits)?;
        }
        Ok(())
    }

    fn step_batch(
        &mut self,
        images: &[f32],
        seeds: &[f32],
        logits: &mut [f32],
        count: usize,
    ) -> Result<()> {
        if let Err(error) = self.in_parts(images, seeds, logits, count) {
            self.fall_back(error, REPEATED)?;
            self.in_parts(images, seeds, logits, count)?;
        }
        Ok(())
    }

    fn preferred_batch(&self) -> usize {
        self.current.preferred_batch().min(self.most)
    }

    fn residence(&mut self) -> Option<&mut dyn Residence> {
        if self.current.residence().is_some() { Some(self) } else { None }
    }

    fn device_name(&self) -> String {
        self.current.device_name()
    }
}

/// Logits on a device that fails are lost with it; objects begin again on the CPU.
impl Residence for FallbackNetwork<'_> {
    fn step(&mut self, windows: &mut [Window]) -> Result<()> {
        let Some(residence) = self.current.residence() else {
            lose(windows);
            return Ok(());
        };
        if let Err(error) = residence.step(windows) {
            self.fall_back(error, BEGUN_AGAIN)?;
            lose(windows);
        }
        Ok(())
    }
}

impl ObjectTiles for FallbackNetwork<'_> {
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>> {
        let ask = |tiles: &mut dyn Residence| tiles.inside(object, threshold);
        self.ask(ask).map(Option::flatten)
    }

    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>> {
        self.ask(|tiles| tiles.read(object, which)).map(Option::flatten)
    }

    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool> {
        self.ask(|residence| residence.restore(object, tiles)).map(|done| done.unwrap_or(false))
    }
}
