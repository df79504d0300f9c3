//! One of the two factors, from rows of voxels to the points of the tiles.

use super::super::strip::rows::{rows, rows_mut, transform};
use super::super::tiling::{Placed, Tile};
use super::super::transform::{AfterRelu, Gradient3, Gradient5, Input3, Input5, Transform};
use super::{Factor, GradientPlan, Scratch};
use crate::simd::lanes::{LANES, Lanes, Simd, vectors, vectors_mut};

/// Where a factor's values are, and how they are laid out on the way.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    factor: Factor,
    /// `[batch, z, y, x, channels]`.
    values: &'a [f32],
    volume: [usize; 3],
    channels: usize,
    /// Channels up to whole vectors.
    wide: usize,
    /// Voxels and rows before the volume: inputs reach one further than outputs.
    before: usize,
    /// Rows of a slab.
    rows: usize,
    /// Voxels of a row.
    voxels: usize,
    /// Tiles in x.
    tiles: usize,
}

impl<'a> Side<'a> {
    pub(super) fn new(plan: &GradientPlan, values: &'a [f32], factor: Factor) -> Self {
        let (channels, wide, before) = match factor {
            Factor::Input { .. } => (plan.sizes.inputs, plan.wide_inputs, 1),
            Factor::Gradient => (plan.sizes.outputs, plan.wide_outputs, 0),
        };
        let (rows, voxels) = (plan.rows() + 2 * before, plan.whole() + 2 * before);
        let (volume, tiles) = (plan.sizes.volume, plan.tiling.x);
        Self { factor, values, volume, channels, wide, before, rows, voxels, tiles }
    }

    /// Number of this side in the scratch memory.
    #[inline(always)]
    fn number(&self) -> usize {
        usize::from(self.factor == Factor::Gradient)
    }

    #[inline(always)]
    fn row_len(&self) -> usize {
        self.voxels * self.wide
    }

    /// All rows of a slab at all points in z. Gradients are added to `sums` by channel, too.
    #[inline(always)]
    pub(super) fn fill<S: Simd>(
        &self,
        simd: S,
        image: usize,
        z: Placed,
        sums: &mut [f32],
        scratch: &mut Scratch,
    ) {
        use Factor::{Gradient, Input};
        match (self.factor, z.tile) {
            (Input { relu: false }, Tile::F3) => {
                self.fill_with::<Input3, S, 5, 5>(simd, image, z, sums, scratch);
            }
            (Input { relu: false }, Tile::F5) => {
                self.fill_with::<Input5, S, 7, 7>(simd, image, z, sums, scratch);
            }
            (Input { relu: true }, Tile::F3) => {
                self.fill_with::<AfterRelu<Input3>, S, 5, 5>(simd, image, z, sums, scratch);
            }
            (Input { relu: true }, Tile::F5) => {
                self.fill_with::<AfterRelu<Input5>, S, 7, 7>(simd, image, z, sums, scratch);
            }
            (Gradient, Tile::F3) => {
                self.fill_with::<Gradient3, S, 3, 5>(simd, image, z, sums, scratch);
            }
            (Gradient, Tile::F5) => {
                self.fill_with::<Gradient5, S, 5, 7>(simd, image, z, sums, scratch);
            }
        }
    }

    #[inline(always)]
    fn fill_with<T: Transform<I, P>, S: Simd, const I: usize, const P: usize>(
        &self,
        simd: S,
        image: usize,
        z: Placed,
        sums: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let [_, ny, nx] = self.volume;
        let (length, plane) = (self.row_len(), self.rows * self.row_len());
        let slab = &mut scratch.slabs[self.number()];
        let inside = self.before * self.wide..(self.before + nx) * self.wide;
        for row in 0..self.rows {
            let slots = &mut slab[row * length..];
            let Some(y) = row.checked_sub(self.before).filter(|y| *y < ny) else {
                slots.chunks_mut(plane).take(P).for_each(|slot| slot[..length].fill(0.0));
                continue;
            };
            for slot in slots.chunks_mut(plane).take(P) {
                slot[..inside.start].fill(0.0);
                slot[inside.end..length].fill(0.0);
            }
            let from = self.sources::<I>(image, z, y, &mut scratch.spare, &scratch.zeros);
            let to = rows_mut::<P>(&mut slots[inside.start..], plane, inside.len());
            transform::<T, S, I, P>(simd, from, to);
            if self.factor == Factor::Gradient {
                for row in from {
                    add_row(simd, row, sums);
                }
            }
        }
    }

