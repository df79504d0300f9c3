//! Objects whose logits stay where the network is are what they are with logits on this side: rules,
//! faults, checkpoints. The place is a map of voxels for each object here; `device_residence` has devices.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Weak};

use exavox_compute::ffn::{
    Answer, Canvas, Everywhere, Executor, ExecutorOptions, FallbackNetwork, FloodEvent, Inline,
    Network, ObjectKey, ObjectTiles, Residence, Said, TileBits, TileIndex, TileValues, Which,
    Window, face_maxima, flood_object,
};
use exavox_compute::{Error, Result};
use proptest::prelude::*;

use crate::segmenter::{CONFIG, Case, Fake, Kind, assert_same, kinds};

const EDGE: usize = 16;

/// Logits of objects voxel by voxel, around any network.
pub(crate) struct Maps<N> {
    pub(crate) network: N,
    objects: HashMap<u64, Map>,
    /// Tiles that there is room for.
    room: usize,
    /// Calls at which all objects are lost.
    loses_at: HashSet<usize>,
    /// The call at which the device fails.
    fails_at: Option<usize>,
    calls: usize,
}

struct Map {
    key: Weak<u64>,
    logits: HashMap<[usize; 3], f32>,
    tiles: BTreeSet<TileIndex>,
    changed: BTreeSet<TileIndex>,
}

impl<N> Maps<N> {
    pub(crate) fn new(network: N) -> Self {
        let (objects, loses_at) = (HashMap::new(), HashSet::new());
        Self { network, objects, room: usize::MAX, loses_at, fails_at: None, calls: 0 }
    }

    /// Whether the call is one at which something happens.
    fn call(&mut self) -> Result<bool> {
        self.calls += 1;
        let fails = self.fails_at == Some(self.calls);
        let loses = fails || self.loses_at.contains(&self.calls);
        if loses {
            self.objects.clear();
        }
        if fails {
            let reason = "lost".to_owned();
            return Err(Error::DeviceFailed { device: "maps".into(), reason });
        }
        Ok(loses)
    }

    fn tiles(&self) -> usize {
        self.objects.values().map(|object| object.tiles.len()).sum()
    }
}

impl Map {
    fn new(key: &ObjectKey) -> Self {
        let (tiles, changed) = (BTreeSet::new(), BTreeSet::new());
        Self { key: key.watch(), logits: HashMap::new(), tiles, changed }
    }

    fn at(&self, position: [usize; 3]) -> f32 {
        self.logits.get(&position).copied().unwrap_or(f32::NAN)
    }

    fn values(&self, tile: TileIndex) -> Vec<f32> {
        voxels(tile).map(|position| self.at(position)).collect()
    }
}

/// Voxels of a tile.
fn voxels(tile: TileIndex) -> impl Iterator<Item = [usize; 3]> {
    positions(tile.map(|t| t as usize * EDGE), [EDGE; 3])
}

/// Voxels of a window, in C order.
fn positions(start: [usize; 3], fov: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..fov.iter().product()).map(move |i: usize| {
        let at = [i / (fov[1] * fov[2]), i / fov[2] % fov[1], i % fov[2]];
        [0, 1, 2].map(|a| start[a] + at[a])
    })
}

fn tile_of(position: [usize; 3]) -> TileIndex {
    position.map(|p| (p / EDGE) as u32)
}

