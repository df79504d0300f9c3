//! Measurements of the same work by many implementations, side by side: a naive loop, `ndarray`, our
//! own code on one core and on all, burn, devices, a whole streamed run, and the limit of the machine.
//!
//! A [`Group`] is one operation with its inputs and implementations. [`write_inputs`] makes a case's
//! inputs once, [`measure()`] times one implementation in the process that calls it, and
//! [`Table`] puts the outcomes beside each other as text, CSV and a chart. For an honest peak of
//! memory each implementation wants a process of its own: `exavox bench` starts them.

use std::path::Path;

use exavox_io::volume::WriteMode;
use exavox_io::{BoundingBox, Volume, VolumeWriter, Voxels, WriteOptions};

use crate::error::Result;

mod answer;
mod chart;
mod csv_rows;
mod groups;
mod implementation;
mod measure;
mod outcome;
pub(crate) mod random;
mod table;
mod usage;

pub use chart::chart;
pub use csv_rows::csv;
pub use groups::{all_groups, find_group};
pub use implementation::{Cores, Implementation, Setting, Task};
pub use measure::{Budget, Ground, measure};
pub use outcome::{Measurement, Outcome, Verdict};
pub use table::{Machine, Row, Section, Table};

/// One input of a group: its name and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Name within the group: `smooth-6`.
    pub name: &'static str,
    /// Voxels along z, y and x where the user names no size.
    pub shape: [usize; 3],
    /// The same for a quick look.
    pub quick_shape: [usize; 3],
}

/// What a case asks of the machine at least, whatever the implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Voxels of input.
    pub voxels: u64,
    /// Bytes of input and output.
    pub bytes: u64,
    /// Operations of f32; 0 for work on integers, whose limit is the memory.
    pub flops: u64,
}

/// An operation that is measured.
pub trait Group: Sync {
    /// Name on the command line.
    fn name(&self) -> &'static str;

    /// What is done with a case, in a line for people.
    fn about(&self, case: &Case) -> &'static str;

    /// The inputs that it is measured on.
    fn cases(&self) -> &'static [Case];

    /// Makes the inputs of a case, with their names; the same each time.
    ///
    /// # Errors
    /// If the memory cannot be had, or the shape makes no sense for the operation.
    fn inputs(&self, case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>>;

    /// What the case asks for at least.
    fn work(&self, case: &Case, shape: [usize; 3]) -> Work;

    /// Who does it, in the order of the table.
    fn implementations(&self) -> Vec<Implementation>;

    /// One number that right outputs agree in.
    fn answer(&self, outputs: &[Voxels]) -> f64 {
        answer::weighted_sum(outputs)
    }
}

/// Writes the inputs of a case as `.npy` into a folder, where every implementation and the peers read
/// them.
///
/// # Errors
/// As [`Group::inputs`], and if the folder cannot be written.
pub fn write_inputs(
    group: &dyn Group,
    case: &Case,
    shape: [usize; 3],
    folder: &Path,
) -> Result<()> {
    for (name, voxels) in group.inputs(case, shape)? {
        let path = folder.join(format!("{name}.npy")).display().to_string();
        let options = WriteOptions::new(voxels.dtype(), voxels.shape().map(|v| v as u64))
            .with_mode(WriteMode::Overwrite);
        let writer = VolumeWriter::create(&path, &options)?;
        writer.write(0, [0; 3], &voxels)?;
        writer.finish()?;
    }
    Ok(())
}

/// Reads an input that [`write_inputs`] wrote.
///
/// # Errors
/// If it is not there.
pub(crate) fn read_input(folder: &Path, name: &str) -> Result<Voxels> {
    let volume = Volume::open(&folder.join(format!("{name}.npy")).display().to_string())?;
    Ok(volume.read(0, &BoundingBox::whole(volume.shape()))?)
}