    /// The rows of `I` planes at one y, with whole vectors of channels.
    #[inline(always)]
    fn sources<'s, const I: usize>(
        &'s self,
        image: usize,
        z: Placed,
        y: usize,
        spare: &'s mut [f32],
        zeros: &'s [f32],
    ) -> [&'s [Lanes]; I] {
        let count = self.volume[2] * self.wide;
        if self.channels != self.wide {
            for (i, wide) in spare.chunks_exact_mut(count).take(I).enumerate() {
                if let Some(row) = self.row(image, z.start + i, y) {
                    self.widen(row, wide);
                }
            }
        }
        let spare = &*spare;
        std::array::from_fn(|i| {
            vectors(match self.row(image, z.start + i, y) {
                None => &zeros[..count],
                Some(row) if self.channels == self.wide => row,
                Some(_) => &spare[i * count..(i + 1) * count],
            })
        })
    }

    fn widen(&self, row: &[f32], wide: &mut [f32]) {
        for (to, from) in wide.chunks_exact_mut(self.wide).zip(row.chunks_exact(self.channels)) {
            to[..self.channels].copy_from_slice(from);
            to[self.channels..].fill(0.0);
        }
    }

    /// A row of voxels; `plane` counted from where this side begins. `None` outside the volume.
    #[inline(always)]
    fn row(&self, image: usize, plane: usize, y: usize) -> Option<&'a [f32]> {
        let [nz, ny, nx] = self.volume;
        let z = plane.checked_sub(self.before).filter(|z| *z < nz)?;
        let length = nx * self.channels;
        let start = ((image * nz + z) * ny + y) * length;
        Some(&self.values[start..start + length])
    }

    /// One point in z and one tile in y, from the slab to the points in y and x. `place`: number of the
    /// tile in its group, and tiles of the group.
    #[inline(always)]
    pub(super) fn to_points<S: Simd>(
        self,
        simd: S,
        point: usize,
        y: Placed,
        place: [usize; 2],
        scratch: &mut Scratch,
    ) {
        let (length, plane) = (self.row_len(), self.rows * self.row_len());
        let Scratch { slabs, rows, points, .. } = scratch;
        let from = &slabs[self.number()][point * plane + y.start * length..(point + 1) * plane];
        let (rows, points) = (&mut rows[self.number()], &mut points[self.number()]);
        match (self.factor, y.tile) {
            (Factor::Input { .. }, Tile::F3) => {
                along_y::<Input3, S, 5, 5>(simd, from, length, rows);
            }
            (Factor::Input { .. }, Tile::F5) => {
                along_y::<Input5, S, 7, 7>(simd, from, length, rows);
            }
            (Factor::Gradient, Tile::F3) => {
                along_y::<Gradient3, S, 3, 5>(simd, from, length, rows);
            }
            (Factor::Gradient, Tile::F5) => {
                along_y::<Gradient5, S, 5, 7>(simd, from, length, rows);
            }
        }
        let [at, group] = place;
        let (one, all) = (self.tiles * self.wide, group * self.tiles * self.wide);
        let targets = points.chunks_exact_mut(Tile::F3.points() * all);
        for (row, target) in rows.chunks_exact(length).zip(targets).take(y.tile.points()) {
            let target = &mut target[at * one..];
            match self.factor {
                Factor::Input { .. } => self.along_x::<Input3, S, 5>(simd, row, target, all),
                Factor::Gradient => self.along_x::<Gradient3, S, 3>(simd, row, target, all),
            }
        }
    }

    /// A row to its points in x, `[px][tile][channel]`, points `stride` apart.
    #[inline(always)]
    fn along_x<T: Transform<I, 5>, S: Simd, const I: usize>(
        &self,
        simd: S,
        row: &[f32],
        to: &mut [f32],
        stride: usize,
    ) {
        let (row, channels) = (vectors(row), self.wide / LANES);
        let to = rows_mut::<5>(to, stride, self.tiles * self.wide);
        for tile in 0..self.tiles {
            let inputs = &row[3 * tile * channels..][..I * channels];
            for channel in 0..channels {
                let mut values = [simd.splat(0.0); I];
                for i in 0..I {
                    values[i] = simd.load(&inputs[i * channels + channel]);
                }
                let values = T::apply(simd, values);
                for p in 0..5 {
                    simd.store(values[p], &mut to[p][tile * channels + channel]);
                }
            }
        }
    }
}

#[inline(always)]
fn along_y<T: Transform<I, P>, S: Simd, const I: usize, const P: usize>(
    simd: S,
    from: &[f32],
    length: usize,
    to: &mut [f32],
) {
    transform::<T, S, I, P>(simd, rows::<I>(from, length, length), rows_mut(to, length, length));
}

/// Adds up the voxels of a row by channel.
#[inline(always)]
fn add_row<S: Simd>(simd: S, row: &[Lanes], sums: &mut [f32]) {
    let sums = vectors_mut(sums);
    let channels = sums.len();
    for (channel, sum) in sums.iter_mut().enumerate() {
        let mut total = simd.load(sum);
        for value in row.iter().skip(channel).step_by(channels) {
            total = simd.add(total, simd.load(value));
        }
        simd.store(total, sum);
    }
}
