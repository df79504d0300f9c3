//! The same equalisation part by part.

use exavox_io::{BoundingBox, DataType, Voxels, match_dtype};
use rayon::prelude::*;

use super::mapping::{self, Gray, LevelCounts, Mapping};
use super::tiles::{Near, Tiles};
use super::{ClaheOptions, check};
use crate::error::{Error, Result};
use crate::ops::filter::sample::Sample;

/// The tiles of a volume that is equalised in parts: gray levels of its tiles are counted, each tile gets
/// its mapping, and parts are equalised with the mappings of the tiles near them. The result is that of
/// [`clahe`](super::clahe) of the whole, to the last bit. Tiles have coordinates `[z, y, x]`.
#[derive(Debug)]
pub struct ClaheTiles {
    tiles: Tiles,
    gray: Gray,
    clip_limit: f64,
}

impl ClaheTiles {
    /// Tiles of a volume of `shape`; the lowest and the highest finite value of all of it become the ends of
    /// the gray levels, unless the options give a range.
    ///
    /// # Errors
    /// As [`clahe`](super::clahe); [`Error::Usage`] if the volume is empty.
    pub fn new(shape: [usize; 3], options: &ClaheOptions, extremes: [f64; 2]) -> Result<Self> {
        if shape.contains(&0) {
            return Err(Error::Usage(format!("CLAHE of {shape:?}: no voxels")));
        }
        let tiles = check(shape, options)?;
        let gray = Gray::new(options.range.unwrap_or(extremes));
        Ok(Self::of(tiles, gray, options.clip_limit))
    }

    pub(super) fn of(tiles: Tiles, gray: Gray, clip_limit: f64) -> Self {
        Self { tiles, gray, clip_limit }
    }

    /// Tiles along z, y and x.
    pub fn count(&self) -> [u64; 3] {
        self.tiles.count.map(|n| n as u64)
    }

    /// Voxels of a tile along z, y and x.
    pub fn size(&self) -> [u64; 3] {
        self.tiles.size.map(|n| n as u64)
    }

    /// The voxels that some tiles are made of. Those of the last tile of an axis that lie beyond the end are
    /// mirrored ones, which may be of the tile before.
    pub fn reach(&self, tiles: &BoundingBox) -> BoundingBox {
        let along: [_; 3] = std::array::from_fn(|a| {
            self.tiles.reach(a, tiles.start[a] as usize..tiles.end[a] as usize)
        });
        BoundingBox {
            start: std::array::from_fn(|a| along[a].start as u64),
            end: std::array::from_fn(|a| along[a].end as u64),
        }
    }

    /// Adds the gray levels of a part of the volume that starts at `at` to the counts of some tiles, one for
    /// each in C order. The tiles are counted when the parts have covered [`ClaheTiles::reach`] once.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are not as many counts as tiles.
    pub fn count_levels(
        &self,
        part: &Voxels,
        at: [u64; 3],
        tiles: &BoundingBox,
        counts: &mut [LevelCounts],
    ) -> Result<()> {
        expect(tiles.num_voxels(), counts.len())?;
        let area = BoundingBox::from_start_shape(at, part.shape().map(|v| v as u64));
        let [_, ny, nx] = tiles.shape().map(|n| n as usize);
        let [z0, y0, x0] = tiles.start.map(|n| n as usize);
        let [_, my, mx] = self.tiles.count;
        match_dtype!(part.dtype(), T => {
            let values = part.as_slice::<T>()?;
            counts.par_iter_mut().enumerate().for_each(|(n, counts)| {
                let [z, y, x] = [n / (ny * nx) + z0, n / nx % ny + y0, n % nx + x0];
                self.count_tile((z * my + y) * mx + x, values, &area, counts);
            });
        });
        Ok(())
    }

