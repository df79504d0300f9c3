//! Segments a crop of a volume with a flood-filling network and prints a line per segment.
//!
//! ```sh
//! cargo run --release --example segment_crop -- IMAGE CHECKPOINT z0:z1,y0:y1,x0:x1 [DEVICE]
//! ```
#![recursion_limit = "256"]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::Path;

use exavox_compute::ffn::seed::{self, NormalisedImage, Scene, SeedPolicy};
use exavox_compute::ffn::{self, BurnNetwork, Canvas, FloodEvent, InferenceOptions, ModelConfig};
use exavox_compute::{ComputeDevice, DeviceSpec};
use exavox_io::{BoundingBox, Volume};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [image, checkpoint, region, device @ ..] = &args[..] else {
        return Err("usage: segment_crop IMAGE CHECKPOINT z0:z1,y0:y1,x0:x1 [DEVICE]".into());
    };
    let spec: DeviceSpec = device.first().map_or(Ok(DeviceSpec::Auto), |d| d.parse())?;

    let region: BoundingBox = region.parse()?;
    let voxels = Volume::open(image)?.read(0, &region)?;
    let (config, options) = (ModelConfig::default(), InferenceOptions::default());
    let scene = Scene::new(NormalisedImage::new(&voxels, &options), [1.0; 3], config.margin());
    let seeds = seed::find(&SeedPolicy::Peaks, &scene)?;
    let canvas = Canvas::new(voxels, config, options)?;

    let weights = ffn::Weights::open(Path::new(checkpoint), None)?;
    let (device, _) = ComputeDevice::open(spec)?;
    eprintln!("{} seeds; depth {} on {}", seeds.len(), weights.depth(), device.name());
    let mut network = BurnNetwork::new(&weights, &config, &device)?;
    let result = ffn::segment_all(canvas, &seeds, &mut network, |event| {
        if let FloodEvent::Segment(origin) = event {
            println!("{origin:?}");
        }
    })?;
    println!("{:?}", result.counters);
    Ok(())
}
