//! Estimates against closed forms, and the laws that a schedule must keep.

use exavox_io::DataType;
use exavox_pipeline::estimate::{
    Bound, ClusterModel, Distribution, Estimate, Hypothetical, StageModel, Work, chart,
    compare_nodes, estimate,
};
use proptest::prelude::*;

fn stage(blocks: u64, seconds: Distribution) -> StageModel {
    StageModel {
        name: "work".to_owned(),
        blocks,
        blocks_per_shard: None,
        read_bytes: 0,
        written_bytes: 0,
        flop: 0.0,
        memory_bytes_per_block: 1,
        seconds_per_block: seconds,
    }
}

fn equal(blocks: u64, seconds: f64) -> StageModel {
    stage(blocks, Distribution::from_mean(seconds, 0.0))
}

fn ideal(nodes: u64, slots: u64) -> ClusterModel {
    ClusterModel::new(nodes, slots).without_faults()
}

fn last_shard(found: &Estimate) -> f64 {
    found.simulation.stages.last().unwrap().last_shard_seconds
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() <= tolerance, "{found}, expected {expected}");
}

proptest! {
    #[test]
    fn equal_shards_without_faults_take_whole_rounds(
        shards in 1_u64..3000, each in 1_u64..9, seconds in 1_u64..90, nodes in 1_u64..9, slots in 1_u64..5,
    ) {
        let stage = StageModel { blocks_per_shard: Some(each), ..equal(shards * each, seconds as f64) };
        let found = estimate(&[stage], &ideal(nodes, slots), 1).unwrap();
        let rounds = shards.div_ceil(nodes * slots);
        prop_assert_eq!(last_shard(&found), (rounds * each * seconds) as f64);
        prop_assert_eq!(found.stages[0].shards, shards);
    }

    #[test]
    fn a_schedule_takes_at_least_the_ideal_and_at_most_a_shard_more(
        blocks in 1_u64..5000, nodes in 1_u64..20, slots in 1_u64..5, spread in 0.0_f64..1.0,
    ) {
        let stage = stage(blocks, Distribution::from_mean(60.0, spread));
        let run = estimate(&[stage], &ideal(nodes, slots), 3).unwrap();
        let simulation = &run.simulation.stages[0];
        let busy = simulation.profile.busy_slot_seconds();
        let total = (nodes * slots) as f64;
        prop_assert!(last_shard(&run) >= busy / total - 1e-6);
        // While work is left no slot waits (Graham's bound): all but the tail is full.
        let full = simulation.tail_begin_seconds * total;
        prop_assert!(busy >= full - 1e-6 * full.max(1.0));
    }

    #[test]
    fn more_nodes_are_never_slower_in_the_ideal(
        size in 300_u64..30_000, work in 0_usize..6, nodes in 1_u64..50,
    ) {
        let works =
            [Work::Segment, Work::Components, Work::Filter, Work::Project, Work::Downsample, Work::Convert];
        let plan = Hypothetical::new(works[work], [size; 3], DataType::U8);
        let stages = Hypothetical { spread: 0.0, ..plan }.stages().unwrap();
        let mut cluster = ClusterModel::new(nodes, 2);
        cluster.store_bytes_per_second = Some(3e9);
        let rows = compare_nodes(&stages, &cluster, &[nodes, nodes + 1, 3 * nodes], 1).unwrap();
        prop_assert!(rows.windows(2).all(|w| w[1].ideal_seconds <= w[0].ideal_seconds), "{:?}", rows);
        prop_assert!(rows.iter().all(|r| r.simulated_seconds >= r.ideal_seconds * 0.999), "{:?}", rows);
    }
}

