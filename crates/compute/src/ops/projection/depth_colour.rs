//! Colour by depth: the hue of a pixel says in which plane its maximum lies, the brightness how high
//! the maximum is.
//!
//! The table of hues: the share `t` of a plane's index in the last index, 0 to 1, becomes the hue
//! `240° (1 - t)` of the HSV circle at full saturation: the first plane is blue, then cyan, the middle
//! green, then yellow, the last red. The only plane of a stack of one is blue. Brightness is linear
//! from 0 at the low end of the range to full at the high end; NaN is black.

use std::ops::RangeInclusive;

use exavox_io::{Element, Voxels, match_dtype};
use rayon::prelude::*;

use super::projector::filled;
use crate::error::{Error, Result};

/// Pixels that a thread colours at once.
const PIECE: usize = 1 << 16;

/// Red, green and blue, 0 to 1, of a plane at full brightness.
///
/// ```
/// use exavox_compute::ops::projection::depth_colour::hue;
/// assert_eq!([hue(0, 5), hue(2, 5), hue(4, 5)], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
/// ```
pub fn hue(plane: usize, planes: usize) -> [f32; 3] {
    let last = planes.saturating_sub(1).max(1);
    // Four sixths of the circle, from blue over cyan, green and yellow to red.
    let sixths = 4.0 * plane.min(last) as f32 / last as f32;
    match sixths {
        s if s < 1.0 => [0.0, s, 1.0],
        s if s < 2.0 => [0.0, 1.0, 2.0 - s],
        s if s < 3.0 => [s - 2.0, 1.0, 0.0],
        s => [1.0, 4.0 - s, 0.0],
    }
}

/// Colours maxima by their planes: `maxima` and `depths` are the projections `max` and `argmax` of a
/// stack of `planes` planes. Values of `range` become black to bright; values outside are cut.
///
/// The result is red, green and blue, uint8, each of the shape of `maxima`. Runs on rayon's current
/// pool; the result does not depend on the number of threads.
///
/// # Errors
/// [`Error::Usage`] if the shapes differ, `depths` are no argmax, or the range is empty or not finite;
/// [`Error::Io`] if the memory cannot be had.
pub fn depth_colour(
    maxima: &Voxels,
    depths: &Voxels,
    planes: usize,
    range: RangeInclusive<f64>,
) -> Result<[Voxels; 3]> {
    check(maxima, depths, &range)?;
    let (low, span) = (*range.start(), range.end() - range.start());
    let brightness = |value: f64| ((value - low) / span).clamp(0.0, 1.0) as f32;
    let mut colours =
        [filled(0_u8, maxima.len())?, filled(0, maxima.len())?, filled(0, maxima.len())?];
    match_dtype!(maxima.dtype(), T => {
        let values = maxima.as_slice::<T>()?;
        match_dtype!(depths.dtype(), I => {
            let depths = depths.as_slice::<I>()?;
            let [red, green, blue] = &mut colours;
            let colours = red.par_chunks_mut(PIECE).zip(green.par_chunks_mut(PIECE));
            let colours = colours.zip(blue.par_chunks_mut(PIECE));
            let pixels = values.par_chunks(PIECE).zip(depths.par_chunks(PIECE));
            colours.zip(pixels).for_each(|(((red, green), blue), (values, depths))| {
                for (i, (&value, &depth)) in values.iter().zip(depths).enumerate() {
                    let light = brightness(value.to_f64());
                    // A cast of NaN gives 0.
                    let shade = hue(depth as usize, planes).map(|c| (c * light * 255.0).round() as u8);
                    (red[i], green[i], blue[i]) = (shade[0], shade[1], shade[2]);
                }
            });
        });
    });
    let [red, green, blue] = colours.map(|colour| Voxels::from_vec(maxima.shape(), colour));
    Ok([red?, green?, blue?])
}

fn check(maxima: &Voxels, depths: &Voxels, range: &RangeInclusive<f64>) -> Result<()> {
    if maxima.shape() != depths.shape() || depths.dtype().kind() != 'u' {
        return Err(Error::Usage(format!(
            "colour by depth: expected indices of planes of shape {:?}, found {} {:?}",
            maxima.shape(),
            depths.dtype(),
            depths.shape()
        )));
    }
    let (low, high) = (range.start(), range.end());
    if !(low < high && low.is_finite() && high.is_finite()) {
        let message = format!("colour by depth: expected a range of values, found {low} to {high}");
        return Err(Error::Usage(message));
    }
    Ok(())
}

/// The range of values that are finite, or 0 to 1 where there is none or all are equal to 0; one value
/// alone is the bright end.
pub fn value_range(maxima: &Voxels) -> RangeInclusive<f64> {
    let (low, high) = match_dtype!(maxima.dtype(), T => {
        let values = maxima.as_slice::<T>().unwrap_or_default();
        let finite = values.par_iter().map(|v| v.to_f64()).filter(|v| v.is_finite());
        finite.fold(|| (f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)))
            .reduce(|| (f64::MAX, f64::MIN), |a, b| (a.0.min(b.0), a.1.max(b.1)))
    });
    match (low, high) {
        (low, high) if low < high => low..=high,
        (low, high) if low == high && high > 0.0 => 0.0..=high,
        (low, high) if low == high && high < 0.0 => high - 1.0..=high,
        _ => 0.0..=1.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hues_run_from_blue_to_red_without_a_jump() {
        let planes = 1000;
        for plane in 1..planes {
            let (a, b) = (hue(plane - 1, planes), hue(plane, planes));
            let step: f32 = (0..3).map(|c| (a[c] - b[c]).abs()).sum();
            assert!(step < 0.01 && b.contains(&1.0), "{plane}: {a:?} {b:?}");
        }
        assert_eq!((hue(0, 1), hue(999, 1000)), ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0]));
    }

    #[test]
    fn values_that_are_not_finite_have_a_colour() {
        let row = |values: Vec<f32>| Voxels::from_vec([1, 1, 4], values).unwrap();
        let maxima = row(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0]);
        let depths = Voxels::from_vec([1, 1, 4], vec![0_u16; 4]).unwrap();
        let [_, _, blue] = depth_colour(&maxima, &depths, 2, 0.0..=4.0).unwrap();
        assert_eq!(blue.as_slice::<u8>().unwrap(), [0, 255, 0, 128]);
        assert_eq!(value_range(&maxima), 0.0..=2.0);
        assert_eq!(value_range(&row(vec![f32::NAN; 4])), 0.0..=1.0);
        assert_eq!(value_range(&row(vec![-1.0, -1.0, 3.0, 2.0])), -1.0..=3.0);
        for range in [1.0..=1.0, 0.0..=f64::INFINITY] {
            assert!(depth_colour(&maxima, &depths, 2, range).is_err());
        }
    }
}
