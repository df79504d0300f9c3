//! Images of canvases in the memory of a device: uploaded once, normalised when a window is looked at.

use cubecl::client::Client;
use exavox_io::{DataType, Element, Voxels, match_dtype};

use crate::ffn::canvas::normalise;
use crate::ffn::residence::CanvasImage;
use crate::kernels::windows::Image;

/// Bytes that the image of a canvas takes on a device, with the table of its values.
pub(super) fn bytes(canvas: &CanvasImage) -> u64 {
    let voxel = canvas.voxels.dtype().size().min(4);
    let table = if voxel < 4 { 4 << (8 * voxel) } else { 4 };
    let voxels = (canvas.voxels.len() as u64).saturating_mul(voxel as u64);
    voxels.next_multiple_of(4).saturating_add(table)
}

/// Copies the image of a canvas to a device; `None` if it has no buffer of that size.
///
/// Types of one and two bytes stay as they are, beside a table of what the host makes of each value; others
/// are normalised here. So the floats are those of the host, whatever a device makes of a division.
pub(super) fn upload(client: &Client, canvas: &CanvasImage) -> Option<Image> {
    let voxels = &*canvas.voxels;
    let bytes = voxels.dtype().size().min(4);
    let size = voxels.len().checked_mul(bytes)?.checked_next_multiple_of(4)?;
    let room = usize::try_from(client.properties().memory.max_page_size).unwrap_or(usize::MAX);
    if size > room || voxels.len() > u32::MAX as usize {
        return None;
    }
    let (mean, stddev) = (canvas.options.image_mean, canvas.options.image_stddev);
    let floats = |values: &[f32]| client.create_from_slice(bytemuck::cast_slice(values));
    let (packed, table, words) = if bytes < 4 {
        let table = floats(&values(voxels.dtype(), mean, stddev));
        (4 / bytes, table, client.create_from_slice(&padded(voxels.bytes())))
    } else {
        (1, floats(&[0.0]), floats(&normalised(voxels, mean, stddev)))
    };
    Some(Image { voxels: words, table, packed, shape: voxels.shape() })
}

/// Whole words.
fn padded(bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let mut bytes = std::borrow::Cow::Borrowed(bytes);
    if !bytes.len().is_multiple_of(4) {
        let size = bytes.len().next_multiple_of(4);
        bytes.to_mut().resize(size, 0);
    }
    bytes
}

/// What each value of a type of one or two bytes is for the network, in the order of their bits.
fn values(dtype: DataType, mean: f32, stddev: f32) -> Vec<f32> {
    match_dtype!(dtype, T => {
        let of = |bits: u64| -> T { first_bytes(&bits.to_le_bytes()) };
        let all: Vec<T> = (0..1 << (8 * dtype.size().min(2))).map(of).collect();
        floats_of(&all, mean, stddev)
    })
}

fn first_bytes<T: Element>(bytes: &[u8; 8]) -> T {
    bytemuck::pod_read_unaligned(&bytes[..size_of::<T>()])
}

fn normalised(voxels: &Voxels, mean: f32, stddev: f32) -> Vec<f32> {
    match_dtype!(voxels.dtype(), T => {
        // The type is asked for just before: there is no other.
        let all: &[T] = voxels.as_slice().unwrap_or_default();
        floats_of(all, mean, stddev)
    })
}

fn floats_of<T: Element>(values: &[T], mean: f32, stddev: f32) -> Vec<f32> {
    let mut floats = vec![0.0; values.len()];
    normalise(values, mean, stddev, &mut floats);
    floats
}