#[test]
fn a_failure_costs_half_a_block_of_each_slot_on_average() {
    let stage = StageModel { blocks_per_shard: Some(10), ..equal(200_000, 100.0) };
    let mut cluster = ideal(50, 4);
    cluster.mtbf_hours = Some(2.0);
    (cluster.requeue_seconds, cluster.repair_seconds) = (0.0, 60.0);
    let found = estimate(&[stage], &cluster, 5).unwrap();
    let figures = &found.stages[0];
    let hours = last_shard(&found) / 3600.0;
    // Nodes that are down for a minute in two hours change less than what is allowed.
    close(figures.failures as f64, 50.0 * hours / 2.0, 0.1);
    assert!(figures.failures > 300, "{figures:?}");
    close(figures.lost_slot_seconds, figures.failures as f64 * 4.0 * 50.0, 0.08);
    let work = 200_000.0 * 100.0 + figures.lost_slot_seconds;
    close(found.simulation.stages[0].profile.busy_slot_seconds(), work, 1e-6);
}

#[test]
fn stragglers_take_their_share_of_time() {
    let stage = StageModel { blocks_per_shard: Some(1), ..equal(50_000, 10.0) };
    let mut cluster = ideal(10, 1);
    (cluster.straggler_fraction, cluster.straggler_factor) = (0.1, 4.0);
    let found = estimate(&[stage], &cluster, 5).unwrap();
    close(found.simulation.stages[0].stragglers as f64, 5_000.0, 0.05);
    close(last_shard(&found), 50_000.0 * 10.0 * 1.3 / 10.0, 0.02);
}

#[test]
fn the_store_sets_the_pace_when_all_want_more_than_it_has() {
    // Each of 20 slots wants 100 MB/s of a store that has 500.
    let mut stage = StageModel { blocks_per_shard: Some(1), ..equal(2_000, 10.0) };
    stage.read_bytes = 2_000 * 1_000_000_000;
    let mut cluster = ideal(20, 1);
    cluster.store_bytes_per_second = Some(5e8);
    let found = estimate(&[stage.clone()], &cluster, 1).unwrap();
    close(last_shard(&found), 2e12 / 5e8, 1e-9);
    assert_eq!(found.stages[0].bound_by, Bound::StoreBandwidth);
    cluster.store_bytes_per_second = None;
    cluster.bytes_per_second_per_node = 5e7;
    let found = estimate(&[stage.clone()], &cluster, 1).unwrap();
    close(last_shard(&found), 2e12 / 5e7 / 20.0, 1e-9);
    assert_eq!(found.stages[0].bound_by, Bound::NodeBandwidth);
    cluster.bytes_per_second_per_node = 1e9;
    let found = estimate(&[stage], &cluster, 1).unwrap();
    close(last_shard(&found), 1_000.0, 1e-9);
    assert_eq!(found.stages[0].bound_by, Bound::Compute);
}

#[test]
fn latency_and_few_blocks_are_named() {
    let found = estimate(&[equal(1_000, 0.001)], &ClusterModel::new(10, 1), 1).unwrap();
    assert_eq!(found.stages[0].bound_by, Bound::Latency);
    let found = estimate(&[equal(3, 3600.0)], &ClusterModel::new(10, 1), 1).unwrap();
    assert_eq!(found.stages[0].bound_by, Bound::Blocks);
    assert!(found.totals.efficiency < 0.31, "{:?}", found.totals);
}

#[test]
fn gathered_shards_take_as_long_as_single_ones() {
    // 290 000 shards are taken one by one, 310 000 are gathered.
    let seconds = |shards: u64| {
        let distribution = Distribution::from_mean(600.0, 0.5);
        let stage = StageModel { blocks_per_shard: Some(1), ..stage(shards, distribution) };
        let mut cluster = ClusterModel::new(100, 4);
        cluster.mtbf_hours = Some(2_000.0);
        let found = estimate(&[stage], &cluster, 9).unwrap();
        assert_eq!(found.stages[0].simulated_units == shards, shards == 290_000);
        last_shard(&found) / shards as f64
    };
    close(seconds(310_000), seconds(290_000), 0.005);
}

