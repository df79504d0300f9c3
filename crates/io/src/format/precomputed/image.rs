//! Chunks that are one image: its rows, one after the other, are the voxels in C order `[z, y, x]`, its
//! samples the channels.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::dtype::DataType;
use crate::voxels::Voxels;

use super::encoding::swap_bytes;

/// Decodes a grey or colour JPEG into `[c, z, y, x]`.
pub(super) fn decode_jpeg(encoded: &[u8], channels: usize, out: &mut [u8]) -> Result<(), String> {
    let color = if channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(color)
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(encoded), options);
    let damaged = |e| format!("JPEG cannot be decoded: {e}").replace('\n', " ");
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let samples = decoder.input_colorspace().map_or(0, |color| color.num_components());
    check("JPEG", [width, height], samples, channels, out.len())?;
    let mut values = vec![0; out.len()];
    decoder.decode_into(&mut values).map_err(damaged)?;
    separate(&values, channels, 1, out);
    Ok(())
}

/// Decodes a PNG of 8 or 16 bits into `[c, z, y, x]`.
pub(super) fn decode_png(
    encoded: &[u8],
    channels: usize,
    dtype: DataType,
    out: &mut [u8],
) -> Result<(), String> {
    let size = dtype.size();
    let damaged = |e| format!("PNG cannot be decoded: {e}");
    // Beside rows of the known length, a decoder needs little.
    let limits = png::Limits { bytes: out.len().saturating_add(1 << 20) };
    let decoder = png::Decoder::new_with_limits(Cursor::new(encoded), limits);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (color, depth) = reader.output_color_type();
    let (width, height) = reader.info().size();
    let samples = color.samples();
    check("PNG", [width as usize, height as usize], samples, channels, out.len() / size)?;
    if depth as usize != 8 * size || color == png::ColorType::Indexed {
        return Err(format!("PNG of {color:?} with {depth:?} bits, expected {dtype}"));
    }
    let mut values = vec![0; out.len()];
    reader.next_frame(&mut values).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    if size == 2 && cfg!(target_endian = "little") {
        swap_bytes(&mut values, dtype);
    }
    separate(&values, channels, size, out);
    Ok(())
}

/// Encodes a chunk of one channel, `uint8` or `uint16`: a column of its planes.
pub(super) fn encode_png(voxels: &Voxels) -> Result<Vec<u8>, String> {
    let [z, y, x] = voxels.shape().map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let dtype = voxels.dtype();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, x, z.saturating_mul(y));
    encoder.set_color(png::ColorType::Grayscale);
    let wide = dtype == DataType::U16;
    encoder.set_depth(if wide { png::BitDepth::Sixteen } else { png::BitDepth::Eight });
    let mut bytes = std::borrow::Cow::Borrowed(voxels.bytes());
    if wide && cfg!(target_endian = "little") {
        swap_bytes(bytes.to_mut(), dtype);
    }
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(&bytes).and_then(|()| writer.finish()).map_err(|e| e.to_string())?;
    Ok(out)
}

fn check(
    format: &str,
    [width, height]: [usize; 2],
    samples: usize,
    channels: usize,
    values: usize,
) -> Result<(), String> {
    let found = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(samples));
    if samples != channels || found != Some(values) {
        return Err(format!(
            "{format} of {width} x {height} pixels with {samples} samples, expected {values} values \
             of {channels} channels"
        ));
    }
    Ok(())
}

/// Pixels with all samples, of `size` bytes each, to one channel after the other.
fn separate(values: &[u8], channels: usize, size: usize, out: &mut [u8]) {
    if channels == 1 {
        return out.copy_from_slice(values);
    }
    let plane = out.len() / channels;
    for (channel, out) in out.chunks_exact_mut(plane.max(1)).enumerate() {
        let pixels = values.chunks_exact(channels * size);
        for (sample, pixel) in out.chunks_exact_mut(size).zip(pixels) {
            sample.copy_from_slice(&pixel[channel * size..(channel + 1) * size]);
        }
    }
}
