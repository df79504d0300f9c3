//! Contrast-limited adaptive histogram equalisation (CLAHE): Zuiderveld, "Contrast Limited Adaptive
//! Histogram Equalization", Graphics Gems IV (1994), in two or three dimensions.

mod mapping;
mod parts;
mod tiles;

use exavox_io::{BoundingBox, DataType, Voxels, match_dtype};
use rayon::prelude::*;

use super::sample::Sample;
use super::survey::{Sought, survey};
use crate::error::{Error, Result};
use mapping::Gray;
pub use mapping::{LevelCounts, Mapping};
pub use parts::ClaheTiles;
use tiles::Tiles;

/// Settings of [`clahe`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ClaheOptions {
    /// Voxels of a tile along z, y and x. Default: an eighth of the volume, at least 1.
    pub tile_zyx: Option<[usize; 3]>,
    /// Whether tiles and their blending go along z, or each plane is equalised by itself. Default: planes.
    pub dimensions: Dimensions,
    /// How much of a tile's voxels may have one of 256 gray levels; what is above is shared out to all of
    /// them. 0 does not limit the contrast. Default: 0.01.
    pub clip_limit: f64,
    /// The values that become the lowest and the highest gray level; what is beyond is clipped. Default: the
    /// lowest and the highest finite value of the volume. Whoever equalises a volume in parts gives the
    /// same range for all.
    pub range: Option<[f64; 2]>,
}

/// Axes along which tiles are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dimensions {
    /// y and x: a plane knows nothing of the others.
    #[default]
    Two,
    /// z, y and x.
    Three,
}

impl Default for ClaheOptions {
    fn default() -> Self {
        Self { tile_zyx: None, dimensions: Dimensions::Two, clip_limit: 0.01, range: None }
    }
}

/// Equalises contrast within tiles, blended linearly from tile to tile; f32 between 0 and 1.
///
/// As `skimage.exposure.equalize_adapthist` with 256 bins, but without its last step, which stretches the
/// result to 0 and 1 by the lowest and highest voxel of all: without it a part of a volume can be
/// equalised so that it fits its neighbours. (Floats are brought to 2^14 gray levels at once, without
/// scikit-image's way by 16 bits.) NaN stays NaN and is not counted.
///
/// Cost: a pass that counts, one that looks up four or eight mappings per voxel. Memory: the result, and
/// 512 bytes a tile.
///
/// # Errors
/// [`Error::Usage`] if a tile has no voxels, the clip limit is not within 0 and 1, or the range is empty;
/// [`Error::Io`] if memory cannot be had.
pub fn clahe(voxels: &Voxels, options: &ClaheOptions) -> Result<Voxels> {
    let tiles = check(voxels.shape(), options)?;
    if voxels.is_empty() {
        return Ok(Voxels::zeros(DataType::F32, voxels.shape())?);
    }
    let range = match options.range {
        Some(range) => range,
        None => survey(voxels, Sought::Extremes)?,
    };
    let tiles = ClaheTiles::of(tiles, Gray::new(range), options.clip_limit);
    let whole = BoundingBox::whole(voxels.shape().map(|v| v as u64));
    let mappings =
        match_dtype!(voxels.dtype(), T => mappings(voxels.as_slice::<T>()?, &whole, &tiles))?;
    tiles.equalise(voxels, [0; 3], &BoundingBox::whole(tiles.count()), &mappings)
}

fn check(shape: [usize; 3], options: &ClaheOptions) -> Result<Tiles> {
    let usage = |message: String| Err(Error::Usage(message));
    let tile = options.tile_zyx.unwrap_or(shape.map(|s| (s / 8).max(1)));
    if tile.contains(&0) {
        return usage(format!("CLAHE with tiles of {tile:?}: each must be at least 1"));
    }
    if !(0.0..=1.0).contains(&options.clip_limit) {
        return usage(format!(
            "CLAHE with a clip limit of {}: expected 0 to 1",
            options.clip_limit
        ));
    }
    if let Some([low, high]) = options.range
        && !(low < high && low.is_finite() && high.is_finite())
    {
        return usage(format!("CLAHE from {low} to {high}: the first must be below the second"));
    }
    Ok(Tiles::new(shape, tile, options.dimensions))
}

