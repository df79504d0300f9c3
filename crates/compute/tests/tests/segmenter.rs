//! Many objects at a time give what one after the other gives, whatever is computed when.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use exavox_compute::ffn::{
    Canvas, Everywhere, Executor, ExecutorOptions, Executors, Fov, InferenceOptions, Inline,
    ModelConfig, Network, Restrict, Segmentation, Segmenter, Steps, flood_object, quantise,
};
use exavox_compute::{Error, Result};
use exavox_io::Voxels;
use proptest::prelude::*;

pub(crate) const CONFIG: ModelConfig = ModelConfig { fov_zyx: [7, 5, 9], deltas_zyx: [2, 1, 3] };

/// What a network says, as a function of what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bright voxels beside the object join it.
    Bright,
    /// Everything joins: all objects collide.
    Greedy,
    /// Votes of all that is seen, so that objects grow and shrink, and seeds become too weak.
    Fickle,
}

pub(crate) struct Fake {
    kind: Kind,
    pub(crate) steps: usize,
    /// Fails at this step, and only there.
    fails_at: Option<usize>,
}

impl Fake {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, steps: 0, fails_at: None }
    }
}

impl Network for Fake {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        self.steps += 1;
        if self.fails_at == Some(self.steps) {
            let reason = "lost".to_owned();
            return Err(Error::DeviceFailed { device: "fake".into(), reason });
        }
        let [nz, ny, nx] = CONFIG.fov_zyx;
        let at = |z: usize, y: usize, x: usize| (z * ny + y) * nx + x;
        let sum: f32 = image.iter().zip(seed).map(|(i, s)| i * s.clamp(-3.0, 3.0)).sum();
        for (z, y, x) in
            (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| (z, y, x))))
        {
            let here = at(z, y, x);
            let around = [
                at(z.saturating_sub(1), y, x),
                at((z + 1).min(nz - 1), y, x),
                at(z, y.saturating_sub(1), x),
                at(z, (y + 1).min(ny - 1), x),
                at(z, y, x.saturating_sub(1)),
                at(z, y, (x + 1).min(nx - 1)),
            ];
            let most = around.iter().map(|i| seed[*i]).fold(seed[here], f32::max);
            logits[here] = match self.kind {
                Kind::Bright if image[here] > -0.4 => 0.7 * most.max(-1.0) + 1.5,
                Kind::Bright => -2.5,
                Kind::Greedy => seed[here].max(0.0) + 1.0 + image[here],
                Kind::Fickle => seed[here] + image[here] * 2.0 + (sum * 7.0 + here as f32).sin(),
            };
        }
        Ok(())
    }

    fn device_name(&self) -> String {
        "fake".into()
    }
}

fn number(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// A volume of blobs, and seeds in some order: some outside the margin, some twice.
pub(crate) struct Case {
    pub(crate) image: Arc<Voxels>,
    /// With labels that are there before, and places where no FOV is centred.
    pub(crate) places: bool,
    pub(crate) keeps_probabilities: bool,
    pub(crate) seeds: Vec<[usize; 3]>,
    pub(crate) options: InferenceOptions,
}

impl Case {
    pub(crate) fn new(shape: [usize; 3], seeds: usize, disco: f32, seed: u64) -> Self {
        let mut state = seed;
        let period = 4 + number(&mut state) % 5;
        let [_, ny, nx] = shape;
        let voxels: Vec<u8> = (0..shape.iter().product::<usize>())
            .map(|i| {
                let p = [i / (ny * nx), i / nx % ny, i % nx].map(|p| p as u64 % (2 * period));
                let wall = p.iter().any(|p| *p < period / 2);
                (if wall { 60 } else { 150 } + number(&mut state) % 80) as u8
            })
            .collect();
        let seeds = (0..seeds).map(|_| shape.map(|n| number(&mut state) as usize % n)).collect();
        let options = InferenceOptions {
            move_threshold: 0.6,
            pad_value: 0.2,
            disco_seed_threshold: disco,
            min_segment_size: 30,
            ..InferenceOptions::default()
        };
        let image = Arc::new(Voxels::from_vec(shape, voxels).unwrap());
        Self { image, places: false, keeps_probabilities: true, seeds, options }
    }

    pub(crate) fn segmenter(&self) -> Segmenter<'static> {
        let mut canvas = Canvas::new(Arc::clone(&self.image), CONFIG, self.options).unwrap();
        if self.places {
            let before =
                (0..self.image.len()).map(|i| if i % 499 < 20 { 1 + (i % 2) as i32 } else { 0 });
            canvas = canvas.with_segmentation(before.collect()).unwrap();
        }
        if self.keeps_probabilities {
            canvas = canvas.with_probabilities();
        }
        let segmenter = Segmenter::new(canvas, self.seeds.clone()).unwrap();
        if self.places { segmenter.with_restriction(&Planes) } else { segmenter }
    }

    pub(crate) fn run(&self, steps: &mut dyn Steps) -> Segmentation {
        let mut segmenter = self.segmenter();
        while segmenter.advance(steps, &mut |_| {}).unwrap() {}
        segmenter.finish()
    }

    pub(crate) fn one_by_one(&self, kind: Kind) -> Segmentation {
        self.run(&mut Inline::new(&mut Fake::new(kind), 1))
    }
}