impl<N: Network> Maps<N> {
    fn answer(&mut self, window: &Window) -> Result<Answer> {
        let (canvas, number) = (&window.canvas, window.object.number());
        let (fov, options) = (canvas.model.fov_zyx, canvas.options);
        if window.seed.is_none() && !self.objects.contains_key(&number) {
            return Ok(Answer::Lost);
        }
        let touched: BTreeSet<_> = positions(window.start, fov).map(tile_of).collect();
        let has = |tile: &&TileIndex| {
            self.objects.get(&number).is_some_and(|object| object.tiles.contains(*tile))
        };
        let new = touched.len() - touched.iter().filter(has).count();
        if self.tiles() + new > self.room {
            return Ok(Answer::NoRoom);
        }
        let object = self.objects.entry(number).or_insert_with(|| Map::new(&window.object));
        object.tiles.extend(&touched);
        object.changed.extend(&touched);
        if let Some(logit) = window.seed {
            let centre = [0, 1, 2].map(|a| window.start[a] + fov[a] / 2);
            object.logits.insert(centre, logit);
        }
        let places: Vec<[usize; 3]> = positions(window.start, fov).collect();
        let (all, shape) = (canvas.voxels.to_f32(), canvas.voxels.shape());
        let voxel = |[z, y, x]: &[usize; 3]| all[(z * shape[1] + y) * shape[2] + x];
        let normal = |p| (voxel(p) - options.image_mean) / options.image_stddev;
        let image: Vec<f32> = places.iter().map(normal).collect();
        let logit = |p: f32| (f64::from(p) / (1.0 - f64::from(p))).ln() as f32;
        let pad = logit(options.pad_value);
        let padded = |p: &[usize; 3]| Some(object.at(*p)).filter(|l| !l.is_nan()).unwrap_or(pad);
        let seed: Vec<f32> = places.iter().map(padded).collect();
        let mut new = vec![0.0; places.len()];
        self.network.step(&image, &seed, &mut new)?;
        let inside = new.iter().filter(|l| **l >= logit(options.move_threshold)).count() as f64;
        let said = new.iter().filter(|l| !l.is_nan()).count() as f64;
        let share = options.disco_seed_threshold;
        let keeps = share >= 0.0 && inside / said > f64::from(share);
        let mut deleted = 0;
        for (new, place) in new.iter_mut().zip(&places).filter(|(new, _)| !new.is_nan()) {
            let old = object.at(*place);
            deleted += u32::from(old >= logit(0.8) && *new < 0.0);
            if keeps && old < 0.0 && *new > old {
                *new = old;
            }
            object.logits.insert(*place, *new);
        }
        let faces = face_maxima(&new, fov, canvas.model.deltas_zyx, f64::NEG_INFINITY);
        let probes = window.probes.iter().map(|p| object.at(*p)).collect();
        Ok(Answer::Said(Said { deleted, faces, probes, tiles: object.tiles.len() }))
    }
}

impl<N: Network> Residence for Maps<N> {
    fn step(&mut self, windows: &mut [Window]) -> Result<()> {
        self.objects.retain(|_, object| object.key.strong_count() > 0);
        let lost = self.call()?;
        for window in windows {
            window.answer = if lost { Answer::Lost } else { self.answer(window)? };
        }
        Ok(())
    }
}

impl<N: Network> ObjectTiles for Maps<N> {
    fn inside(
        &mut self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>> {
        self.call()?;
        let Some(object) = self.objects.get(&object.number()) else { return Ok(None) };
        let bits = |tile: &TileIndex| {
            let mut bits = [0; 64];
            for (i, value) in object.values(*tile).into_iter().enumerate() {
                bits[i / 64] |= u64::from(value >= threshold) << (i % 64);
            }
            (*tile, bits)
        };
        let some = |(_, bits): &(TileIndex, TileBits)| bits.iter().any(|word| *word != 0);
        Ok(Some(object.tiles.iter().map(bits).filter(some).collect()))
    }

    fn read(&mut self, object: &ObjectKey, which: Which) -> Result<Option<Vec<TileValues>>> {
        self.call()?;
        let Some(object) = self.objects.get_mut(&object.number()) else { return Ok(None) };
        let wanted = match which {
            Which::All => object.tiles.clone(),
            Which::Changed => std::mem::take(&mut object.changed),
        };
        Ok(Some(wanted.into_iter().map(|tile| (tile, object.values(tile))).collect()))
    }

    fn restore(&mut self, object: &ObjectKey, tiles: Vec<TileValues>) -> Result<bool> {
        self.call()?;
        if self.tiles() + tiles.len() > self.room {
            return Ok(false);
        }
        let mut map = Map::new(object);
        for (tile, values) in tiles {
            map.tiles.insert(tile);
            map.logits.extend(voxels(tile).zip(values));
        }
        self.objects.insert(object.number(), map);
        Ok(true)
    }
}

impl<N: Network> Network for Maps<N> {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        self.network.step(image, seed, logits)
    }

    fn residence(&mut self) -> Option<&mut dyn Residence> {
        Some(self)
    }

    fn device_name(&self) -> String {
        "maps".into()
    }
}

