//! Who computes which strip.
//!
//! Neighbouring strips in y share rows of the transformed input, so a worker should take them in
//! order. Images are cut into runs of strips; two workers share a run and meet in its middle, and who
//! has finished helps in the next run that is not done.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Plan;
use super::tiling::Placed;

/// Rows of the output that a strip writes, in order of z, then y.
pub(super) type Rows<'o> = Vec<&'o mut [f32]>;

/// Which strip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Image of the batch.
    pub(super) image: usize,
    pub(super) z: Placed,
    pub(super) y: Placed,
}

/// All strips of a convolution, each with its rows.
pub(super) struct Schedule<'a, 'o> {
    plan: &'a Plan,
    strips: Vec<Mutex<Rows<'o>>>,
    runs: Vec<Run>,
}

/// Strips `[low, high)` that are still to be taken, in one word.
struct Run(AtomicU64);

impl Run {
    fn new(low: usize, high: usize) -> Self {
        Self(AtomicU64::new((low as u64) << 32 | high as u64))
    }

    /// One strip from the front or the back.
    fn take(&self, front: bool) -> Option<usize> {
        let next = |word: u64| {
            let (low, high) = (word >> 32, word & u64::from(u32::MAX));
            let next =
                if front { (low + 1) << 32 | high } else { low << 32 | high.wrapping_sub(1) };
            (low < high).then_some(next)
        };
        let word = self.0.fetch_update(Relaxed, Relaxed, next).ok()?;
        Some(if front { (word >> 32) as usize } else { (word as u32 - 1) as usize })
    }
}

impl<'a, 'o> Schedule<'a, 'o> {
    /// Cuts `output` into rows and gives each to its strip.
    pub(super) fn new(plan: &'a Plan, output: &'o mut [f32]) -> Self {
        let [nz, ny, nx] = plan.sizes.volume;
        let (along_z, along_y) = (owners(&plan.tiling.z, nz), owners(&plan.tiling.y, ny));
        let per_image = plan.tiling.z.len() * plan.tiling.y.len();
        let row = nx * plan.sizes.outputs;
        let images = output.len() / (nz * ny * row);
        let mut strips: Vec<Rows<'o>> = (0..images * per_image).map(|_| Vec::new()).collect();
        for (at, row) in output.chunks_exact_mut(row).enumerate() {
            let (image, z, y) = (at / (nz * ny), at / ny % nz, at % ny);
            let strip = along_z[z] * plan.tiling.y.len() + along_y[y];
            strips[image * per_image + strip].push(row);
        }
        let runs = runs(strips.len(), rayon::current_num_threads());
        Self { plan, strips: strips.into_iter().map(Mutex::new).collect(), runs }
    }

    /// Lets every thread of the pool that has nothing else to do take strips, until none is left.
    pub(super) fn run(&self, work: impl Fn(Worker<'_, 'o>) + Sync) {
        let workers = rayon::current_num_threads().min(self.strips.len());
        let start = |number: usize| work(Worker { schedule: self, number, tried: 0 });
        rayon::scope(|scope| {
            (1..workers).for_each(|number| scope.spawn(move |_| start(number)));
            start(0);
        });
    }

    fn place(&self, strip: usize) -> Place {
        let tiling = &self.plan.tiling;
        let (rows, y) = (strip / tiling.y.len(), tiling.y[strip % tiling.y.len()]);
        Place { image: rows / tiling.z.len(), z: tiling.z[rows % tiling.z.len()], y }
    }
}

/// The tile that each voxel of an axis belongs to.
fn owners(axis: &[Placed], length: usize) -> Vec<usize> {
    let tiles = axis.iter().enumerate();
    let mut owners: Vec<usize> =
        tiles.flat_map(|(i, t)| std::iter::repeat_n(i, t.tile.outputs())).collect();
    owners.truncate(length);
    owners
}

/// One run for two workers.
fn runs(strips: usize, workers: usize) -> Vec<Run> {
    let count = workers.div_ceil(2).min(strips).max(1);
    (0..count).map(|i| Run::new(strips * i / count, strips * (i + 1) / count)).collect()
}

/// A strip that a worker has taken.
pub(super) struct Taken<'o> {
    pub(super) place: Place,
    /// Its output.
    pub(super) rows: Rows<'o>,
}

/// The strips that one thread takes, as it takes them.
pub(super) struct Worker<'a, 'o> {
    schedule: &'a Schedule<'a, 'o>,
    number: usize,
    /// Runs found empty so far.
    tried: usize,
}

impl<'o> Iterator for Worker<'_, 'o> {
    type Item = Taken<'o>;

    fn next(&mut self) -> Option<Self::Item> {
        let runs = &self.schedule.runs;
        while self.tried < runs.len() {
            let run = &runs[(self.number / 2 + self.tried) % runs.len()];
            if let Some(strip) = run.take(self.number.is_multiple_of(2)) {
                let rows = std::mem::take(&mut *self.schedule.strips[strip].lock().ok()?);
                return Some(Taken { place: self.schedule.place(strip), rows });
            }
            self.tried += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_takers_meet_and_take_each_strip_once() {
        let run = Run::new(3, 10);
        let mut taken: Vec<usize> = (0..9).filter_map(|i| run.take(i % 3 == 0)).collect();
        assert_eq!(taken.len(), 7);
        taken.sort_unstable();
        assert_eq!(taken, (3..10).collect::<Vec<_>>());
        assert_eq!(run.take(true), None);
        assert_eq!(run.take(false), None);
    }
}
