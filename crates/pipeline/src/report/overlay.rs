//! Three orthogonal slices of labels over an image.

use exavox_io::{BoundingBox, Voxels};

use super::Overlay;
use crate::error::{Error, Result};
use crate::picture::{GreyRange, Picture, Rgb, label_colour};

/// Share of the label's colour in a voxel inside a segment.
const TINT: f64 = 0.45;

/// One slice as a picture.
#[derive(Debug)]
pub struct Slice {
    /// Which slice, and its axes.
    pub caption: String,
    /// One pixel a voxel.
    pub picture: Picture,
    /// Width and height in proportion to the tissue.
    pub display_size: (f64, f64),
}

/// The slices through the middle: y-x, z-x, z-y (rows first). Voxels at the border of two labels show
/// the label's full colour.
///
/// # Errors
/// If image and labels have different shapes, or labels are not integers.
pub fn overlay_slices(overlay: &Overlay<'_>) -> Result<[Slice; 3]> {
    if overlay.image.shape() != overlay.labels.shape() {
        let (image, labels) = (overlay.image.shape(), overlay.labels.shape());
        let message = format!("expected labels of shape {image:?}, found {labels:?}");
        return Err(Error::settings("overlay", message));
    }
    let range = GreyRange::of(overlay.image);
    Ok([slice(overlay, range, 0)?, slice(overlay, range, 1)?, slice(overlay, range, 2)?])
}

fn slice(overlay: &Overlay<'_>, range: GreyRange, normal: usize) -> Result<Slice> {
    let names = ["z", "y", "x"];
    let shape = overlay.image.shape();
    let middle = shape[normal] / 2;
    let [rows, columns] = match normal {
        0 => [1, 2],
        1 => [0, 2],
        _ => [0, 1],
    };
    let grey = plane(overlay.image, normal, middle)?.to_f32();
    let labels = plane(overlay.labels, normal, middle)?.to_labels()?;
    let (width, height) = (shape[columns], shape[rows]);
    let picture = Picture::from_fn(width, height, |y, x| {
        let at = y * width + x;
        let label = labels[at];
        let border = (x > 0 && labels[at - 1] != label) || (y > 0 && labels[at - width] != label);
        let grey = Rgb([range.to_u8(grey[at]); 3]);
        match (label, border) {
            (0, _) => grey,
            (_, true) => label_colour(label),
            _ => grey.mix(label_colour(label), TINT),
        }
    });
    let size = overlay.voxel_size.map_or([1.0; 3], |v| v.nm_zyx);
    let at = overlay.origin[normal] + middle as u64;
    let caption =
        format!("{} = {at} ({} down, {} right)", names[normal], names[rows], names[columns]);
    let display_size = (width as f64 * size[columns], height as f64 * size[rows]);
    // Aspect ratios are whole numbers in the page: large enough to round without harm.
    let scale = 1000.0 / display_size.0.max(display_size.1);
    Ok(Slice { caption, picture, display_size: (display_size.0 * scale, display_size.1 * scale) })
}

/// One plane of a block, as a block that is one voxel thick.
fn plane(voxels: &Voxels, normal: usize, at: usize) -> Result<Voxels> {
    let mut region = BoundingBox::whole(voxels.shape().map(|s| s as u64));
    region.start[normal] = at as u64;
    region.end[normal] = at as u64 + 1;
    let mut out = Voxels::zeros(voxels.dtype(), region.shape().map(|s| s as usize))?;
    out.copy_box([0; 3], voxels, &region)?;
    Ok(out)
}