/// An object alone, with all that can be compared of it.
pub(crate) fn alone(
    case: &Case,
    seed: [usize; 3],
    network: &mut dyn Network,
) -> (bool, History, Vec<u32>) {
    let canvas = Canvas::new(Arc::clone(&case.image), CONFIG, case.options).unwrap();
    let found = flood_object(&canvas, seed, network, &Everywhere).unwrap();
    assert_eq!(found.steps, found.history.len() as u64);
    let logits = found.logits.read([0; 3], case.image.shape());
    let bits = logits.iter().map(|v| if v.is_nan() { 0 } else { v.to_bits() });
    (found.seed_got_too_weak, found.history, bits.collect())
}

pub(crate) type History = Vec<([usize; 3], u32)>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn an_object_alone_is_the_same_with_logits_elsewhere(
        kind in kinds(), shape in [9usize..24, 9usize..30, 12usize..40], loses_at in faults(),
        disco in prop::sample::select(vec![-1.0f32, 0.0, 0.3]), fails in any::<bool>(),
        room in prop::sample::select(vec![0, 2, 6, 20, usize::MAX]), seed in any::<u64>(),
    ) {
        let case = Case::new(shape, 1, disco, seed);
        let expected = alone(&case, case.seeds[0], &mut Fake::new(kind));
        let fails_at = fails.then_some(1 + (seed % 40) as usize);
        let first = Maps { room, loses_at, fails_at, ..Maps::new(Fake::new(kind)) };
        let other = move || Ok(Box::new(Fake::new(kind)) as Box<dyn Network>);
        let mut network = FallbackNetwork::new(Box::new(first), Some(Box::new(other)), |_| {});
        prop_assert_eq!(alone(&case, case.seeds[0], &mut network), expected);
    }
}

/// Something happens at some of the first calls.
fn faults() -> impl Strategy<Value = HashSet<usize>> {
    prop::collection::hash_set(1usize..60, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn logits_elsewhere_give_the_same(
        kind in kinds(), shape in [9usize..30, 9usize..40, 12usize..60], seeds in 0usize..50,
        disco in prop::sample::select(vec![-1.0f32, 0.0, 0.3]), batch in 1usize..9,
        room in prop::sample::select(vec![0, 2, 6, 20, usize::MAX]), loses_at in faults(),
        seed in any::<u64>(),
    ) {
        let case = Case { places: seed % 2 == 1, ..Case::new(shape, seeds, disco, seed) };
        let expected = case.one_by_one(kind);
        let keeps = seed % 3 == 0;
        let case = Case { keeps_probabilities: keeps, ..case };
        let mut network = Maps { room, loses_at, ..Maps::new(Fake::new(kind)) };
        let mut found = case.run(&mut Inline::new(&mut network, batch));
        if !keeps {
            found.probabilities = expected.probabilities.clone();
        }
        assert_same(&found, &expected);
        let computed = found.counters.fov_steps + found.wasted_steps;
        prop_assert!(network.network.steps as u64 <= computed);
    }

    #[test]
    fn what_is_saved_of_logits_elsewhere_is_gone_on_with_anywhere(
        kind in kinds(), shape in [9usize..24, 9usize..30, 12usize..40], seeds in 1usize..40,
        batch in 1usize..5, every in 3usize..40, loses_at in faults(), seed in any::<u64>(),
        room in prop::sample::select(vec![0, 6, 20, usize::MAX]),
    ) {
        let case = Case { places: seed % 2 == 1, ..Case::new(shape, seeds, 0.0, seed) };
        let expected = case.one_by_one(kind);
        let mut here = Fake::new(kind);
        let mut there = Maps { room, loses_at, ..Maps::new(Fake::new(kind)) };
        let mut segmenter = case.segmenter().noting_changes();
        let mut saved: Vec<Vec<u8>> = Vec::new();
        for life in 0.. {
            // Every third life has its logits on this side.
            let network: &mut dyn Network = if life % 3 == 2 { &mut here } else { &mut there };
            let mut steps = Inline::new(network, batch);
            let more = (0..every).all(|_| segmenter.advance(&mut steps, &mut |_| {}).unwrap());
            if !more {
                break;
            }
            saved.push(segmenter.take_changes(&mut steps, &mut |_| {}).unwrap());
            if saved.len().is_multiple_of(2) {
                let more = segmenter.advance(&mut steps, &mut |_| {}).unwrap();
                prop_assert!(more || segmenter.num_settled() == segmenter.num_seeds());
            }
            segmenter = case.segmenter().noting_changes();
            for changes in &saved {
                segmenter.apply_changes(changes).unwrap();
            }
        }
        assert_same(&segmenter.finish(), &expected);
    }
}

/// Runs a case, saving after each step; how many seeds were settled meanwhile. All of them are told of.
fn settled_while_saved(case: &Case, kind: Kind, batch: usize) -> usize {
    let mut network = Maps::new(Fake::new(kind));
    let mut steps = Inline::new(&mut network, batch);
    let mut segmenter = case.segmenter().noting_changes();
    let (mut segments, mut seeds, mut last_step, mut while_saved) = (Vec::new(), 0, 0, 0);
    let mut watch = |event: FloodEvent<'_>| match event {
        FloodEvent::Segment(origin) => segments.push(origin.id),
        FloodEvent::Seed { .. } => seeds += 1,
        FloodEvent::Step { steps } => {
            assert_eq!(steps, last_step + 1);
            last_step = steps;
        }
    };
    while segmenter.advance(&mut steps, &mut watch).unwrap() {
        let before = segmenter.num_settled();
        segmenter.take_changes(&mut steps, &mut watch).unwrap();
        while_saved += segmenter.num_settled() - before;
    }
    assert_eq!(seeds, segmenter.num_seeds());
    let origins: Vec<u32> = segmenter.finish().origins.iter().map(|origin| origin.id).collect();
    assert_eq!(segments, origins);
    while_saved
}

