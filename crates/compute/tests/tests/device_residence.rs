//! Images and logits on a device: every answer against the rules as they are written, every segmentation
//! against the same network with logits on this side.

use std::sync::Arc;

use exavox_compute::ffn::{
    Answer, DeviceNetwork, Executor, ExecutorOptions, Inline, Network, ObjectKey, ObjectTiles,
    Residence, Segmentation, TileBits, TileIndex, TileValues, Weights, Which, Window,
};
use exavox_compute::{ComputeDevice, Precision, Result};
use exavox_io::{DataType, Voxels};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::golden::device;
use crate::network::weights;
use crate::residence::Maps;
use crate::segmenter::{CONFIG, Case, assert_same};

/// A network after which bright voxels join, dark ones leave, and some do as they like.
pub(crate) fn flooding(seed: u64) -> Weights {
    let mut weights = weights(2, 5, seed);
    let (first, second) = &mut weights.first;
    for (channel, sign) in [(0, 1.0), (1, -1.0)] {
        for (tap, weight) in first.weights.iter_mut().enumerate().filter(|(i, _)| i % 5 == channel)
        {
            // The image of the voxel itself, of two inputs and five outputs.
            *weight = if tap == 13 * 10 + channel { sign } else { 0.0 };
        }
        for (tap, weight) in second.weights.iter_mut().enumerate().filter(|(i, _)| i % 5 == channel)
        {
            *weight = if tap == 13 * 25 + channel * 5 + channel { 1.0 } else { 0.0 };
        }
        first.biases[channel] = 0.0;
        second.biases[channel] = 0.0;
    }
    weights.update.weights[..2].copy_from_slice(&[3.0, -3.0]);
    weights
}

pub(crate) fn network(weights: &Weights, device: &ComputeDevice) -> DeviceNetwork {
    DeviceNetwork::new(weights, &CONFIG, device, Precision::Exact).unwrap()
}

/// The network without a place for anything.
pub(crate) struct HostOnly(pub(crate) DeviceNetwork);

impl Network for HostOnly {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        Network::step(&mut self.0, image, seed, logits)
    }

    fn device_name(&self) -> String {
        self.0.device_name()
    }
}

/// Both ways at once: whatever one says, the other has to say.
struct Both {
    device: DeviceNetwork,
    maps: Maps<HostOnly>,
    windows: usize,
    deleted: u64,
}

impl Both {
    fn new(weights: &Weights, device: &ComputeDevice) -> Self {
        let maps = Maps::new(HostOnly(network(weights, device)));
        Self { device: network(weights, device), maps, windows: 0, deleted: 0 }
    }
}

/// Maxima of faces as bits, and their offsets.
type Faces = Vec<(u32, [i64; 3])>;

/// An answer as numbers that can be compared bit by bit, faces in one order.
fn bits(answer: &Answer) -> (u32, Faces, Vec<u32>, usize) {
    let Answer::Said(said) = answer else { panic!("{answer:?}") };
    let mut faces: Faces = said.faces.iter().map(|(v, offset)| (v.to_bits(), *offset)).collect();
    faces.sort_unstable();
    faces.dedup();
    (said.deleted, faces, said.probes.iter().map(|v| v.to_bits()).collect(), said.tiles)
}

impl Residence for Both {
    fn step(&mut self, windows: &mut [Window]) -> Result<()> {
        let mut naive = windows.to_vec();
        Residence::step(&mut self.device, windows)?;
        Residence::step(&mut self.maps, &mut naive)?;
        self.windows += windows.len();
        for (found, expected) in windows.iter().zip(&naive) {
            let found_bits = bits(&found.answer);
            assert_eq!(found_bits, bits(&expected.answer), "at {:?}", found.start);
            self.deleted += u64::from(found_bits.0);
        }
        Ok(())
    }
}

impl ObjectTiles for Both {
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>> {
        let mut found = self.device.inside(object, threshold)?;
        found.as_mut().unwrap().sort_unstable();
        assert!(found == self.maps.inside(object, threshold)?, "bits differ");
        Ok(found)
    }

    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>> {
        let mut found = self.device.read(object, which)?.unwrap();
        found.sort_unstable_by_key(|(tile, _)| *tile);
        let expected = self.maps.read(object, which)?.unwrap();
        assert_eq!(found.len(), expected.len());
        for ((a, found), (b, expected)) in found.iter().zip(&expected) {
            let same =
                |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(a == b && found.iter().zip(expected).all(same), "tile {a:?} differs");
        }
        Ok(Some(found))
    }

    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool> {
        assert!(self.maps.restore(object, tiles.clone())?);
        self.device.restore(object, tiles)
    }
}

impl Network for Both {
    fn step(&mut self, _: &[f32], _: &[f32], _: &mut [f32]) -> Result<()> {
        panic!("there is room")
    }

    fn residence(&mut self) -> Option<&mut dyn Residence> {
        Some(self)
    }

    fn device_name(&self) -> String {
        "both".into()
    }
}

/// The same voxels as another type; half of those that can be are below 0.
fn as_type(image: &Voxels, dtype: DataType) -> Voxels {
    let values = || image.to_f32().into_iter();
    let shape = image.shape();
    match dtype {
        DataType::I8 => Voxels::from_vec(shape, values().map(|v| (v - 128.0) as i8).collect()),
        DataType::U16 => Voxels::from_vec(shape, values().map(|v| v as u16 * 3).collect()),
        DataType::I16 => Voxels::from_vec(shape, values().map(|v| v as i16 - 128).collect()),
        DataType::U32 => Voxels::from_vec(shape, values().map(|v| v as u32).collect()),
        DataType::F32 => Voxels::from_vec(shape, values().map(|v| v / 3.0).collect()),
        DataType::F64 => Voxels::from_vec(shape, values().map(|v| f64::from(v) / 3.0).collect()),
        _ => Voxels::from_vec(shape, values().map(|v| v as u8).collect()),
    }
    .unwrap()
}

