//! Copies a volume to another format, block by block. Labels for precomputed become compressed
//! segmentation in one shard.
//!
//! `cargo run --example copy_volume -- labels.h5:main labels.precomputed 40,8,8`
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use exavox_io::volume::Encoding;
use exavox_io::{BoundingBox, DataType, Metadata, Volume, VolumeWriter, VoxelSize, WriteOptions};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (input, output, size) = match &arguments[..] {
        [input, output] => (input, output, None),
        [input, output, size] => (input, output, Some(voxel_size(size)?)),
        _ => return Err("usage: copy_volume INPUT OUTPUT [Z,Y,X in nanometres]".into()),
    };
    let volume = Volume::open(input)?;
    let mut options = options(volume.metadata(), output);
    options.voxel_size = size.or(options.voxel_size);
    let writer = VolumeWriter::create(output, &options)?;
    for channel in 0..options.channels.len() {
        for block in BoundingBox::whole(options.shape).tiles(writer.granule()) {
            writer.write(channel, block.start, &volume.read(channel, &block)?)?;
        }
    }
    Ok(writer.finish()?)
}

fn options(metadata: &Metadata, output: &str) -> WriteOptions {
    let mut options = WriteOptions::new(metadata.dtype, metadata.shape).like(metadata);
    let labels = matches!(metadata.dtype, DataType::U32 | DataType::U64);
    if labels && output.ends_with(".precomputed") {
        options.encoding = Encoding::CompressedSegmentation;
        options.shard_shape = Some(metadata.shape);
    }
    options
}

fn voxel_size(text: &str) -> Result<VoxelSize, Box<dyn Error>> {
    let lengths = text.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let nm_zyx: [f64; 3] = lengths.try_into().map_err(|_| "a voxel size is z,y,x")?;
    VoxelSize::from_nm_zyx(nm_zyx).ok_or_else(|| "a voxel size is above 0".into())
}