#[test]
fn what_is_settled_while_it_is_saved_is_told_of() {
    let mut all = 0;
    for seed in 0..24 {
        let case = Case::new([16, 24, 40], 40, 0.0, seed);
        for kind in [Kind::Bright, Kind::Fickle] {
            all += settled_while_saved(&case, kind, 2 + seed as usize % 7);
        }
    }
    assert!(all > 0);
}

/// The device fails for good at one call or another: objects begin again on the CPU, with one warning.
#[test]
fn a_device_that_is_lost_loses_logits_but_not_labels() {
    let case = Case::new([20, 24, 40], 40, 0.0, 3);
    let expected = case.one_by_one(Kind::Fickle);
    for batch in [1, 4] {
        for fails_at in [1, 2, 5, 11, 30, 61] {
            let first = Maps { fails_at: Some(fails_at), ..Maps::new(Fake::new(Kind::Fickle)) };
            let mut warnings = Vec::new();
            let mut network = FallbackNetwork::new(
                Box::new(first),
                Some(Box::new(|| Ok(Box::new(Fake::new(Kind::Fickle)) as Box<dyn Network>))),
                |text| warnings.push(text.to_owned()),
            );
            let found = case.run(&mut Inline::new(&mut network, batch));
            assert_same(&found, &expected);
            assert_eq!(network.device_name(), "fake");
            drop(network);
            let text = "device maps failed: lost; objects under way begin again on the CPU, \
                and the run goes on there";
            assert_eq!(warnings, [text]);
        }
    }
}

/// Without anything that takes over it is an error.
#[test]
fn a_device_that_is_lost_for_good_ends_the_run() {
    let case = Case::new([20, 24, 40], 40, 0.0, 3);
    let mut network = Maps { fails_at: Some(4), ..Maps::new(Fake::new(Kind::Bright)) };
    let mut steps = Inline::new(&mut network, 2);
    let mut segmenter = case.segmenter();
    let error = loop {
        if let Err(error) = segmenter.advance(&mut steps, &mut |_| {}) {
            break error;
        }
    };
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
}

/// Many canvases on one executor: questions and steps of one beside those of the others.
#[test]
fn canvases_share_an_executor_and_its_room() {
    let cases: Vec<Case> =
        (0..5).map(|i| Case::new([20, 24, 30 + 3 * i], 30, 0.0, i as u64)).collect();
    for (room, batch) in [(usize::MAX, None), (usize::MAX, Some(6)), (30, Some(6)), (3, None)] {
        let make = move |_| -> Result<Box<dyn Network>> {
            let loses_at = HashSet::from([20, 50]);
            Ok(Box::new(Maps { room, loses_at, ..Maps::new(Fake::new(Kind::Bright)) }))
        };
        let options = ExecutorOptions::new(1).with_batch(batch);
        let executor = Executor::start(options, make).unwrap();
        std::thread::scope(|scope| {
            for case in &cases {
                let mut client = executor.client();
                scope.spawn(move || {
                    assert_same(&case.run(&mut client), &case.one_by_one(Kind::Bright));
                });
            }
        });
    }
}
