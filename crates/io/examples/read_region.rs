//! Opens a volume, reads a region in its middle, prints what is in it. A start for programs of one's own.
//!
//! `cargo run --example read_region -- v.zarr 32,256,256`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use exavox_io::{BoundingBox, Element, Volume, Voxels, match_dtype};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: read_region VOLUME [Z,Y,X]")?;
    let size = arguments.next().unwrap_or_else(|| "64,64,64".to_owned());
    let volume = Volume::open(&name)?;
    let metadata = volume.metadata();
    println!("{name}: {} {} {:?}", metadata.format, metadata.dtype, metadata.shape);
    println!("channels {:?}, chunks {:?}", metadata.channels, metadata.chunk_shape);
    if let Some(voxel_size) = metadata.voxel_size {
        println!("voxel size {voxel_size}");
    }
    let region = centred(volume.shape(), &size)?;
    for (channel, label) in metadata.channels.iter().enumerate() {
        let voxels = volume.read(channel, &region)?;
        let (min, max, mean) = statistics(&voxels)?;
        println!("channel {label}, region {region}: min {min}, max {max}, mean {mean:.3}");
    }
    Ok(())
}

/// A box of `z,y,x` voxels in the middle of a volume, clipped to it.
fn centred(shape: [u64; 3], size: &str) -> Result<BoundingBox, Box<dyn std::error::Error>> {
    let sizes = size.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let size: [u64; 3] = sizes.try_into().map_err(|_| "a size is z,y,x")?;
    let size: [u64; 3] = std::array::from_fn(|a| size[a].min(shape[a]));
    let start = std::array::from_fn(|a| (shape[a] - size[a]) / 2);
    Ok(BoundingBox::from_start_shape(start, size))
}

fn statistics(voxels: &Voxels) -> Result<(f64, f64, f64), exavox_io::Error> {
    match_dtype!(voxels.dtype(), T => {
        let values = voxels.as_slice::<T>()?.iter().map(|value| value.to_f64());
        let (mut min, mut max, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for value in values {
            (min, max, sum) = (min.min(value), max.max(value), sum + value);
        }
        Ok((min, max, sum / voxels.len() as f64))
    })
}
