//! Pictures for people: grey images stretched to what the eye can see, labels in colours, PNG.

use exavox_io::{Element, Voxels, match_dtype};

use crate::error::{Error, Result};

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub [u8; 3]);

impl Rgb {
    /// This colour with a share, 0 to 1, of another.
    pub fn mix(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| f64::from(a).mul_add(1.0 - share, f64::from(b) * share) as u8;
        Self(std::array::from_fn(|i| mix(self.0[i], other.0[i])))
    }
}

/// The colour of a label: the same in every picture, neighbours in number far apart in hue.
pub fn label_colour(label: u64) -> Rgb {
    // Steps of the golden ratio spread hues evenly however many labels there are.
    let hue = (label as f64 * 0.618_033_988_749_895).fract() * 6.0;
    let value = if label.is_multiple_of(2) { 255.0 } else { 215.0 };
    let low = value * 0.25;
    let ramp = low + (value - low) * (1.0 - (hue % 2.0 - 1.0).abs());
    let rgb = match hue as u32 {
        0 => [value, ramp, low],
        1 => [ramp, value, low],
        2 => [low, value, ramp],
        3 => [low, ramp, value],
        4 => [ramp, low, value],
        _ => [value, low, ramp],
    };
    Rgb(rgb.map(|c| c as u8))
}

/// The values shown as black and as white.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GreyRange {
    black: f32,
    white: f32,
}

impl GreyRange {
    /// From the 0.5th to the 99.5th percentile of a sample of at most a million voxels; NaN and
    /// infinite values do not count.
    pub fn of(voxels: &Voxels) -> Self {
        let step = (voxels.len() / 1_000_000).max(1);
        let mut sample: Vec<f32> = match_dtype!(voxels.dtype(), T => {
            let values = voxels.as_slice::<T>().unwrap_or_default();
            values.iter().step_by(step).map(|v| v.to_f64() as f32).filter(|v| v.is_finite()).collect()
        });
        sample.sort_unstable_by(f32::total_cmp);
        let at = |part: f64| sample.get((part * sample.len() as f64) as usize).copied();
        Self { black: at(0.005).unwrap_or(0.0), white: at(0.995).unwrap_or(1.0) }
    }

    /// A value as a shade; NaN is black.
    pub fn to_u8(self, value: f32) -> u8 {
        let span = (self.white - self.black).max(f32::MIN_POSITIVE);
        ((value - self.black) / span * 255.0).clamp(0.0, 255.0) as u8
    }
}

/// An RGB picture, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from a function of row and column.
    pub fn from_fn(width: usize, height: usize, colour: impl Fn(usize, usize) -> Rgb) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let rgb = pixels.flat_map(|(y, x)| colour(y, x).0).collect();
        Self { width, height, rgb }
    }

    /// A picture of a plane `[1, y, x]` in shades of grey.
    pub fn grey(plane: &Voxels) -> Self {
        let [_, height, width] = plane.shape();
        let (range, values) = (GreyRange::of(plane), plane.to_f32());
        Self::from_fn(width, height, |y, x| Rgb([range.to_u8(values[y * width + x]); 3]))
    }

    /// Pictures side by side, `gap` black pixels between them, aligned at the top.
    pub fn row(pictures: &[Self], gap: usize) -> Self {
        let height = pictures.iter().map(|p| p.height).max().unwrap_or(0);
        let gaps = gap * pictures.len().saturating_sub(1);
        let width = gaps + pictures.iter().map(|p| p.width).sum::<usize>();
        let mut rgb = vec![0; width * height * 3];
        let mut left = 0;
        for picture in pictures {
            let rows = picture.rgb.chunks_exact((picture.width * 3).max(1));
            for (y, row) in rows.enumerate() {
                let at = (y * width + left) * 3;
                rgb[at..at + row.len()].copy_from_slice(row);
            }
            left += picture.width + gap;
        }
        Self { width, height, rgb }
    }

    /// Every pixel as a square of `times` pixels.
    pub fn enlarged(&self, times: usize) -> Self {
        let pixel = |y: usize, x: usize| {
            let at = (y / times * self.width + x / times) * 3;
            Rgb([self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]])
        };
        Self::from_fn(self.width * times, self.height * times, pixel)
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// If the picture is too large for PNG.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let wrong = |e: png::EncodingError| Error::settings("picture", e.to_string());
        let too_large = |_| Error::settings("picture", "more than 2^32 pixels along an axis");
        let width = u32::try_from(self.width).map_err(too_large)?;
        let height = u32::try_from(self.height).map_err(too_large)?;
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(wrong)?;
        writer.write_image_data(&self.rgb).map_err(wrong)?;
        writer.finish().map_err(wrong)?;
        Ok(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn range_ignores_what_is_not_finite() {
        let mut values: Vec<f32> = (0..1000).map(|v| v as f32).collect();
        values[3] = f32::NAN;
        values[4] = f32::INFINITY;
        let range = GreyRange::of(&Voxels::from_vec([1, 10, 100], values).unwrap());
        assert_eq!((range.to_u8(-5.0), range.to_u8(2000.0)), (0, 255));
        assert!((120..136).contains(&range.to_u8(500.0)));
    }

    #[test]
    fn a_row_keeps_every_pixel() {
        let a = Picture::from_fn(2, 1, |_, x| Rgb([x as u8 + 1; 3]));
        let b = Picture::from_fn(1, 2, |y, _| Rgb([y as u8 + 7; 3]));
        let row = Picture::row(&[a, b], 1);
        let red: Vec<u8> = row.rgb.iter().step_by(3).copied().collect();
        assert_eq!((row.width, row.height), (4, 2));
        assert_eq!(red, [1, 2, 0, 7, 0, 0, 0, 8]);
    }

    #[test]
    fn neighbouring_labels_differ_in_colour() {
        for label in 1..200 {
            let (Rgb(a), Rgb(b)) = (label_colour(label), label_colour(label + 1));
            let distance: i32 = (0..3).map(|i| (i32::from(a[i]) - i32::from(b[i])).abs()).sum();
            assert!(distance > 60, "labels {label} and {}: {a:?} {b:?}", label + 1);
        }
    }
}