    /// Adds what lies in `area` of the tile with number `n`.
    pub(super) fn count_tile<T: Sample>(
        &self,
        n: usize,
        values: &[T],
        area: &BoundingBox,
        counts: &mut LevelCounts,
    ) {
        let tile = self.tiles.coordinate(n);
        let [_, height, width] = area.shape().map(|v| v as usize);
        let [zs, ys, xs]: [Vec<usize>; 3] = std::array::from_fn(|a| {
            let (start, end) = (area.start[a] as usize, area.end[a] as usize);
            let inside = self.tiles.positions(a, tile[a]).filter(|p| (start..end).contains(p));
            inside.map(|p| p - start).collect()
        });
        for z in zs {
            for y in &ys {
                let row = &values[(z * height + y) * width..][..width];
                for x in &xs {
                    if let Some(level) = self.gray.level(row[*x].to_f64()) {
                        counts[self.gray.bin(level)] += 1;
                    }
                }
            }
        }
    }

    /// The mapping of a tile whose voxels have these gray levels.
    pub fn mapping(&self, mut counts: LevelCounts) -> Mapping {
        let voxels = self.tiles.voxels();
        mapping::clip(&mut counts, mapping::limit(self.clip_limit, voxels));
        mapping::equalising(&counts, voxels)
    }

    /// The tiles whose mappings the voxels of a box need.
    pub fn near(&self, area: &BoundingBox) -> BoundingBox {
        let near = |a: usize, i: u64| self.tiles.near(a, i as usize).both();
        BoundingBox {
            start: std::array::from_fn(|a| near(a, area.start[a])[0] as u64),
            end: std::array::from_fn(|a| near(a, area.end[a].saturating_sub(1))[1] as u64 + 1),
        }
    }

    /// Equalises a part of the volume that starts at `at`, with the mappings of the tiles of a box that
    /// holds those [near](ClaheTiles::near) it, in C order; f32.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are not as many mappings as tiles, or not all that are near;
    /// [`Error::Io`] if memory cannot be had.
    pub fn equalise(
        &self,
        part: &Voxels,
        at: [u64; 3],
        tiles: &BoundingBox,
        mappings: &[Mapping],
    ) -> Result<Voxels> {
        expect(tiles.num_voxels(), mappings.len())?;
        let area = BoundingBox::from_start_shape(at, part.shape().map(|v| v as u64));
        let mut out = Voxels::zeros(DataType::F32, part.shape())?;
        if out.is_empty() {
            return Ok(out);
        }
        let needed = self.near(&area);
        if !tiles.contains(&needed) {
            return Err(Error::Usage(format!(
                "CLAHE of {area}: expected tiles {needed}, found {tiles}"
            )));
        }
        match_dtype!(part.dtype(), T => {
            let values = part.as_slice::<T>()?;
            Equalising { tiles: self, at: at.map(|v| v as usize), near: *tiles, mappings }
                .run(values, part.shape(), out.as_mut_slice::<f32>()?);
        });
        Ok(out)
    }
}

fn expect(tiles: u64, found: usize) -> Result<()> {
    if tiles == found as u64 {
        return Ok(());
    }
    Err(Error::Usage(format!("CLAHE: expected something for each of {tiles} tiles, found {found}")))
}

/// A part of a volume with the mappings for it.
struct Equalising<'a> {
    tiles: &'a ClaheTiles,
    at: [usize; 3],
    near: BoundingBox,
    mappings: &'a [Mapping],
}

