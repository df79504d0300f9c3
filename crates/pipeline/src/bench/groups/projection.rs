//! Maximum over z of four channels in memory, uint16; and the streamed run from file to file.

use std::path::Path;
use std::sync::Arc;

use exavox_compute::DeviceSpec;
use exavox_compute::machine::read_all;
use exavox_compute::ops::projection::{CpuEngine, ProjectionEngine, ProjectionKind};
use exavox_compute::ops::projection::{engine_of, maximum_by_burn, project};
use exavox_io::volume::WriteMode;
use exavox_io::{Axis, DataType, Volume, Voxels};
use ndarray::Axis as Dimension;

use crate::bench::outcome::OVERLAPPED;
use crate::bench::random::{hash, values};
use crate::bench::{Case, Group, Implementation, Setting, Task, Work};
use crate::error::{Error, Result};
use crate::progress::Silent;
use crate::project::ProjectOptions;

pub(super) struct Projection;

const CHANNELS: usize = 4;

impl Group for Projection {
    fn name(&self) -> &'static str {
        "projection"
    }

    fn about(&self, _case: &Case) -> &'static str {
        "maximum over z of 4 channels of uint16, in memory"
    }

    fn cases(&self) -> &'static [Case] {
        &[Case { name: "max-z", shape: [7, 2048, 2048], quick_shape: [7, 512, 512] }]
    }

    fn inputs(&self, _case: &Case, shape: [usize; 3]) -> Result<Vec<(String, Voxels)>> {
        let count = shape.iter().product();
        let channel = |c: usize| {
            let noise = values(count, |i| (hash(i, c as u64) >> 48) as u16);
            Ok((channel_name(c), Voxels::from_vec(shape, noise)?))
        };
        (0..CHANNELS).map(channel).collect()
    }

    fn work(&self, _case: &Case, shape: [usize; 3]) -> Work {
        let cells = (CHANNELS * shape[1] * shape[2]) as u64;
        let voxels = cells * shape[0] as u64;
        let size = DataType::U16.size() as u64;
        Work { voxels, bytes: (voxels + cells) * size, flops: 0 }
    }

    fn implementations(&self) -> Vec<Implementation> {
        let mut all = vec![
            Implementation::on_one_core("scalar", |s| in_memory(s, scalar)),
            Implementation::on_one_core("ndarray", |s| in_memory(s, by_ndarray)),
            Implementation::on_one_core("cpu", |s| in_memory(s, ours)),
            Implementation::on_all_cores("cpu", |s| in_memory(s, ours)),
        ];
        all.extend(Implementation::on_devices(by_burn, on_device));
        all.extend([
            Implementation {
                device: Some(DeviceSpec::Auto),
                ..Implementation::on_all_cores(OVERLAPPED, streamed)
            },
            Implementation::on_one_core("pure read", |s| in_memory(s, only_read)),
            Implementation::on_all_cores("pure read", |s| in_memory(s, only_read)),
        ]);
        all
    }
}

fn channel_name(channel: usize) -> String {
    format!("channel{channel}")
}

fn channels(setting: &Setting) -> Result<Vec<Voxels>> {
    (0..CHANNELS).map(|c| setting.input(&channel_name(c))).collect()
}

fn in_memory(setting: Setting, one: fn(&Voxels) -> Result<Voxels>) -> Result<Task> {
    let channels = channels(&setting)?;
    Ok(Box::new(move || channels.iter().map(one).collect()))
}

fn ours(stack: &Voxels) -> Result<Voxels> {
    Ok(project(ProjectionKind::Max, Axis::Z, stack)?)
}

/// One column after the other, one value after the other.
fn scalar(stack: &Voxels) -> Result<Voxels> {
    let [depth, y, x] = stack.shape();
    let values = stack.as_slice::<u16>()?;
    let mut maxima = Vec::with_capacity(y * x);
    for cell in 0..y * x {
        let mut best = values[cell];
        for z in 1..depth {
            if values[z * y * x + cell] > best {
                best = values[z * y * x + cell];
            }
        }
        maxima.push(best);
    }
    Ok(Voxels::from_vec([1, y, x], maxima)?)
}

fn by_ndarray(stack: &Voxels) -> Result<Voxels> {
    let [_, y, x] = stack.shape();
    let maxima = stack.view::<u16>()?.fold_axis(Dimension(0), 0, |best, value| *best.max(value));
    Ok(Voxels::from_vec([1, y, x], maxima.into_raw_vec_and_offset().0)?)
}

/// What the memory gives, with nothing computed: the limit, as a row.
fn only_read(stack: &Voxels) -> Result<Voxels> {
    let words = bytemuck::try_cast_slice(stack.bytes())
        .map_err(|e| Error::settings("pure read", e.to_string()))?;
    Ok(Voxels::from_vec([1, 1, 1], vec![read_all(words)])?)
}

fn by_burn(setting: Setting) -> Result<Task> {
    let channels = channels(&setting)?;
    let device = setting.device()?;
    Ok(Box::new(move || {
        let maxima = channels.iter().map(|stack| Ok(maximum_by_burn(&device, stack)?));
        maxima.collect()
    }))
}

/// From host memory to host memory: transfers are part of the work.
fn on_device(setting: Setting) -> Result<Task> {
    let channels = channels(&setting)?;
    let engine = engine_of(&setting.device()?).unwrap_or_else(|| Arc::new(CpuEngine));
    Ok(Box::new(move || channels.iter().map(|stack| push_all(&*engine, stack)).collect()))
}

fn push_all(engine: &dyn ProjectionEngine, stack: &Voxels) -> Result<Voxels> {
    let refused = || Error::settings(engine.name(), "does no maximum of uint16");
    let mut projection = engine
        .begin(ProjectionKind::Max, stack.dtype(), Axis::Z, stack.shape())?
        .ok_or_else(refused)?;
    projection.push(stack)?;
    Ok(projection.finish()?)
}

/// Reads `.npy`, projects and writes `.npy`, all at once, channel by channel.
fn streamed(setting: Setting) -> Result<Task> {
    let (folder, mut options) = (setting.folder.clone(), ProjectOptions::default());
    options.threads = setting.threads;
    options.mode = WriteMode::Overwrite;
    options.device = engine_of(&setting.device()?);
    Ok(Box::new(move || {
        (0..CHANNELS).map(|c| stream_one(&folder, &channel_name(c), &options)).collect()
    }))
}

fn stream_one(folder: &Path, name: &str, options: &ProjectOptions) -> Result<Voxels> {
    let path = |name: &str| folder.join(format!("{name}.npy")).display().to_string();
    let target = format!("{name}-maximum");
    crate::project::project(&Volume::open(&path(name))?, &path(&target), options, &Silent)?;
    crate::bench::read_input(folder, &target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_give_the_same_maxima() {
        let case = Projection.cases()[0];
        for (_, stack) in Projection.inputs(&case, [5, 6, 7]).unwrap() {
            let expected = ours(&stack).unwrap();
            assert_eq!(scalar(&stack).unwrap(), expected);
            assert_eq!(by_ndarray(&stack).unwrap(), expected);
        }
    }
}