pub(crate) fn assert_same(found: &Segmentation, expected: &Segmentation) {
    let known = |s: &Segmentation| -> Vec<_> {
        s.origins.iter().map(|o| (o.id, o.seed_zyx, o.steps, o.voxels)).collect()
    };
    assert_eq!(known(found), known(expected));
    assert_eq!(found.counters, expected.counters);
    assert!(found.labels == expected.labels, "labels differ");
    assert!(found.probabilities == expected.probabilities, "probabilities differ");
}

/// Gives steps back in an order that looks random: what a device with many queues might do.
struct Shuffled {
    network: Fake,
    at_once: usize,
    state: u64,
    under_way: Vec<Fov>,
}

impl Steps for Shuffled {
    fn at_once(&self) -> usize {
        self.at_once
    }

    fn submit(&mut self, fov: Fov) -> Result<()> {
        self.under_way.push(fov);
        Ok(())
    }

    fn wait(&mut self) -> Result<Fov> {
        let chosen = number(&mut self.state) as usize % self.under_way.len();
        let mut fov = self.under_way.swap_remove(chosen);
        // How many are wanted may change at any time.
        self.at_once = 1 + number(&mut self.state) as usize % 6;
        self.network.step(&fov.image, &fov.seed, &mut fov.logits)?;
        Ok(fov)
    }

    fn device_name(&self) -> String {
        "shuffled".into()
    }
}

pub(crate) fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Bright, Kind::Greedy, Kind::Fickle])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_number_at_a_time_and_any_order_give_the_same(
        kind in kinds(), shape in [9usize..30, 9usize..40, 12usize..60], seeds in 0usize..60,
        disco in prop::sample::select(vec![-1.0f32, 0.0, 0.3]), seed in any::<u64>(),
    ) {
        let case = Case { places: seed % 2 == 1, ..Case::new(shape, seeds, disco, seed) };
        let expected = case.one_by_one(kind);
        prop_assert_eq!(expected.wasted_steps, 0);
        for batch in [2, 3, 8] {
            let mut network = Fake::new(kind);
            let found = case.run(&mut Inline::new(&mut network, batch));
            assert_same(&found, &expected);
            let computed = found.counters.fov_steps + found.wasted_steps;
            let least = found.counters.fov_steps;
            prop_assert!((least..=computed).contains(&(network.steps as u64)), "{}", network.steps);
        }
        let (network, under_way) = (Fake::new(kind), Vec::new());
        let found = case.run(&mut Shuffled { network, at_once: 5, state: seed, under_way });
        assert_same(&found, &expected);
    }

    #[test]
    fn one_by_one_is_the_rules_as_they_are_written(
        kind in kinds(), shape in [9usize..20, 9usize..24, 12usize..30], seeds in 0usize..25,
        disco in prop::sample::select(vec![-1.0f32, 0.0, 0.3]), seed in any::<u64>(),
    ) {
        let case = Case::new(shape, seeds, disco, seed);
        let found = case.one_by_one(kind);
        let expected = naive(&case, kind);
        prop_assert!(found.labels == expected.0, "labels differ");
        prop_assert_eq!(found.counters.fov_steps, expected.1);
        prop_assert!(found.probabilities == Some(expected.2), "probabilities differ");
    }

    #[test]
    fn what_is_saved_is_gone_on_with(
        kind in kinds(), shape in [9usize..24, 9usize..30, 12usize..40], seeds in 1usize..40,
        batch in 1usize..5, every in 1usize..40, seed in any::<u64>(),
    ) {
        let case = Case { places: seed % 2 == 1, ..Case::new(shape, seeds, 0.0, seed) };
        let expected = case.one_by_one(kind);
        let mut network = Fake::new(kind);
        let mut steps = Inline::new(&mut network, batch);
        let mut segmenter = case.segmenter().noting_changes();
        let mut saved: Vec<Vec<u8>> = Vec::new();
        let mut lives = 0;
        loop {
            let mut count = 0;
            let mut more = true;
            while more && count < every {
                more = segmenter.advance(&mut steps, &mut |_| {}).unwrap();
                count += 1;
            }
            if !more {
                break;
            }
            saved.push(segmenter.take_changes(&mut steps, &mut |_| {}).unwrap());
            // The process dies, some steps after it was saved, or at once.
            if saved.len().is_multiple_of(2) {
                lives += 1;
                segmenter = case.segmenter().noting_changes();
                for changes in &saved {
                    segmenter.apply_changes(changes).unwrap();
                }
                steps = Inline::new(&mut network, batch);
            }
        }
        prop_assert!(lives > 0 || saved.len() < 2);
        assert_same(&segmenter.finish(), &expected);
    }
}

