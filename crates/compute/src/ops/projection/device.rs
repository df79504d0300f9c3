//! Projections on a device of CubeCL: CUDA, Vulkan, Metal, or the CPU by way of LLVM.
//!
//! Done here: max, min and argmax of 8-, 16- and 32-bit types, and sum and mean of 8- and 16-bit
//! integers as long as the sums fit into 32 bits. All of it is integer arithmetic, so that results are
//! equal on every device: floats travel as integers in the same order (`ordered`), because shader
//! compilers may take it that there is no NaN. The rest (std, variance, median, 64-bit types, sums of floats)
//! is left to the CPU.

use cubecl::client::Client;
use cubecl::server::Handle;
use exavox_io::trace::{Activity, span};
use exavox_io::{Axis, DataType, Voxels, match_dtype};

use self::ordered::Ordered;
use super::{Layout, Projection, ProjectionEngine, ProjectionKind};
use crate::device::guarded;
use crate::error::{Error, Result};
use crate::kernels::project::{launch_add_up, launch_highest};

mod ordered;

/// A device that projections run on.
pub struct DeviceEngine {
    name: String,
    client: Client,
}

impl DeviceEngine {
    /// An engine on a device, with the name that reports and errors give it.
    pub fn new(name: impl Into<String>, client: Client) -> Self {
        Self { name: name.into(), client }
    }
}

impl ProjectionEngine for DeviceEngine {
    fn name(&self) -> String {
        self.name.clone()
    }

    /// Large enough that the transfer, not its start, takes the time.
    fn block_bytes(&self) -> usize {
        16 << 20
    }

    fn begin(
        &self,
        kind: ProjectionKind,
        dtype: DataType,
        axis: Axis,
        shape: [usize; 3],
    ) -> Result<Option<Box<dyn Projection>>> {
        let layout = Layout::new(shape, axis)?;
        let cells_fit = layout.cells() <= u32::MAX as usize && layout.depth <= u32::MAX as usize;
        if !cells_fit || !supported(kind, dtype, layout.depth) {
            return Ok(None);
        }
        let state = State::new(self, kind, layout.cells())?;
        let (name, client) = (self.name.clone(), self.client.clone());
        let this =
            DeviceProjection { name, client, kind, dtype, axis, shape, planes_seen: 0, state };
        Ok(Some(Box::new(this)))
    }
}

/// Whether the device's 32-bit arithmetic gives the exact result.
fn supported(kind: ProjectionKind, dtype: DataType, planes: usize) -> bool {
    match kind {
        ProjectionKind::Max | ProjectionKind::Min | ProjectionKind::Argmax => dtype.size() <= 4,
        ProjectionKind::Sum | ProjectionKind::Mean => {
            // 65 536 values of 16 bits fit; more of 8 bits would, but nobody has such stacks.
            dtype.size() <= 2 && planes <= 1 << 16
        }
        ProjectionKind::Std | ProjectionKind::Variance | ProjectionKind::Median => false,
    }
}

/// What is kept on the device for each cell.
enum State {
    Highest { best: Handle, plane: Handle },
    Sums(Handle),
}

impl State {
    fn new(engine: &DeviceEngine, kind: ProjectionKind, cells: usize) -> Result<Self> {
        let filled =
            |value: u32| engine.client.create_from_slice(bytemuck::cast_slice(&vec![value; cells]));
        let made = guarded(|| match kind {
            ProjectionKind::Sum | ProjectionKind::Mean => Self::Sums(filled(0)),
            _ => Self::Highest { best: filled(i32::MIN as u32), plane: filled(0) },
        });
        made.map_err(|reason| Error::DeviceFailed { device: engine.name.clone(), reason })
    }
}

struct DeviceProjection {
    name: String,
    client: Client,
    kind: ProjectionKind,
    dtype: DataType,
    axis: Axis,
    shape: [usize; 3],
    planes_seen: usize,
    state: State,
}