impl Equalising<'_> {
    fn run<T: Sample>(&self, values: &[T], [_, ny, nx]: [usize; 3], out: &mut [f32]) {
        let (tiles, gray) = (&self.tiles.tiles, self.tiles.gray);
        let [z0, y0, x0] = self.at;
        let along_x: Vec<Near> = (0..nx).map(|x| tiles.near(2, x0 + x)).collect();
        let rows = out.par_chunks_mut(nx).zip(values.par_chunks(nx)).enumerate();
        rows.for_each(|(row, (out, values))| {
            let (z, y) = (tiles.near(0, z0 + row / ny), tiles.near(1, y0 + row % ny));
            for ((out, value), x) in out.iter_mut().zip(values).zip(&along_x) {
                *out = match gray.level(value.to_f64()) {
                    None => f32::NAN,
                    Some(level) => self.blend([&z, &y, x], gray.bin(level)),
                };
            }
        });
    }

    /// The mappings of the tiles around a voxel, weighted by their distance.
    #[inline(always)]
    fn blend(&self, near: [&Near; 3], bin: usize) -> f32 {
        let [_, ny, nx] = self.near.shape().map(|v| v as usize);
        let [z0, y0, x0] = self.near.start.map(|v| v as usize);
        let mut sum = 0.0f32;
        for (z, wz) in near[0].tiles() {
            for (y, wy) in near[1].tiles() {
                for (x, wx) in near[2].tiles() {
                    let level = self.mappings[((z - z0) * ny + y - y0) * nx + x - x0][bin];
                    sum += (f64::from(level) * (wx * wy * wz)) as f32;
                }
            }
        }
        sum.trunc() / mapping::HIGHEST as f32
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dimensions, clahe};
    use super::*;

    /// Mappings of a box of tiles, counted in parts of a shape.
    fn mappings(
        whole: &Voxels,
        tiles: &ClaheTiles,
        of: &BoundingBox,
        part: [u64; 3],
    ) -> Vec<Mapping> {
        let mut counts = vec![[0; 256]; of.num_voxels() as usize];
        for area in tiles.reach(of).tiles(part) {
            tiles.count_levels(&cut(whole, &area), area.start, of, &mut counts).unwrap();
        }
        counts.into_iter().map(|counts| tiles.mapping(counts)).collect()
    }

    fn cut(whole: &Voxels, area: &BoundingBox) -> Voxels {
        let mut out = Voxels::zeros(whole.dtype(), area.shape().map(|v| v as usize)).unwrap();
        out.copy_box([0; 3], whole, area).unwrap();
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn parts_are_those_of_the_whole(
            shape in [1usize..9, 1usize..30, 1usize..40], tile in [1usize..12, 1usize..12, 1usize..50],
            part in [1u64..9, 1u64..20, 1u64..30], three in any::<bool>(), seed in any::<u64>(),
        ) {
            let hash = |i: u64| ((i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as f32;
            let count = shape.iter().product::<usize>() as u64;
            let voxels = Voxels::from_vec(shape, (0..count).map(hash).collect::<Vec<f32>>()).unwrap();
            let dimensions = if three { Dimensions::Three } else { Dimensions::Two };
            let options = ClaheOptions { tile_zyx: Some(tile), dimensions, ..Default::default() };
            let expected = clahe(&voxels, &options).unwrap();
            let values = voxels.as_slice::<f32>().unwrap();
            let ends = values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[a, b], v| [a.min(*v), b.max(*v)]);
            let tiles = ClaheTiles::new(shape, &options, ends.map(f64::from)).unwrap();
            for area in BoundingBox::whole(shape.map(|v| v as u64)).tiles(part) {
                let near = tiles.near(&area);
                let mappings = mappings(&voxels, &tiles, &near, part);
                let found = tiles.equalise(&cut(&voxels, &area), area.start, &near, &mappings).unwrap();
                prop_assert!(found == cut(&expected, &area));
            }
        }
    }

    #[test]
    fn mappings_of_other_tiles_are_refused() {
        let tiles = ClaheTiles::new([4, 8, 8], &ClaheOptions::default(), [0.0, 9.0]).unwrap();
        let part = Voxels::zeros(DataType::U8, [1, 2, 2]).unwrap();
        let near = tiles.near(&BoundingBox::from_start_shape([3, 4, 4], [1, 2, 2]));
        assert!(tiles.equalise(&part, [3, 4, 4], &near, &[]).is_err());
        let error =
            tiles.equalise(&part, [0; 3], &near, &vec![[0; 256]; near.num_voxels() as usize]);
        assert!(error.unwrap_err().to_string().contains("expected tiles 0:1,"));
        assert!(ClaheTiles::new([0, 3, 3], &ClaheOptions::default(), [0.0, 9.0]).is_err());
    }
}
