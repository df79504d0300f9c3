//! Steps over images and logits that stay on the device.

use super::plan::{said, words_said};
use super::{DeviceNetwork, failed};
use crate::device::guarded;
use crate::error::{Error, Result};
use crate::ffn::object_logits::{TileBits, TileIndex};
use crate::ffn::residence::{
    Answer, ObjectKey, ObjectTiles, Residence, TileValues, Which, Window, lose,
};
use crate::kernels::windows::SAID;

/// A failure leaves nothing behind that could be trusted: all objects are lost, and the next batch is
/// smaller, or the pool stays as it was. If there is nothing to do without, the device has failed.
impl Residence for DeviceNetwork {
    fn step(&mut self, windows: &mut [Window]) -> Result<()> {
        let mut done = 0;
        while done < windows.len() {
            let part = (windows.len() - done).min(self.most);
            if let Err(error) = self.step_part(&mut windows[done..done + part]) {
                self.do_without(part, error)?;
                lose(windows);
                return Ok(());
            }
            done += part;
        }
        Ok(())
    }
}

impl DeviceNetwork {
    /// One batch, all at once.
    fn step_part(&mut self, windows: &mut [Window]) -> Result<()> {
        guarded(|| self.launch_part(windows)).map_err(|reason| failed(&self.device, &reason))?
    }

    fn launch_part(&mut self, windows: &mut [Window]) -> Result<()> {
        let fov = self.fov_zyx;
        let Some((gathered, input)) = self.resident.gather(windows, fov) else { return Ok(()) };
        let update = self.forward(&input, gathered.members.len())?;
        let words = self.download(self.resident.scatter(&gathered, &input, &update))?;
        let [_, probes] = gathered.plan.probes;
        let (expected, found) = (words_said(gathered.members.len(), probes), words.len());
        if expected != found {
            let reason = format!("expected {expected} words, found {found}");
            return Err(failed(&self.device, &reason));
        }
        self.resident.keep();
        let (of_windows, mut probes) = words.split_at(gathered.members.len() * SAID);
        for (member, words) in gathered.members.iter().zip(of_windows.chunks_exact(SAID)) {
            let window = &mut windows[*member];
            let (own, rest) = probes.split_at(window.probes.len());
            let tiles = self.resident.num_tiles(&window.object);
            window.answer = Answer::Said(said(words, own, window, fov, tiles));
            probes = rest;
        }
        Ok(())
    }

    /// After a batch of `part` windows has failed.
    fn do_without(&mut self, part: usize, error: Error) -> Result<()> {
        let goes_on = self.resident.forget(part == 1);
        self.release();
        if !goes_on && part == 1 {
            return Err(error);
        }
        if !goes_on {
            self.most = part.div_ceil(2);
        }
        Ok(())
    }

    /// After something else than a batch has failed.
    fn give_up(&mut self, reason: &str) -> Error {
        self.resident.forget(false);
        self.release();
        failed(&self.device, reason)
    }
}

impl ObjectTiles for DeviceNetwork {
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>> {
        let found = guarded(|| self.resident.inside(object, threshold)).flatten();
        found.map_err(|reason| self.give_up(&reason))
    }

    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>> {
        let found = guarded(|| self.resident.read(object, which)).flatten();
        found.map_err(|reason| self.give_up(&reason))
    }

    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool> {
        // Probably there was no memory for a larger pool; a device that is gone fails at its next batch.
        guarded(|| self.resident.restore(object, &tiles)).or_else(|reason| {
            let _ = self.give_up(&reason);
            Ok(false)
        })
    }
}
