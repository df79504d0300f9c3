//! A pool of tiles that is full: it grows in the middle of an object, or there is no room for it to grow.

use std::sync::Arc;

use exavox_compute::ComputeDevice;
use exavox_compute::Result;
use exavox_compute::ffn::{
    Answer, DeviceNetwork, Inline, Network, ObjectKey, ObjectTiles, Residence, Segmentation,
    TileBits, TileIndex, TileValues, Weights, Which, Window,
};
use exavox_io::{DataType, Voxels};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::device_residence::{HostOnly, case, flooding, network};
use crate::golden::device;
use crate::residence::alone;
use crate::segmenter::{Case, assert_same};

/// Bytes of a slot of the pool, and as much again for what the pool was before.
const SLOT: u64 = 2 * 4 * 16 * 16 * 16;
/// Slots that a pool begins with.
const FIRST: usize = 256;

/// A network with a place for everything, and what was heard of it.
struct Watched {
    device: DeviceNetwork,
    /// Tiles of the largest object.
    tiles: usize,
    /// Steps that there was no room for.
    no_room: usize,
}

impl Residence for Watched {
    fn step(&mut self, windows: &mut [Window]) -> Result<()> {
        Residence::step(&mut self.device, windows)?;
        for window in windows {
            match &window.answer {
                Answer::Said(said) => self.tiles = self.tiles.max(said.tiles),
                Answer::NoRoom => self.no_room += 1,
                answer => panic!("{answer:?}"),
            }
        }
        Ok(())
    }
}

impl ObjectTiles for Watched {
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>> {
        self.device.inside(object, threshold)
    }

    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>> {
        self.device.read(object, which)
    }

    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool> {
        self.device.restore(object, tiles)
    }
}

impl Network for Watched {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        Network::step(&mut self.device, image, seed, logits)
    }

    fn residence(&mut self) -> Option<&mut dyn Residence> {
        Some(self)
    }

    fn device_name(&self) -> String {
        self.device.device_name()
    }
}

/// A network after which bright voxels join and dark ones leave, and nothing else.
fn strict() -> Weights {
    let mut weights = flooding(3);
    weights.update.weights[2..].fill(0.0);
    for (_, second) in &mut weights.modules {
        second.weights.fill(0.0);
        second.biases.fill(0.0);
    }
    weights
}

/// Bright lines along x where four tiles meet, each with a seed near its beginning.
fn lines(lines_z: &[usize], length: usize) -> Case {
    let shape = [lines_z.iter().max().unwrap() + 8, 24, length];
    let voxel = |n: usize| {
        let (z, y) = (n / (24 * length), n / length % 24);
        if y == 16 && lines_z.contains(&z) { 220_u8 } else { 40 }
    };
    let image = Voxels::from_vec(shape, (0..shape.iter().product()).map(voxel).collect()).unwrap();
    let seeds = lines_z.iter().map(|z| [*z, 16, 20]).collect();
    Case { image: Arc::new(image), seeds, ..Case::new([9; 3], 0, 0.0, 1) }
}

/// What is found with logits on the host.
fn on_the_host(case: &Case, weights: &Weights, device: &ComputeDevice) -> Segmentation {
    case.run(&mut Inline::new(&mut HostOnly(network(weights, device)), 1))
}

/// What is heard of a device with so many bytes, which finds the same.
fn watched(
    case: &Case,
    weights: &Weights,
    device: &ComputeDevice,
    room: Option<u64>,
    batch: usize,
    expected: &Segmentation,
) -> Watched {
    let device = network(weights, &device.clone().with_room(room));
    let mut watched = Watched { device, tiles: 0, no_room: 0 };
    let found = case.run(&mut Inline::new(&mut watched, batch));
    assert_same(&found, expected);
    watched
}