#[test]
fn changes_that_are_torn_or_of_another_canvas_are_refused() {
    let case = Case::new([20, 24, 40], 40, 0.0, 3);
    let mut network = Fake::new(Kind::Bright);
    let mut steps = Inline::new(&mut network, 1);
    let mut segmenter = case.segmenter().noting_changes();
    for _ in 0..30 {
        segmenter.advance(&mut steps, &mut |_| {}).unwrap();
    }
    let changes = segmenter.take_changes(&mut steps, &mut |_| {}).unwrap();
    for length in (0..changes.len()).step_by(97).chain([changes.len() - 1]) {
        case.segmenter().apply_changes(&changes[..length]).unwrap_err();
    }
    // Lengths of lists that would take all memory.
    for at in (0..changes.len().min(2000)).step_by(8) {
        let mut wrong = changes.clone();
        wrong[at..at + 8].fill(0xff);
        let _ = case.segmenter().apply_changes(&wrong);
    }
    let other = Case::new([9, 9, 12], 2, 0.0, 3);
    other.segmenter().apply_changes(&changes).unwrap_err();
}

/// The rules of google/ffn with nothing but arrays, one after the other. Labels, steps, probabilities.
fn naive(case: &Case, kind: Kind) -> (Vec<u32>, u64, Vec<u8>) {
    let (shape, options, mut network) = (case.image.shape(), case.options, Fake::new(kind));
    let (fov, deltas) = (CONFIG.fov_zyx, CONFIG.deltas_zyx);
    let logit = |p: f32| (f64::from(p) / (1.0 - f64::from(p))).ln();
    let limit = logit(options.move_threshold) as f32;
    let index = |p: [usize; 3]| (p[0] * shape[1] + p[1]) * shape[2] + p[2];
    let image: Vec<f32> = case
        .image
        .to_f32()
        .iter()
        .map(|v| (v - options.image_mean) / options.image_stddev)
        .collect();
    let (mut labels, mut probabilities) = (vec![0i32; image.len()], vec![0u8; image.len()]);
    let (mut next, mut steps) = (1, 0);
    for &seed in &case.seeds {
        let inside =
            |p: [usize; 3]| (0..3).all(|a| p[a] >= fov[a] / 2 && p[a] + fov[a] / 2 < shape[a]);
        if !inside(seed) || labels[index(seed)] > 0 {
            continue;
        }
        let near = |at: usize, label: &i32| {
            let p = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
            *label > 0 && (0..3).all(|a| p[a].abs_diff(seed[a]) <= options.min_boundary_dist_zyx[a])
        };
        if labels.iter().enumerate().any(|(at, label)| near(at, label)) {
            continue;
        }
        let mut logits = vec![f32::NAN; image.len()];
        logits[index(seed)] = logit(options.init_activation) as f32;
        let (mut queue, mut done) = (VecDeque::from([seed]), HashSet::new());
        let cell = |p: [usize; 3]| {
            [0, 1, 2].map(|a| {
                (p[a] as i64 - seed[a] as i64 + deltas[a] as i64 / 2).div_euclid(deltas[a] as i64)
            })
        };
        let mut of_object = 0;
        while let Some(p) = queue.pop_front() {
            // NaN, where no step has been, is not below.
            let judged_outside = |p| logits[index(p)] < limit;
            let free = inside(p) && labels[index(p)] <= 0 && !judged_outside(p);
            if done.contains(&cell(p)) || !free {
                continue;
            }
            if logits[index(seed)] < limit {
                break;
            }
            let window: Vec<usize> = (0..fov.iter().product::<usize>())
                .map(|i| {
                    let o = [i / (fov[1] * fov[2]), i / fov[2] % fov[1], i % fov[2]];
                    index([0, 1, 2].map(|a| p[a] + o[a] - fov[a] / 2))
                })
                .collect();
            let seen: Vec<f32> = window.iter().map(|i| image[*i]).collect();
            let pad = logit(options.pad_value) as f32;
            let object: Vec<f32> =
                window.iter().map(|i| if logits[*i].is_nan() { pad } else { logits[*i] }).collect();
            let mut new = vec![0.0; window.len()];
            network.step(&seen, &object, &mut new).unwrap();
            let share = new.iter().filter(|l| **l >= limit).count() as f64 / new.len() as f64;
            let frozen = options.disco_seed_threshold >= 0.0
                && share > f64::from(options.disco_seed_threshold);
            for (at, new) in window.iter().zip(&mut new) {
                if frozen && logits[*at] < 0.0 && *new > logits[*at] {
                    *new = logits[*at];
                }
                logits[*at] = *new;
            }
            done.insert(cell(p));
            let mut moves: Vec<(f32, [i64; 3])> = Vec::new();
            for (axis, sign) in (0..3).flat_map(|a| [(a, -1i64), (a, 1)]) {
                let d = deltas.map(|d| d as i64);
                let mut best = (f32::NEG_INFINITY, [0; 3]);
                for o in (-d[0]..=d[0]).flat_map(|z| {
                    (-d[1]..=d[1]).flat_map(move |y| (-d[2]..=d[2]).map(move |x| [z, y, x]))
                }) {
                    let q = [0, 1, 2].map(|a| (fov[a] as i64 / 2 + o[a]) as usize);
                    let value = new[(q[0] * fov[1] + q[1]) * fov[2] + q[2]];
                    if o[axis] == sign * d[axis] && value > best.0 {
                        best = (value, o);
                    }
                }
                if f64::from(best.0) >= logit(options.move_threshold) && !moves.contains(&best) {
                    moves.push(best);
                }
            }
            moves.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
            let to = |o: [i64; 3]| [0, 1, 2].map(|a| (p[a] as i64 + o[a]) as usize);
            queue.extend(moves.into_iter().map(|(_, o)| to(o)));
            of_object += 1;
        }
        steps += of_object;
        if of_object == 0 || logits[index(seed)] < limit {
            continue;
        }
        let voxels: Vec<usize> = (0..labels.len())
            .filter(|i| logits[*i] >= logit(options.segment_threshold) as f32 && labels[*i] <= 0)
            .collect();
        if voxels.len() >= options.min_segment_size {
            let probability = |logit: f32| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32;
            for i in voxels {
                (labels[i], probabilities[i]) = (next, quantise(probability(logits[i])));
            }
            next += 1;
        }
    }
    (labels.into_iter().map(|l| l.max(0) as u32).collect(), steps, probabilities)
}

