//! Tools for labels against maps filled voxel by voxel.

use std::collections::BTreeMap;

use exavox_compute::ops::Connectivity;
use exavox_compute::ops::labels::{Contact, LabelSize, Numbering, contacts, filter, sizes};
use exavox_io::{DataType, Voxels};
use proptest::prelude::*;

use crate::connected_components::{block, neighbours, shapes, stretches, with_threads};

fn naive_sizes(values: &[u64]) -> Vec<LabelSize> {
    let mut sizes = BTreeMap::new();
    for value in values.iter().filter(|v| **v != 0) {
        *sizes.entry(*value).or_default() += 1;
    }
    sizes.into_iter().map(|(label, voxels)| LabelSize { label, voxels }).collect()
}

fn naive_contacts(values: &[u64], shape: [usize; 3]) -> Vec<Contact> {
    let mut faces: BTreeMap<[u64; 2], [u64; 3]> = BTreeMap::new();
    for voxel in 0..values.len() {
        for next in neighbours(shape, voxel, Connectivity::Six).filter(|next| *next > voxel) {
            let (a, b) = (values[voxel], values[next]);
            if a != b && a != 0 && b != 0 {
                let step = next - voxel;
                // An axis of one voxel has no neighbours: steps that look alike are told apart.
                let axis = if step == 1 && shape[2] > 1 {
                    2
                } else if step == shape[2] && shape[1] > 1 {
                    1
                } else {
                    0
                };
                faces.entry([a.min(b), a.max(b)]).or_default()[axis] += 1;
            }
        }
    }
    faces.into_iter().map(|(labels, faces_zyx)| Contact { labels, faces_zyx }).collect()
}

/// Labels far apart for types that can hold them.
fn spread(values: &[u64], dtype: DataType, far: bool) -> Vec<u64> {
    let factor = match (far, dtype.size()) {
        (true, 8) => 1 << 40,
        (true, 4) => 40_000_000,
        _ => 9,
    };
    values.iter().map(|v| v * factor).collect()
}

fn integers() -> impl Strategy<Value = DataType> {
    let integers = DataType::ALL.into_iter().filter(|d| d.kind() != 'f');
    prop::sample::select(integers.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn tools_equal_their_definitions(
        shape in shapes(), dtype in integers(), kinds in 2u64..14, far: bool,
        stretch in prop::sample::select(vec![1u64, 3, 40]), seed in any::<u64>(), min in 0u64..200,
    ) {
        let values = spread(&stretches(shape.iter().product(), kinds, stretch, seed), dtype, far);
        let labels = block(dtype, shape, &values);
        let expected = naive_sizes(&values);
        let kept: Vec<LabelSize> = expected.iter().filter(|s| s.voxels >= min).copied().collect();
        let number = |v: &u64| kept.iter().position(|s| s.label == *v).map_or(0, |n| n as u64 + 1);
        let dense: Vec<u64> = values.iter().map(number).collect();
        let same: Vec<u64> = values.iter().map(|v| if number(v) == 0 { 0 } else { *v }).collect();
        with_threads(|| {
            assert_eq!(sizes(&labels).unwrap(), expected);
            assert_eq!(contacts(&labels).unwrap(), naive_contacts(&values, shape));
            let found = filter(labels.clone(), min, Numbering::Dense).unwrap();
            assert!(found.labels == block(dtype, shape, &dense));
            assert_eq!(found.sizes, naive_sizes(&dense));
            assert_eq!(found.dropped, (expected.len() - kept.len()) as u64);
            let found = filter(labels.clone(), min, Numbering::Keep).unwrap();
            assert!(found.labels == block(dtype, shape, &same));
            assert_eq!(found.sizes, kept);
        });
    }
}

#[test]
fn large_blocks_are_cut_and_put_together() {
    let shape = [30, 300, 301];
    let values = stretches(shape.iter().product(), 9, 1000, 3);
    let labels = block(DataType::U16, shape, &values);
    with_threads(|| {
        assert_eq!(sizes(&labels).unwrap(), naive_sizes(&values));
        assert_eq!(contacts(&labels).unwrap(), naive_contacts(&values, shape));
    });
}

#[test]
fn empty_blocks_have_no_labels() {
    for shape in [[0, 2, 3], [2, 0, 3], [2, 3, 0]] {
        let labels = Voxels::zeros(DataType::I32, shape).unwrap();
        assert_eq!((sizes(&labels).unwrap(), contacts(&labels).unwrap()), (vec![], vec![]));
        assert_eq!(filter(labels, 3, Numbering::Dense).unwrap().dropped, 0);
    }
}

#[test]
fn what_is_no_label_is_refused() {
    let floats = Voxels::zeros(DataType::F64, [1, 1, 2]).unwrap();
    let negative = Voxels::from_vec([1, 1, 3], vec![1_i16, -3, 2]).unwrap();
    for (labels, expected) in [
        (floats, "labels must be integers, found float64"),
        (negative, "labels must not be negative, found -3"),
    ] {
        for error in [
            sizes(&labels).unwrap_err(),
            contacts(&labels).unwrap_err(),
            filter(labels.clone(), 1, Numbering::Keep).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
