//! Seeded flood fill against a flood from voxel to voxel.

use std::collections::VecDeque;

use exavox_compute::ops::flood_fill::{Flood, FloodOptions, Seed, flood_fill};
use exavox_compute::ops::{Connectivity, ValueRange};
use exavox_io::{DataType, Voxels};
use proptest::prelude::*;

use crate::connected_components::{
    block, connectivities, dtypes, neighbours, serpentine, shapes, stretches, with_threads,
};

/// Seed after seed floods what it can reach and nobody has taken.
fn naive(inside: &[bool], shape: [usize; 3], seeds: &[Seed], connectivity: Connectivity) -> Flood {
    let mut labels = vec![0_u32; inside.len()];
    let (mut components, mut seeds_out_of_range, mut seeds_taken) = (0, 0, 0);
    for Seed { position_zyx: [z, y, x], label } in seeds {
        let first = (z * shape[1] + y) * shape[2] + x;
        if !inside[first] {
            seeds_out_of_range += 1;
        } else if labels[first] != 0 {
            seeds_taken += u64::from(labels[first] != *label);
        } else {
            components += 1;
            labels[first] = *label;
            let mut queue = VecDeque::from([first]);
            while let Some(voxel) = queue.pop_front() {
                for next in neighbours(shape, voxel, connectivity) {
                    if inside[next] && labels[next] == 0 {
                        labels[next] = *label;
                        queue.push_back(next);
                    }
                }
            }
        }
    }
    let voxels = labels.iter().filter(|label| **label != 0).count() as u64;
    let labels = if seeds.iter().all(|seed| seed.label <= 255) {
        Voxels::from_vec(shape, labels.iter().map(|label| *label as u8).collect()).unwrap()
    } else {
        Voxels::from_vec(shape, labels).unwrap()
    };
    Flood { labels, voxels, components, seeds_out_of_range, seeds_taken }
}

fn options(connectivity: Connectivity) -> FloodOptions {
    let mut options = FloodOptions::default();
    options.connectivity = connectivity;
    options
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn floods_equal_the_definition(
        shape in shapes(), connectivity in connectivities(), dtype in dtypes(),
        stretch in prop::sample::select(vec![1u64, 2, 5, 40]), seed in any::<u64>(),
        (low, high) in (0u64..5, 0u64..5), labels in prop::sample::select(vec![1u32, 3, 700]),
        places in prop::collection::vec(any::<[u16; 3]>(), 1..6),
    ) {
        let values = stretches(shape.iter().product(), 6, stretch, seed);
        let (low, high) = (low.min(high), low.max(high));
        let inside: Vec<bool> = values.iter().map(|v| (low..=high).contains(v)).collect();
        let voxels = block(dtype, shape, &values);
        let range = ValueRange::of_integers(i128::from(low), i128::from(high)).unwrap();
        let seeds: Vec<Seed> = (1_u32..).zip(&places).map(|(n, at)| {
            let position_zyx = std::array::from_fn(|a| usize::from(at[a]) % shape[a]);
            Seed { position_zyx, label: n * 77 % labels + 1 }
        }).collect();
        let expected = naive(&inside, shape, &seeds, connectivity);
        with_threads(|| {
            let found = flood_fill(&voxels, range, &seeds, &options(connectivity)).unwrap();
            assert!(found == expected, "{shape:?} {connectivity} {seeds:?}");
        });
    }
}

#[test]
fn floods_go_through_seams_and_turns() {
    let shape = [40, 30, 70];
    let masks = [
        serpentine(shape),
        stretches(84_000, 2, 1, 5),
        stretches(84_000, 3, 2, 6),
        vec![1; 84_000],
    ];
    for values in masks {
        let inside: Vec<bool> = values.iter().map(|v| *v != 0).collect();
        let voxels = block(DataType::U8, shape, &values);
        let range = "1:".parse().unwrap();
        let first = inside.iter().position(|i| *i).unwrap();
        let position_zyx = [first / 2100, first / 70 % 30, first % 70];
        for connectivity in Connectivity::ALL {
            for label in [1, 200, 256] {
                let seeds = [Seed { position_zyx, label }, Seed::new([39, 29, 69])];
                let expected = naive(&inside, shape, &seeds, connectivity);
                with_threads(|| {
                    let found = flood_fill(&voxels, range, &seeds, &options(connectivity));
                    assert!(found.unwrap() == expected, "{connectivity}");
                });
            }
        }
    }
}

#[test]
fn what_is_no_number_is_outside() {
    let values = vec![1.0, f32::NAN, 1.0, f32::INFINITY, 0.5, f32::NEG_INFINITY];
    let voxels = Voxels::from_vec([1, 1, 6], values).unwrap();
    let flood = |range: &str, x: usize| {
        let seeds = [Seed::new([0, 0, x])];
        flood_fill(&voxels, range.parse().unwrap(), &seeds, &FloodOptions::default()).unwrap()
    };
    let found = flood("0:", 2);
    assert_eq!(found.labels.as_slice::<u8>().unwrap(), [0, 0, 1, 1, 1, 0]);
    assert_eq!((found.voxels, found.components), (3, 1));
    assert_eq!(flood(":", 1).seeds_out_of_range, 1);
    assert_eq!(flood(":", 2).voxels, 4);
}

#[test]
fn what_cannot_be_is_an_error() {
    let voxels = Voxels::from_vec([2, 2, 2], vec![1_u8; 8]).unwrap();
    let flood = |range: &str, seeds: &[Seed], max_voxels: Option<u64>| {
        let mut options = FloodOptions::default();
        options.max_voxels = max_voxels;
        flood_fill(&voxels, range.parse().unwrap(), seeds, &options)
    };
    let seed = Seed::new([0, 1, 1]);
    for (result, expected) in [
        (flood("1:2", &[], None), "no seed"),
        (
            flood("1:2", &[seed, Seed::new([0, 2, 0])], None),
            "seed [0, 2, 0] lies outside of the block of [2, 2, 2]",
        ),
        (flood("1:2", &[Seed { label: 0, ..seed }], None), "label 0 is background"),
        (flood("-3:-1", &[seed], None), "range -3:-1 holds no value of uint8"),
        (flood("1:2", &[seed], Some(7)), "leaks: 8 voxels are reached, at most 7 may be"),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    assert_eq!(flood("1:2", &[seed], Some(8)).unwrap().voxels, 8);
    let found = flood("2:3", &[seed], None).unwrap();
    assert_eq!((found.voxels, found.seeds_out_of_range), (0, 1));
    let nothing = Voxels::zeros(DataType::U8, [0, 2, 2]).unwrap();
    let range = "0:1".parse().unwrap();
    assert!(flood_fill(&nothing, range, &[seed], &FloodOptions::default()).is_err());
}