/// Only every third plane, and no seeds in the lower half.
struct Planes;

impl Restrict for Planes {
    fn allows_centre(&self, centre: [usize; 3]) -> bool {
        centre[0] % 3 != 1
    }

    fn allows_seed(&self, seed: [usize; 3]) -> bool {
        seed[1] > 10
    }
}

#[test]
fn restrictions_hold_for_centres_and_seeds() {
    let case = Case::new([24, 30, 40], 60, -1.0, 11);
    let canvas = Canvas::new(Arc::clone(&case.image), CONFIG, case.options).unwrap();
    let mut network = Fake::new(Kind::Bright);
    let all = case.one_by_one(Kind::Bright).origins;
    let allowed = all.iter().filter(|o| Planes.allows_centre(o.seed_zyx));
    let seed = allowed.max_by_key(|o| o.steps).unwrap().seed_zyx;
    let object = flood_object(&canvas, seed, &mut network, &Planes).unwrap();
    let free = flood_object(&canvas, seed, &mut network, &Everywhere).unwrap();
    assert!(object.steps > 0);
    assert!(object.history.iter().all(|(centre, _)| Planes.allows_centre(*centre)));
    assert!(!free.history.iter().all(|(centre, _)| Planes.allows_centre(*centre)));

    let run = |batch: usize| {
        let mut network = Fake::new(Kind::Bright);
        let mut segmenter = case.segmenter().with_restriction(&Planes);
        let mut steps = Inline::new(&mut network, batch);
        while segmenter.advance(&mut steps, &mut |_| {}).unwrap() {}
        segmenter.finish()
    };
    let one = run(1);
    assert!(one.counters.skip_restricted_pos > 0 && !one.origins.is_empty());
    assert!(one.origins.iter().all(|o| Planes.allows_seed(o.seed_zyx)));
    assert_same(&run(4), &one);
}