#[test]
fn memory_bounds_the_blocks_at_once() {
    let mut cluster = ClusterModel::new(4, 8);
    cluster.memory_bytes_per_node = Some(50);
    let heavy = StageModel { memory_bytes_per_block: 10, ..equal(4_000, 60.0) };
    let found = estimate(&[heavy], &cluster, 1).unwrap();
    assert_eq!(found.stages[0].blocks_at_once_per_node, 5);
    assert!(found.notes.iter().any(|n| n.contains("5 of its 8 slots")), "{:?}", found.notes);
    let heavy = StageModel { memory_bytes_per_block: 100, ..equal(4_000, 60.0) };
    let error = estimate(&[heavy], &cluster, 1).unwrap_err().to_string();
    assert!(error.contains("50.000 %"), "{error}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let stages = Hypothetical::new(Work::Segment, [20_000; 3], DataType::U8).stages().unwrap();
    let cluster = ClusterModel { mtbf_hours: Some(500.0), ..ClusterModel::new(20, 4) };
    let run = |seed| estimate(&stages, &cluster, seed).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).totals, run(2).totals);
}

#[test]
fn models_that_cannot_be_are_refused_by_name() {
    let good = ClusterModel::new(2, 2);
    let wrong = |stages: &[StageModel], cluster: &ClusterModel| {
        let error = estimate(stages, cluster, 1).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let fine = [equal(10, 1.0)];
    assert!(wrong(&[], &good).contains("stages"));
    assert!(wrong(&[equal(0, 1.0)], &good).contains("work: expected blocks"));
    assert!(wrong(&[equal(1, f64::NAN)], &good).contains("work: expected finite seconds"));
    assert!(wrong(&[equal(u64::MAX, 1e9)], &good).contains("for ever"));
    assert!(wrong(&fine, &ClusterModel::new(0, 1)).contains("nodes"));
    assert!(wrong(&fine, &ClusterModel::new(1, 0)).contains("slots"));
    assert!(wrong(&fine, &ClusterModel::new(u64::MAX, 2)).contains("can be simulated"));
    let never = ClusterModel { mtbf_hours: Some(-1.0), ..good.clone() };
    assert!(wrong(&fine, &never).contains("hours between failures"));
    let share = ClusterModel { straggler_fraction: 1.5, ..good.clone() };
    assert!(wrong(&fine, &share).contains("0 to 1"));
    let shards = ClusterModel { shard_seconds: [60.0, 30.0], ..good.clone() };
    assert!(wrong(&fine, &shards).contains("longest shard"));
    let weak = ClusterModel { mtbf_hours: Some(0.5), ..good.clone() };
    assert!(wrong(&[equal(10, 3600.0)], &weak).contains("smaller blocks"));
    let many = ClusterModel { mtbf_hours: Some(0.001), ..good };
    assert!(wrong(&[equal(1 << 40, 1.0)], &many).contains("failures of nodes"));
}

#[test]
fn an_exabyte_is_planned_by_arithmetic() {
    let plan = Hypothetical::new(Work::Segment, [1_000_000; 3], DataType::U8);
    let stages = plan.stages().unwrap();
    assert_eq!(stages[0].blocks, 2232_u64.pow(3));
    close(stages[0].flop, (1_000_000.0_f64 + 2231.0 * 64.0).powi(3) * 1651e-6 * 45.83e9, 1e-9);
    assert_eq!(plan.bytes(), 10_u128.pow(18));
    let space = plan.label_space().unwrap().unwrap();
    assert_eq!((space.block_bits, space.local_bits), (34, 28));
    let names: Vec<&str> = stages.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(&names[..6], ["infer", "faces", "union 1", "union 2", "union 3", "union 4"]);
    assert_eq!((names[6], names[names.len() - 1]), ("relabel", "downsample 12"));
}

#[test]
fn the_chart_shows_every_part() {
    let stages = Hypothetical::new(Work::Components, [9_000; 3], DataType::U16).stages().unwrap();
    let cluster = ClusterModel { mtbf_hours: Some(20.0), ..ClusterModel::new(10, 8) };
    let found = estimate(&stages, &cluster, 1).unwrap();
    let rows = compare_nodes(&stages, &cluster, &[1, 10], 1).unwrap();
    let svg = chart("a < b", &found, &rows);
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for part in
        ["a &lt; b", "ideal end", "simulated end", "union 1", "node down", "The end of", "10 nodes"]
    {
        assert!(svg.contains(part), "{part}");
    }
    assert!(svg.contains("class=\"fault\"") == (found.totals.failures > 0));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}
