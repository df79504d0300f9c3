//! The distance transform by passes over boxes: the bits are those of the whole.

use exavox_compute::ops::distance_transform::{
    Border, DistanceKind, DistanceOptions, DistancePasses, distance_transform,
};
use exavox_io::{BoundingBox, DataType, Voxels};
use proptest::prelude::*;

fn mask(shape: [usize; 3], seed: u64, zeros_of_1000: u64, run: usize) -> Voxels {
    let hash = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) >> 8;
    let count = shape.iter().product();
    let value = |i: usize| u16::from(hash((i / run) as u64) % 1000 >= zeros_of_1000) * 300;
    Voxels::from_vec(shape, (0..count).map(value).collect::<Vec<u16>>()).unwrap()
}

fn part(of: &Voxels, area: &BoundingBox) -> Voxels {
    let mut part = Voxels::zeros(of.dtype(), area.shape().map(|v| v as usize)).unwrap();
    part.copy_box([0; 3], of, area).unwrap();
    part
}

/// Each pass over boxes of a cross-section.
fn by_passes(mask: &Voxels, options: DistanceOptions, cross: [u64; 3]) -> Voxels {
    let passes = DistancePasses::new(mask.dtype(), mask.shape(), options).unwrap();
    let whole = BoundingBox::whole(mask.shape().map(|v| v as u64));
    let mut before = mask.clone();
    for pass in 0..DistancePasses::COUNT {
        let mut block = cross;
        block[passes.axis(pass)] = whole.end[passes.axis(pass)];
        let mut after = Voxels::zeros(DataType::F32, mask.shape()).unwrap();
        for area in whole.tiles(block) {
            let mut values = part(&before, &area);
            if pass == 0 {
                values = passes.first(&values).unwrap();
            } else {
                passes.further(pass, &mut values).unwrap();
            }
            let box_of_part = BoundingBox::whole(area.shape());
            after.copy_box(area.start.map(|v| v as usize), &values, &box_of_part).unwrap();
        }
        before = after;
    }
    before
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn boxes_give_the_bits_of_the_whole(
        shape in [1usize..9, 1usize..30, 1usize..200], axis in 0usize..3, flat in prop::sample::select(vec![false, false, true]),
        cross in [1u64..9, 1u64..40, 1u64..150], seed in any::<u64>(), run in 1usize..200,
        zeros in prop::sample::select(vec![0, 1, 5, 100, 700]), squared in any::<bool>(),
        border in prop::sample::select(vec![Border::Open, Border::Background]),
        size in prop::sample::select(vec![[1.0; 3], [40.0, 4.0, 4.0], [2.5, 0.3, 1.1]]),
    ) {
        let mut shape = shape;
        shape.rotate_left(axis);
        if flat {
            shape[(axis + 1) % 3] = 1;
        }
        let mask = mask(shape, seed, zeros, run);
        let kind = if squared { DistanceKind::Squared } else { DistanceKind::Euclidean };
        let mut options = DistanceOptions::default();
        (options.voxel_size_zyx, options.kind, options.border) = (size, kind, border);
        let expected = distance_transform(&mask, &options).unwrap();
        prop_assert!(by_passes(&mask, options, cross) == expected);
    }
}

#[test]
fn lines_that_are_cut_are_refused() {
    let mask = mask([4, 5, 6], 1, 100, 1);
    let passes = DistancePasses::new(DataType::U16, [4, 5, 7], Default::default()).unwrap();
    let error = passes.first(&mask).unwrap_err().to_string();
    assert!(error.contains("lines of 7 voxels along x, found 6"), "{error}");
    let mut values = Voxels::zeros(DataType::F32, [4, 5, 6]).unwrap();
    let passes = DistancePasses::new(DataType::U16, [4, 8, 6], Default::default()).unwrap();
    let error = passes.further(1, &mut values).unwrap_err().to_string();
    assert!(error.contains("lines of 8 voxels along y, found 5"), "{error}");
    assert!(DistancePasses::new(DataType::F32, [1; 3], Default::default()).is_err());
}
