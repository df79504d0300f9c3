//! Flood-filling-network segmentation of a volume that fits into memory as one subvolume: labels,
//! a table of segments, and a report. Larger ones are cut into [`Subvolumes`] by a job
//! ([`crate::job::steps::SegmentSpec`]).

use std::sync::Arc;
use std::time::Instant;

use exavox_compute::ffn::{Inline, Network};
use exavox_io::{BoundingBox, Volume};

use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

mod channels;
mod checkpoint;
pub(crate) mod counters;
pub(crate) mod inference;
mod initial;
mod masks;
pub(crate) mod memory;
mod model_table;
pub(crate) mod origins;
pub(crate) mod outputs;
pub(crate) mod plan;
mod prepared;
mod request;
mod run;
mod seed_table;
mod settings;
mod slabs;
mod subvolumes;
mod tables;
mod text_proto;

pub use channels::{ImageChannel, MoreChannels, PerChannel};
pub use masks::{MaskChannelTable, MaskTable, ShiftMaskTable};
pub use memory::fits_one_subvolume;
pub use model_table::{FamilyName, Features, ModelTable, PaddingName, PrecisionName};
pub use request::Request;
pub use run::{JoinedReport, SegmentReport, SegmentRun};
pub use seed_table::SeedTable;
pub use settings::{Seeds, SegmentSettings};
pub use subvolumes::{Subvolumes, fitting_subvolume};
pub use tables::InferenceTable;

pub(crate) use checkpoint::weights;
pub(crate) use masks::OpenMasks;

use inference::{Subvolume, infer_saved, network_on_device, open_model, read_more};
use memory::{KeptHere, check_memory};
use prepared::Prepared;

/// Segments one channel of a volume and writes labels, table and report; all of them or none.
///
/// # Errors
/// [`Error::Settings`] if the region is smaller than the FOV or does not fit into memory; whatever
/// image, checkpoint, device or disk say.
pub fn segment(
    image: &Volume,
    settings: &SegmentSettings,
    run: &SegmentRun,
    observer: &dyn Observer,
) -> Result<SegmentReport> {
    // Everything that can be refused is refused before the hours begin.
    settings.check()?;
    let region = region_of(image.name(), image.shape(), settings)?;
    let model = open_model(settings)?;
    let kept = KeptHere::new(&run.device, Some(model.architecture()));
    check_memory(&region, settings, &run.device, kept, run.memory_bytes)?;
    let mut network = network_on_device(&model, settings, &run.device, observer)?;
    segment_with(network.as_mut(), image, settings, run, observer)
}

/// As [`segment`], with a network of the caller's; checkpoint and device of the settings are only
/// named in the report.
///
/// # Errors
/// As [`segment`].
pub fn segment_with(
    network: &mut dyn Network,
    image: &Volume,
    settings: &SegmentSettings,
    run: &SegmentRun,
    observer: &dyn Observer,
) -> Result<SegmentReport> {
    let started = Instant::now();
    let keeps = network.residence().is_some();
    let kept = if keeps { KeptHere::new(&run.device, None) } else { KeptHere::nothing() };
    let mut prepared = Prepared::new(image, settings, run, kept)?;
    let mut subvolume =
        read_subvolume(image, settings, prepared.region, &prepared.masks, observer)?;
    subvolume.keeps_probabilities = run.probabilities.is_some();
    let read_seconds = started.elapsed().as_secs_f64();
    let mut steps = Inline::new(network, run.device.batch().unwrap_or(1));
    let (initial, saved) = (prepared.initial.take(), prepared.checkpoint.as_mut());
    let inferred = infer_saved(&subvolume, initial, settings, &mut steps, saved, observer)?;
    let mut report = SegmentReport::of(&inferred.segmentation, run, &prepared.side_files);
    report.device = network.device_name();
    report.stage_seconds = [read_seconds, inferred.seed_seconds, inferred.flood_seconds];
    report.seconds = started.elapsed().as_secs_f64();
    report.voxels_per_second = subvolume.image.len() as f64 / report.seconds;
    prepared.write(image.name(), settings, &subvolume, inferred.segmentation, &report)?;
    Ok(report)
}

fn read_subvolume(
    image: &Volume,
    settings: &SegmentSettings,
    region: BoundingBox,
    masks: &OpenMasks,
    observer: &dyn Observer,
) -> Result<Subvolume> {
    let voxels = Arc::new(image.read(settings.channel, &region)?);
    let more = read_more(image, settings, &region)?;
    let voxel_size = image.metadata().voxel_size;
    let restrictor = masks.restrictor(image, &region)?;
    if restrictor.covers_all() {
        let text = format!("the masks cover all of {region}: nothing is segmented");
        observer.notify(&Event::Warning(&text));
    }
    let keeps_probabilities = false;
    Ok(Subvolume { image: voxels, more, region, voxel_size, restrictor, keeps_probabilities })
}

/// The part of a volume of a name and a shape that is segmented.
///
/// # Errors
/// [`Error::Settings`] if it is smaller than the FOV; if it does not lie inside.
pub fn region_of(name: &str, shape: [u64; 3], settings: &SegmentSettings) -> Result<BoundingBox> {
    let region = crate::selection::region_of(name, shape, settings.roi)?;
    for (a, axis) in ["z", "y", "x"].into_iter().enumerate() {
        let (found, fov) = (region.shape()[a], settings.model.fov_zyx[a] as u64);
        if found < fov {
            let message = format!(
                "region {region} is smaller than the FOV along {axis}: expected {fov}, found {found}"
            );
            return Err(Error::settings(name, message));
        }
    }
    Ok(region)
}