#[test]
fn an_object_alone_keeps_its_history_and_is_stopped_by_obstacles() {
    let case = Case::new([24, 30, 40], 0, 0.0, 5);
    let new = || Canvas::new(Arc::clone(&case.image), CONFIG, case.options).unwrap();
    let mut network = Fake::new(Kind::Greedy);
    let free = flood_object(&new(), [12, 15, 20], &mut network, &Everywhere).unwrap();
    assert_eq!(free.history.len() as u64, free.steps);
    assert_eq!(free.history[0].0, [12, 15, 20]);
    let shape = case.image.shape();
    let labels: Vec<i32> = (0..case.image.len()).map(|i| i32::from(i % shape[2] >= 22)).collect();
    let canvas = new().with_segmentation(labels).unwrap();
    let stopped = flood_object(&canvas, [12, 15, 20], &mut network, &Everywhere).unwrap();
    assert!(stopped.steps < free.steps);
    assert!(stopped.history.iter().all(|(centre, _)| centre[2] < 22));
    let none = flood_object(&canvas, [12, 15, 30], &mut network, &Everywhere).unwrap();
    assert_eq!(none.steps, 0);
    flood_object(&canvas, [12, 15, 400], &mut network, &Everywhere).map(|_| ()).unwrap_err();
    let box_of = free.probabilities([10, 13, 18], [3, 3, 3]);
    assert!(box_of.iter().all(|p| (0.0..=1.0).contains(p)), "{box_of:?}");

    let mut fickle = Fake::new(Kind::Fickle);
    let deleted: u32 = (0..20)
        .map(|i| flood_object(&new(), [12, 15, 10 + i], &mut fickle, &Everywhere).unwrap())
        .flat_map(|object| object.history.into_iter().map(|(_, deleted)| deleted))
        .sum();
    assert!(deleted > 0);
}

fn executor(kind: Kind, batch: Option<usize>, delay: Duration) -> Executor {
    let options = ExecutorOptions::new(1).with_batch(batch);
    Executor::start(options, move |_| Ok(Box::new(Slow { inner: Fake::new(kind), delay }))).unwrap()
}

struct Slow {
    inner: Fake,
    delay: Duration,
}

impl Network for Slow {
    fn step(&mut self, image: &[f32], seed: &[f32], logits: &mut [f32]) -> Result<()> {
        std::thread::sleep(self.delay);
        self.inner.step(image, seed, logits)
    }

    fn preferred_batch(&self) -> usize {
        3
    }

    fn device_name(&self) -> String {
        "slow".into()
    }
}

#[test]
fn subvolumes_share_executors_and_get_what_they_get_alone() {
    let cases: Vec<Case> =
        (0..5).map(|i| Case::new([20, 24 + i, 40], 30, 0.0, 100 + i as u64)).collect();
    for (batch, devices) in [(None, 1), (Some(4), 1), (Some(8), 2)] {
        for kind in [Kind::Bright, Kind::Fickle] {
            let executors: Vec<Executor> = (0..devices)
                .map(|d| executor(kind, batch, Duration::from_micros(20 * d)))
                .collect();
            let executors = Executors::new(executors).unwrap();
            let found: Vec<Segmentation> = std::thread::scope(|scope| {
                let run = |case| {
                    let executors = &executors;
                    scope.spawn(move || Case::run(case, &mut executors.client()))
                };
                let running: Vec<_> = cases.iter().map(run).collect();
                running.into_iter().map(|r| r.join().unwrap()).collect()
            });
            let mut steps = 0;
            for (found, case) in found.iter().zip(&cases) {
                assert_same(found, &case.one_by_one(kind));
                steps += found.counters.fov_steps + found.wasted_steps;
            }
            let counts: Vec<_> = executors.iter().map(Executor::counts).collect();
            assert!(counts.iter().map(|c| c.0 as u64).sum::<u64>() <= steps, "{counts:?}");
            assert!(counts.iter().all(|c| c.0 > 0), "a device had nothing to do: {counts:?}");
            assert!(counts.iter().any(|c| c.1 < c.0), "nothing came in batches: {counts:?}");
        }
    }
}

