//! Which kernel, cut how: tried on the device once, kept for later runs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cubecl::client::Client;
use cubecl::future::block_on;
use cubecl::ir::FloatKind;

use super::matrix_units::{self, Fragments};
use super::rows::{self, Run};
use super::tiles::{self, Tiling};
use super::{Buffers, ConvShape, Fusions};
use crate::precision::Precision;

mod record;

/// A kernel and how it cuts the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Rows(Run),
    Tiles(Tiling),
    Fragments(Fragments, FloatKind),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(run) => write!(f, "rows {}", run.sums),
            Self::Tiles(t) => {
                write!(f, "tiles {}x{} {}x{}", t.units[0], t.units[1], t.positions, t.vectors)
            }
            Self::Fragments(p, kind) => {
                write!(f, "{kind:?} {}x{}x{}x{}", p.planes, p.positions, p.channels, p.depth)
            }
        }
    }
}

impl Method {
    pub(super) fn launch(
        &self,
        client: &Client,
        buffers: Buffers<'_>,
        shape: ConvShape,
        fusions: Fusions,
    ) {
        match *self {
            Self::Rows(run) => rows::launch(client, buffers, shape, fusions, run),
            Self::Tiles(tiling) => tiles::launch(client, buffers, shape, fusions, tiling),
            Self::Fragments(fragments, operand) => {
                matrix_units::launch(client, buffers, shape, fusions, fragments, operand);
            }
        }
    }

    /// Whether the device has the units and the shared memory.
    fn fits(&self, client: &Client, shape: &ConvShape) -> bool {
        let hardware = &client.properties().hardware;
        let plane = hardware.plane_size_max as usize;
        let (units, shared) = match self {
            Self::Rows(_) => return true,
            Self::Tiles(tiling) => {
                let plan = tiling.plan(shape, Fusions::default());
                (plan.units, plan.shared_bytes(4))
            }
            Self::Fragments(fragments, _) => {
                let plan = fragments.plan(shape, Fusions::default(), plane);
                (plan.units, fragments.shared_bytes(&plan))
            }
        };
        units <= hardware.max_units_per_cube as usize && shared <= hardware.max_shared_memory_size
    }
}

const TILINGS: [Tiling; 4] = [
    Tiling { units: [32, 4], positions: 8, vectors: 2 },
    Tiling { units: [16, 4], positions: 8, vectors: 2 },
    Tiling { units: [16, 8], positions: 8, vectors: 1 },
    Tiling { units: [16, 8], positions: 4, vectors: 1 },
];

const FRAGMENTS: [Fragments; 4] = [
    Fragments { planes: 8, positions: 1, channels: 2, depth: 2 },
    Fragments { planes: 4, positions: 2, channels: 2, depth: 2 },
    Fragments { planes: 4, positions: 1, channels: 2, depth: 2 },
    Fragments { planes: 8, positions: 2, channels: 2, depth: 1 },
];

/// What can be tried on a device; never empty, the likely best first.
pub(super) fn candidates(client: &Client, shape: &ConvShape, precision: Precision) -> Vec<Method> {
    let hardware = &client.properties().hardware;
    if hardware.num_cpu_cores.is_some() {
        return vec![Method::Rows(Run::of_cpu(hardware))];
    }
    let mut methods = Vec::new();
    if let (Precision::Fast, Some(kind)) = (precision, matrix_units::operand(client)) {
        methods.extend(FRAGMENTS.map(|fragments| Method::Fragments(fragments, kind)));
    }
    methods.extend(TILINGS.map(Method::Tiles));
    methods.retain(|method| method.fits(client, shape));
    methods.push(Method::Rows(Run { sums: 8 }));
    methods
}

/// Everything the best method depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    device: String,
    kernel: [usize; 3],
    channels: [usize; 2],
    /// Voxels, rounded up to a power of two.
    voxels: usize,
    precision: Precision,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, kernel, channels, voxels, precision } = self;
        write!(f, "{device} {kernel:?} {channels:?} {voxels} {precision:?}")
    }
}

static CHOSEN: LazyLock<Mutex<HashMap<Key, Method>>> = LazyLock::new(Mutex::default);

/// The method for this convolution: of this process, of an earlier run, or tried now. `buffers` are
/// only read.
pub(super) fn choose(
    client: &Client,
    buffers: Buffers<'_>,
    shape: &ConvShape,
    fusions: Fusions,
    precision: Precision,
) -> Method {
    let methods = candidates(client, shape, precision);
    let identity = &client.properties().identity;
    // What is no card is a CPU under another name: the simplest kernel is the best there, and trying
    // the others would take longer than they could ever save.
    if methods.len() == 1 || identity.physical.is_none() {
        return methods[methods.len() - 1];
    }
    let key = Key {
        device: format!("{} {}", identity.name, identity.fingerprint),
        kernel: shape.kernel,
        channels: [shape.inputs, shape.outputs],
        voxels: shape.voxels().next_power_of_two(),
        precision,
    };
    let mut chosen = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    *chosen.entry(key).or_insert_with_key(|key| {
        let name = key.to_string();
        let kept = record::read(&name);
        let known = methods.iter().find(|method| kept.as_ref() == Some(&method.to_string()));
        known.copied().unwrap_or_else(|| {
            let best = fastest(client, buffers, *shape, fusions, &methods);
            record::write(&name, &best.to_string());
            best
        })
    })
}

/// The method that takes the least time; those that the device refuses are out. The first if it
/// refuses all: its error comes out when the result is read.
pub(super) fn fastest(
    client: &Client,
    buffers: Buffers<'_>,
    shape: ConvShape,
    fusions: Fusions,
    methods: &[Method],
) -> Method {
    let time = |method: &Method| {
        // A buffer of its own: one that a refused kernel should have written stays unreadable. CubeCL
        // counts those as written too that a kernel may do without.
        let output = client.empty(shape.output_len() * 4);
        let buffers = Buffers { output: &output, mask: None, residual: None, ..buffers };
        let run = || {
            let started = Instant::now();
            method.launch(client, buffers, shape, fusions);
            block_on(client.sync_buffers([&output])).ok().map(|()| started.elapsed())
        };
        // The first compiles.
        run()?;
        (0..3).map(|_| run()).try_fold(Duration::MAX, |best, time| Some(best.min(time?)))
    };
    let timed = methods.iter().filter_map(|method| Some((time(method)?, method)));
    timed.min_by_key(|(time, _)| *time).map_or(methods[0], |(_, method)| *method)
}
