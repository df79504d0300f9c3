//! `exavox demo --training`: what the demo's network was trained on, to train it again or another one.

use std::fs;

use exavox_io::Error as IoError;
use exavox_pipeline::demo::{TRAIN_CONFIG, touching_tubes};

use super::Demo;
use crate::exit_status::ExitStatus;

/// Names of the volumes, their shapes z, y, x, and seeds. None is the demo's own.
const VOLUMES: [(&str, [usize; 3], u64); 2] =
    [("train", [112, 144, 224], 11), ("validation", [64, 96, 128], 12)];

/// Writes images, labels, and the configuration.
pub(super) fn run(demo: &Demo<'_>) -> anyhow::Result<ExitStatus> {
    for (name, shape, seed) in VOLUMES {
        let made = touching_tubes(shape, seed)?;
        let channel = |name: &str| vec![name.to_owned()];
        demo.write(&format!("{name}.zarr"), &made.channels[..1], channel("membrane"), &made)?;
        let labels = std::slice::from_ref(&made.labels);
        demo.write(&format!("{name}-labels.zarr"), labels, channel("labels"), &made)?;
    }
    let config = demo.directory.join("train.toml");
    fs::write(&config, TRAIN_CONFIG).map_err(IoError::at(&config))?;
    let config = config.display();
    demo.context.printer.note(&format!("train with:  exavox train {config} --select best"));
    Ok(ExitStatus::Done)
}