pub(crate) fn case(
    shape: [usize; 3],
    seeds: usize,
    disco: f32,
    dtype: DataType,
    seed: u64,
) -> Case {
    let mut case = Case::new(shape, seeds, disco, seed);
    (case.places, case.keeps_probabilities) = (seed % 2 == 1, seed % 3 == 1);
    case.options.image_mean = match dtype {
        DataType::I8 | DataType::I16 => 0.0,
        DataType::U16 => 384.0,
        DataType::F32 | DataType::F64 => 42.0,
        _ => 128.0,
    };
    case.options.image_stddev = if dtype == DataType::U16 { 99.0 } else { 33.3 };
    case.image = Arc::new(as_type(&case.image, dtype));
    case
}

/// Saves and goes on in another segmenter, from time to time.
fn run_in_pieces(case: &Case, network: &mut dyn Network, batch: usize) -> Segmentation {
    let mut saved: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut segmenter = case.segmenter().noting_changes();
        for changes in &saved {
            segmenter.apply_changes(changes).unwrap();
        }
        let mut steps = Inline::new(network, batch);
        if !(0..40).all(|_| segmenter.advance(&mut steps, &mut |_| {}).unwrap()) {
            return segmenter.finish();
        }
        saved.push(segmenter.take_changes(&mut steps, &mut |_| {}).unwrap());
    }
}

/// Each device compiles its kernels once for all cases.
fn check_on(spec: &str, count: u32) {
    let Some(device) = device(spec) else { return };
    let dtypes = prop::sample::select(vec![
        DataType::U8,
        DataType::U8,
        DataType::I8,
        DataType::U16,
        DataType::I16,
        DataType::U32,
        DataType::F32,
        DataType::F64,
    ]);
    let shapes = [9usize..20, 9usize..24, 12usize..36];
    let discos = prop::sample::select(vec![-1.0f32, 0.0, 0.3, 1.0]);
    let cases = (shapes, 1usize..6, discos, dtypes, 1usize..9, any::<u64>());
    let mut runner = TestRunner::new(Config { cases: count, ..Config::default() });
    let test = |(shape, seeds, disco, dtype, batch, seed)| {
        check(&device, &case(shape, seeds, disco, dtype, seed), &flooding(seed), batch);
        Ok(())
    };
    runner.run(&cases, test).unwrap();
}

/// The case both ways, whole and in pieces; how many steps there were, and voxels that were deleted.
fn check(device: &ComputeDevice, case: &Case, weights: &Weights, batch: usize) -> (usize, u64) {
    let mut here = HostOnly(network(weights, device));
    let expected = case.run(&mut Inline::new(&mut here, 1));
    let mut both = Both::new(weights, device);
    let found = case.run(&mut Inline::new(&mut both, batch));
    assert_same(&found, &expected);
    let counts = (both.windows, both.deleted);
    assert_same(&run_in_pieces(case, &mut both, batch), &expected);
    counts
}

/// Where the network overflows, it says nothing or too much; that is the same, too.
#[test]
fn a_network_that_overflows_is_the_same_on_both_sides() {
    let Some(device) = device("cpu-jit") else { return };
    let case = case([12, 24, 33], 12, 0.0, DataType::U8, 5);
    let mut weights = flooding(5);
    let (steps, deleted) = check(&device, &case, &weights, 3);
    assert!(steps > 20 && deleted > 0, "{steps} steps, {deleted} deleted");
    weights.update.weights[..2].copy_from_slice(&[3e38, -3e38]);
    let (steps, _) = check(&device, &case, &weights, 3);
    assert!(steps > 5, "{steps} steps");
}

#[test]
fn logits_on_cpu_jit_are_those_on_this_side() {
    check_on("cpu-jit", 8);
}

#[test]
fn logits_on_wgpu_are_those_on_this_side() {
    check_on("wgpu", 2);
}

#[test]
fn logits_on_cuda_are_those_on_this_side() {
    check_on("cuda", 40);
}

/// Several canvases of different types on one device, in common batches.
#[test]
fn canvases_share_a_device() {
    let Some(device) = device("cpu-jit") else { return };
    // Enough; all images and a few tiles; not even all images.
    for room in [None, Some(420 << 10), Some(280 << 10)] {
        canvases_share(&device.clone().with_room(room));
    }
}

fn canvases_share(device: &ComputeDevice) {
    let dtypes = [DataType::U8, DataType::F32, DataType::U16];
    let cases: Vec<Case> =
        dtypes.iter().zip(1..).map(|(d, i)| case([9, 18, 27], 4, 0.0, *d, i)).collect();
    let weights = Arc::new(flooding(5));
    let (for_executor, on) = (Arc::clone(&weights), device.clone());
    let make = move |_| -> Result<Box<dyn Network>> { Ok(Box::new(network(&for_executor, &on))) };
    let options = ExecutorOptions::new(1).with_batch(Some(5));
    let executor = Executor::start(options, make).unwrap();
    let mut steps = 0;
    std::thread::scope(|scope| {
        let run = |case| {
            let mut client = executor.client();
            scope.spawn(move || Case::run(case, &mut client))
        };
        let runs: Vec<_> = cases.iter().map(run).collect();
        for (case, run) in cases.iter().zip(runs) {
            let mut here = HostOnly(network(&weights, device));
            let expected = case.run(&mut Inline::new(&mut here, 1));
            assert_same(&run.join().unwrap(), &expected);
            steps += expected.counters.fov_steps;
        }
    });
    assert!(steps > 20, "{steps} steps");
}
