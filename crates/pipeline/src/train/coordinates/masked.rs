//! Coordinates in voxels that do not count.

use rayon::prelude::*;

use super::super::census::Survey;
use super::Coordinates;
use crate::error::Result;
use crate::labelling::stage;
use crate::progress::{Event, Observer, Unit};

impl Coordinates {
    /// Leaves out those in masked voxels. Each block of a mask that has a centre is read once; 4 bytes of
    /// memory for each centre of a volume with a mask.
    ///
    /// # Errors
    /// What the masks say when they are read.
    pub(in super::super) fn leave_out_masked(
        &mut self,
        survey: &Survey,
        observer: &dyn Observer,
    ) -> Result<()> {
        let has_mask = |n: &u32| survey.sources[self.volume(*n)].mask.is_some();
        let mut order: Vec<u32> = (0..self.centres.len() as u32).filter(has_mask).collect();
        let key = |n: &u32| (self.volume(*n), self.block(survey, *n));
        order.par_sort_unstable_by_key(key);
        let blocks: Vec<&[u32]> = order.chunk_by(|a, b| key(a) == key(b)).collect();
        if blocks.is_empty() {
            return Ok(());
        }
        let masked_of = |block: &&[u32]| {
            let masked = self.masked_of(survey, block)?;
            observer.notify(&Event::Advanced { by: 1, note: "" });
            Ok(masked)
        };
        let masked: Vec<Vec<u32>> =
            stage(observer, "masks", blocks.len() as u64, Unit::Blocks, || {
                blocks.par_iter().map(masked_of).collect()
            })?;
        let mut stays = vec![true; self.centres.len()];
        for n in masked.iter().flatten() {
            stays[*n as usize] = false;
            self.masked += 1;
        }
        let mut stays = stays.into_iter();
        self.centres.retain(|_| stays.next().unwrap_or(true));
        Ok(())
    }

    /// Those of one block that are masked.
    fn masked_of(&self, survey: &Survey, same_block: &[u32]) -> Result<Vec<u32>> {
        let Some(first) = same_block.first() else { return Ok(Vec::new()) };
        let volume = self.volume(*first);
        let within = survey.grids[volume].block(self.block(survey, *first));
        let Some(mask) = survey.sources[volume].read_mask(&within)? else { return Ok(Vec::new()) };
        let [_, height, width] = within.shape();
        let is_masked = |n: &&u32| {
            let zyx = self.centres[**n as usize].1;
            let [z, y, x] = [0, 1, 2].map(|a| u64::from(zyx[a]) - within.start[a]);
            mask[((z * height + y) * width + x) as usize]
        };
        Ok(same_block.iter().filter(is_masked).copied().collect())
    }

    fn volume(&self, number: u32) -> usize {
        self.centres[number as usize].0 as usize
    }

    /// The block of the survey in which a centre lies: it is inside the region of the grid.
    fn block(&self, survey: &Survey, number: u32) -> u64 {
        let (volume, zyx) = self.centres[number as usize];
        let grid = &survey.grids[volume as usize];
        let (start, block) = (grid.region().start, grid.block_shape());
        grid.number([0, 1, 2].map(|a| (u64::from(zyx[a]) - start[a]) / block[a]))
    }
}