#[test]
fn a_slow_canvas_does_not_hold_up_the_others() {
    let executor = executor(Kind::Bright, None, Duration::ZERO);
    let mut idle = executor.client();
    idle.submit(fov()).unwrap();
    idle.wait().unwrap();
    // The idle one has handed over a step before, and never does again: others need not wait for it.
    let case = Case::new([20, 24, 40], 30, 0.0, 7);
    let found = case.run(&mut executor.client());
    assert_same(&found, &case.one_by_one(Kind::Bright));
}

fn fov() -> Fov {
    let buffer = || vec![0.0; CONFIG.fov_voxels()];
    let mut fov = Fov::default();
    (fov.image, fov.seed, fov.logits) = (buffer(), buffer(), buffer());
    fov
}

#[test]
fn a_device_that_fails_ends_all_its_clients_with_its_reason_and_a_panic_does_too() {
    struct Panics;
    impl Network for Panics {
        fn step(&mut self, _: &[f32], _: &[f32], _: &mut [f32]) -> Result<()> {
            panic!("driver went away")
        }

        fn device_name(&self) -> String {
            "gpu".into()
        }
    }
    let failing = || {
        let network = Fake { fails_at: Some(1), ..Fake::new(Kind::Bright) };
        Ok(Box::new(network) as Box<dyn Network>)
    };
    for (panics, expected) in [(false, "fake failed: lost"), (true, "gpu failed: driver went away")]
    {
        let make =
            move |_| if panics { Ok(Box::new(Panics) as Box<dyn Network>) } else { failing() };
        let executor = Executor::start(ExecutorOptions::new(1), make).unwrap();
        let mut client = executor.client();
        client.submit(fov()).unwrap();
        let error = client.wait().map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let refuses = |_| Err(Error::Usage("no room".into()));
    let error = Executor::start(ExecutorOptions::new(1), refuses).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "no room");
}

#[test]
fn seeds_outside_and_images_that_do_not_fit_are_refused() {
    let case = Case::new([20, 24, 40], 3, 0.0, 7);
    let canvas = || Canvas::new(Arc::clone(&case.image), CONFIG, case.options);
    let error = Segmenter::new(canvas().unwrap(), vec![[3, 24, 5]]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("[3, 24, 5] lies outside"), "{error}");
    let error = canvas().unwrap().with_segmentation(vec![0; 5]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("found 5"), "{error}");
    let small = Voxels::from_vec([20, 4, 40], vec![0u8; 3200]).unwrap();
    let error = Canvas::new(small, CONFIG, case.options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("along y: expected 5, found 4"), "{error}");
    let mut values = vec![0.0f32; 1000];
    values[123] = f32::NAN;
    let holes = Voxels::from_vec([10; 3], values).unwrap();
    let error = Canvas::new(holes, CONFIG, case.options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("NaN at z,y,x 1,2,3"), "{error}");
}

#[test]
fn images_of_all_types_are_normalised_alike() {
    let case = Case::new([20, 24, 40], 0, 0.0, 7);
    let bytes: &[u8] = case.image.as_slice().unwrap();
    let seen = |image: Voxels| {
        let canvas = Canvas::new(image, CONFIG, case.options).unwrap();
        let mut network = Seen::default();
        flood_object(&canvas, [10, 12, 20], &mut network, &Everywhere).unwrap();
        network.0
    };
    let shape = case.image.shape();
    let expected = seen(Voxels::from_vec(shape, case.image.to_f32()).unwrap());
    assert!(!expected.is_empty());
    let u16s = Voxels::from_vec(shape, bytes.iter().map(|b| u16::from(*b)).collect::<Vec<_>>());
    assert!(seen(u16s.unwrap()) == expected && seen((*case.image).clone()) == expected);
}

/// Keeps the images that it is shown, and finds nothing in them.
#[derive(Default)]
struct Seen(Vec<f32>);

impl Network for Seen {
    fn step(&mut self, image: &[f32], _seed: &[f32], logits: &mut [f32]) -> Result<(), Error> {
        self.0.extend(image);
        logits.fill(-1.0);
        Ok(())
    }

    fn device_name(&self) -> String {
        "test".to_owned()
    }
}