impl Projection for DeviceProjection {
    fn push(&mut self, block: &Voxels) -> Result<()> {
        let layout = self.check(block)?;
        let words = match_dtype!(self.dtype, T => encode(self.kind, block.as_slice::<T>()?));
        let mut start = [0; 3];
        start[self.axis.zyx_index().unwrap_or(0)] = self.planes_seen as u64;
        let _span = span(Activity::Upload, start);
        let sent = guarded(|| {
            let values = self.client.create_from_slice(bytemuck::cast_slice(&words));
            match &self.state {
                State::Highest { best, plane } => {
                    let first = self.planes_seen as u32;
                    launch_highest(&self.client, values, best, plane, layout, first);
                }
                State::Sums(sums) => launch_add_up(&self.client, values, sums, layout),
            }
            self.client.flush().map_err(|e| e.to_string())
        });
        sent.and_then(|flushed| flushed).map_err(|reason| self.failed(&reason))?;
        self.planes_seen += layout.depth;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Voxels> {
        let a = self.axis.zyx_index().unwrap_or(0);
        let planes = self.shape[a];
        if self.planes_seen != planes {
            let found = self.planes_seen;
            let message = format!("projection along {}: {found} of {planes} planes", self.axis);
            return Err(Error::Usage(message));
        }
        let mut shape = self.shape;
        shape[a] = 1;
        let read = |handle: &Handle| self.read(handle, shape.iter().product());
        let voxels = match (&self.state, self.kind) {
            (State::Highest { plane, .. }, _) if self.kind == ProjectionKind::Argmax => {
                decode_planes(&read(plane)?, planes, shape)
            }
            (State::Highest { best, .. }, kind) => {
                let words = read(best)?;
                match_dtype!(self.dtype, T => Voxels::from_vec(shape, decode::<T>(kind, &words)))
            }
            (State::Sums(sums), kind) => {
                decode_sums(kind, self.dtype.kind(), &read(sums)?, planes, shape)
            }
        };
        Ok(voxels?)
    }
}

impl DeviceProjection {
    fn check(&self, block: &Voxels) -> Result<Layout> {
        let (found, a) = (block.shape(), self.axis.zyx_index().unwrap_or(0));
        let same = (0..3).all(|i| i == a || found[i] == self.shape[i]);
        if !same || block.dtype() != self.dtype || self.planes_seen + found[a] > self.shape[a] {
            return Err(Error::Usage(format!(
                "projection along {}: expected a part of {} {:?}, found {} {found:?}",
                self.axis,
                self.dtype,
                self.shape,
                block.dtype()
            )));
        }
        Layout::new(found, self.axis)
    }

    fn read(&self, handle: &Handle, cells: usize) -> Result<Vec<u32>> {
        let _span = span(Activity::Download, [0; 3]);
        let read = guarded(|| {
            let bytes = self.client.read_one(handle.clone()).map_err(|e| e.to_string())?;
            Ok::<_, String>(bytemuck::pod_collect_to_vec::<u8, u32>(&bytes))
        });
        let words = read.and_then(|r| r).map_err(|reason| self.failed(&reason))?;
        if words.len() != cells {
            let reason = format!("expected {cells} values back, found {}", words.len());
            return Err(self.failed(&reason));
        }
        Ok(words)
    }

    fn failed(&self, reason: &str) -> Error {
        let reason = reason.lines().next().unwrap_or_default().to_owned();
        Error::DeviceFailed { device: self.name.clone(), reason }
    }
}

fn encode<T: Ordered>(kind: ProjectionKind, values: &[T]) -> Vec<i32> {
    match kind {
        ProjectionKind::Min => values.iter().map(|v| !v.key_nan_lowest()).collect(),
        ProjectionKind::Max | ProjectionKind::Argmax => {
            values.iter().map(|v| v.key_nan_highest()).collect()
        }
        _ => values.iter().map(|v| v.word()).collect(),
    }
}

fn decode<T: Ordered>(kind: ProjectionKind, words: &[u32]) -> Vec<T> {
    let flip = if kind == ProjectionKind::Min { u32::MAX } else { 0 };
    words.iter().map(|&word| T::from_key((word ^ flip) as i32)).collect()
}

fn decode_planes(words: &[u32], planes: usize, shape: [usize; 3]) -> exavox_io::Result<Voxels> {
    if planes <= 1 << 16 {
        return Voxels::from_vec(shape, words.iter().map(|&word| word as u16).collect());
    }
    Voxels::from_vec(shape, words.to_vec())
}

fn decode_sums(
    kind: ProjectionKind,
    sign: char,
    words: &[u32],
    planes: usize,
    shape: [usize; 3],
) -> exavox_io::Result<Voxels> {
    let signed = sign == 'i';
    let sum = |word: u32| if signed { i64::from(word as i32) } else { i64::from(word) };
    match kind {
        ProjectionKind::Mean => {
            let mean = |&word: &u32| (sum(word) as f64 / planes as f64) as f32;
            Voxels::from_vec(shape, words.iter().map(mean).collect())
        }
        _ if signed => Voxels::from_vec(shape, words.iter().map(|&w| sum(w)).collect()),
        _ => Voxels::from_vec(shape, words.iter().map(|&w| u64::from(w)).collect()),
    }
}