/// The mappings of all tiles, in C order.
fn mappings<T: Sample>(
    values: &[T],
    whole: &BoundingBox,
    tiles: &ClaheTiles,
) -> Result<Vec<Mapping>> {
    let count = tiles.count().iter().product::<u64>() as usize;
    let mut mappings: Vec<Mapping> = Vec::new();
    mappings
        .try_reserve_exact(count)
        .map_err(|_| Error::Usage(format!("CLAHE: {count} tiles are too many")))?;
    mappings.resize(count, [0; 256]);
    mappings.par_iter_mut().enumerate().for_each(|(n, mapping)| {
        let mut counts = [0; 256];
        tiles.count_tile(n, values, whole, &mut counts);
        *mapping = tiles.mapping(counts);
    });
    Ok(mappings)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ramp(shape: [usize; 3]) -> Voxels {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|i| ((i * 37 + i / 11 * 5) % 199) as u8).collect::<Vec<u8>>();
        Voxels::from_vec(shape, values).unwrap()
    }

    fn run(voxels: &Voxels, options: &ClaheOptions) -> Vec<f32> {
        clahe(voxels, options).unwrap().as_slice::<f32>().unwrap().to_vec()
    }

    #[test]
    fn planes_by_themselves_are_planes_of_a_stack() {
        let stack = ramp([3, 20, 30]);
        let options = ClaheOptions {
            tile_zyx: Some([1, 7, 8]),
            range: Some([0.0, 199.0]),
            ..Default::default()
        };
        let whole = run(&stack, &options);
        for z in 0..3 {
            let plane = stack.as_slice::<u8>().unwrap()[z * 600..][..600].to_vec();
            let plane = Voxels::from_vec([1, 20, 30], plane).unwrap();
            assert_eq!(run(&plane, &options), whole[z * 600..][..600]);
        }
    }

    #[test]
    fn one_tile_without_a_limit_is_histogram_equalisation() {
        let values: Vec<u8> = (0..64).map(|i| if i < 48 { 0 } else { i }).collect();
        let voxels = Voxels::from_vec([1, 8, 8], values).unwrap();
        let options =
            ClaheOptions { tile_zyx: Some([1, 8, 8]), clip_limit: 0.0, ..Default::default() };
        let found = run(&voxels, &options);
        // Three quarters of the voxels are the lowest value.
        assert!((found[0] - 0.75).abs() < 1e-3 && found[63] == 1.0, "{found:?}");
        assert!(found.is_sorted());
    }

    #[test]
    fn nan_stays_and_infinities_are_clipped() {
        let mut values: Vec<f32> = (0..64).map(|i| i as f32).collect();
        (values[0], values[1], values[2]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        let voxels = Voxels::from_vec([1, 8, 8], values).unwrap();
        for dimensions in [Dimensions::Two, Dimensions::Three] {
            let options =
                ClaheOptions { tile_zyx: Some([1, 4, 4]), dimensions, ..Default::default() };
            let found = run(&voxels, &options);
            assert!(found[0].is_nan() && found[1..].iter().all(|v| (0.0..=1.0).contains(v)));
            assert!(found[1] > found[2]);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing_and_any_shape_goes() {
        for shape in [[1, 1, 1], [4, 1, 9], [5, 13, 1], [0, 3, 3], [9, 16, 17]] {
            for dimensions in [Dimensions::Two, Dimensions::Three] {
                let options = ClaheOptions { dimensions, ..Default::default() };
                let of = |threads| {
                    let pool =
                        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| run(&ramp(shape), &options))
                };
                assert!(of(1) == of(2) && of(1) == of(5));
            }
        }
    }

    #[test]
    fn settings_that_are_none_are_refused() {
        let voxels = ramp([2; 3]);
        for options in [
            ClaheOptions { tile_zyx: Some([1, 0, 1]), ..Default::default() },
            ClaheOptions { clip_limit: 1.5, ..Default::default() },
            ClaheOptions { clip_limit: f64::NAN, ..Default::default() },
            ClaheOptions { range: Some([1.0, 1.0]), ..Default::default() },
        ] {
            assert!(clahe(&voxels, &options).is_err(), "{options:?}");
        }
    }
}