fn a_pool_grows_in_the_middle_of_an_object(spec: &str) {
    let Some(device) = device(spec) else { return };
    let (case, weights) = (lines(&[16], 1056), strict());
    let expected = on_the_host(&case, &weights, &device);
    assert_eq!(expected.origins.len(), 1);
    let whole = watched(&case, &weights, &device, None, 1, &expected);
    assert!(whole.tiles > FIRST && whole.no_room == 0, "{} tiles", whole.tiles);
}

#[test]
fn a_pool_grows_in_the_middle_of_an_object_on_cpu_jit() {
    a_pool_grows_in_the_middle_of_an_object("cpu-jit");
}

#[test]
fn a_pool_grows_in_the_middle_of_an_object_on_wgpu() {
    a_pool_grows_in_the_middle_of_an_object("wgpu");
}

/// The image, and slots for the tiles of a part of an object.
#[test]
fn an_object_that_finds_no_more_room_comes_back() {
    let Some(device) = device("cpu-jit") else { return };
    let (case, weights) = (lines(&[16], 300), strict());
    let expected = on_the_host(&case, &weights, &device);
    let image = case.image.len() as u64 + (4 << 8);
    for slots in [4, 9, 30] {
        let room = Some(image + slots * SLOT);
        let found = watched(&case, &weights, &device, room, 1, &expected);
        assert!(found.no_room == 1 && found.tiles > 0, "{slots} slots: {} tiles", found.tiles);
        assert!(found.tiles <= slots as usize, "{slots} slots: {} tiles", found.tiles);
    }
    // None for the first step, and none for the image.
    for room in [image + 3 * SLOT, image - 1, 0] {
        let found = watched(&case, &weights, &device, Some(room), 1, &expected);
        assert_eq!((found.no_room, found.tiles), (1, 0), "{room} bytes");
    }
}

/// The first object has room once the others have gone.
#[test]
fn objects_of_later_seeds_make_room() {
    let Some(device) = device("cpu-jit") else { return };
    let (case, weights) = (lines(&[16, 32, 48], 200), strict());
    let expected = on_the_host(&case, &weights, &device);
    assert_eq!(expected.origins.len(), 3);
    let alone = watched(&case, &weights, &device, None, 1, &expected).tiles as u64;
    let room = case.image.len() as u64 + (4 << 8) + (alone + 3) * SLOT;
    let found = watched(&case, &weights, &device, Some(room), 3, &expected);
    assert!(found.no_room > 0 && found.tiles as u64 == alone, "{} without room", found.no_room);
}

#[test]
fn any_room_gives_the_same() {
    let Some(device) = device("cpu-jit") else { return };
    let rooms = prop_oneof![0u64..4 << 10, 0u64..300 << 10, Just(500 << 10)];
    let dtypes = prop::sample::select(vec![DataType::U8, DataType::U16, DataType::F32]);
    let cases = ([9usize..20, 9usize..24, 12usize..36], 1usize..6, dtypes, rooms, 1usize..6);
    let mut runner = TestRunner::new(Config { cases: 10, ..Config::default() });
    let test = |((shape, seeds, dtype, room, batch), seed): (_, u64)| {
        let (case, weights): (Case, _) = (case(shape, seeds, 0.0, dtype, seed), flooding(seed));
        let expected = on_the_host(&case, &weights, &device);
        watched(&case, &weights, &device, Some(room), batch, &expected);
        Ok(())
    };
    runner.run(&(cases, any::<u64>()), test).unwrap();
}

/// As `agglomerate` floods.
#[test]
fn an_object_alone_is_the_same_on_a_device_with_room_and_without() {
    let Some(device) = device("cpu-jit") else { return };
    let weights = flooding(3);
    for (n, room) in [None, Some(100 << 10), Some(10)].into_iter().enumerate() {
        let case = case([12, 24, 33], 1, 0.0, DataType::U8, 5 + n as u64);
        let expected = alone(&case, [6, 12, 16], &mut HostOnly(network(&weights, &device)));
        assert!(!expected.1.is_empty());
        let mut there = network(&weights, &device.clone().with_room(room));
        assert!(alone(&case, [6, 12, 16], &mut there) == expected, "{room:?}");
    }
}
