//! Where blocks touch: the neighbours of a block, and the labels that meet there.

use exavox_compute::ops::Connectivity;

use super::surface::Surface;
use crate::blocks::BlockGrid;

/// Steps to a neighbouring block along z, y and x: -1, 0 or 1 each.
pub(super) type Direction = [i8; 3];

/// Steps that neighbouring voxels are apart at most, all axes together.
fn most_steps(connectivity: Connectivity) -> u8 {
    match connectivity {
        Connectivity::Six => 1,
        Connectivity::Eighteen => 2,
        Connectivity::TwentySix => 3,
    }
}

/// Where blocks lie whose voxels can be neighbours of a block's voxels.
pub(super) fn directions(connectivity: Connectivity) -> impl Iterator<Item = Direction> {
    let all = (0..27_i8).map(|n| [n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1]);
    all.filter(move |direction| {
        let steps: u8 = direction.iter().map(|d| d.unsigned_abs()).sum();
        steps > 0 && steps <= most_steps(connectivity)
    })
}

/// One direction of each two that are opposite.
pub(super) fn is_forward(direction: Direction) -> bool {
    direction > [0; 3]
}

/// The block that lies in a direction, if the grid has one there.
pub(super) fn neighbour(grid: &BlockGrid, block: u64, direction: Direction) -> Option<u64> {
    let (at, counts) = (grid.coordinate(block), grid.counts());
    let mut to = [0; 3];
    for a in 0..3 {
        to[a] = at[a].checked_add_signed(direction[a].into()).filter(|v| *v < counts[a])?;
    }
    Some(grid.number(to))
}

/// Calls `touch` with the indices of labels that have neighbouring voxels: of `from`, and of `to`, which
/// lies in `direction` from it. The same pair may come more than once.
pub(super) fn for_each_contact(
    from: &Surface,
    to: &Surface,
    direction: Direction,
    connectivity: Connectivity,
    mut touch: impl FnMut(usize, usize),
) {
    let Some((axis, [u, v])) = axes(direction) else { return };
    let high = direction[axis] > 0;
    let (near, far) = (from.side(axis, high), to.side(axis, !high));
    let (from, to) = (from.shape(), to.shape());
    let steps = most_steps(connectivity);
    let mut last = (0, 0);
    for (du, dv) in offsets(direction[u], direction[v]) {
        if 1 + du.unsigned_abs() + dv.unsigned_abs() > steps {
            continue;
        }
        let us = Strip::new(from[u], to[u], direction[u], du);
        let vs = Strip::new(from[v], to[v], direction[v], dv);
        for row in 0..us.length {
            let near = &near[(us.from + row) * from[v] + vs.from..][..vs.length];
            let far = &far[(us.to + row) * to[v] + vs.to..][..vs.length];
            for (near, far) in near.iter().zip(far) {
                if *near != 0 && *far != 0 && (*near, *far) != last {
                    last = (*near, *far);
                    touch(*near as usize - 1, *far as usize - 1);
                }
            }
        }
    }
}

/// Calls `meet` with the index of each label that has a voxel on the side, edge or corner of the block in
/// a direction. The same may come more than once.
pub(super) fn for_each_on_side(from: &Surface, direction: Direction, mut meet: impl FnMut(usize)) {
    let Some((axis, [u, v])) = axes(direction) else { return };
    let (side, shape) = (from.side(axis, direction[axis] > 0), from.shape());
    let us = Strip::new(shape[u], shape[u], direction[u], direction[u]);
    let vs = Strip::new(shape[v], shape[v], direction[v], direction[v]);
    for row in us.from..us.from + us.length {
        let row = &side[row * shape[v] + vs.from..][..vs.length];
        row.iter().filter(|index| **index != 0).for_each(|index| meet(*index as usize - 1));
    }
}

/// The first axis along which a direction goes, and the other two.
fn axes(direction: Direction) -> Option<(usize, [usize; 2])> {
    match direction {
        [0, 0, 0] => None,
        [0, 0, _] => Some((2, [0, 1])),
        [0, _, _] => Some((1, [0, 2])),
        _ => Some((0, [1, 2])),
    }
}

/// Steps along two axes from a voxel to its neighbours in a block that lies `u` and `v` blocks away.
fn offsets(u: i8, v: i8) -> impl Iterator<Item = (i8, i8)> {
    let along = |d: i8| if d == 0 { -1..=1 } else { d..=d };
    along(u).flat_map(move |du| along(v).map(move |dv| (du, dv)))
}

/// Along one axis: voxels of a block whose neighbours at some offset lie in another block, and those.
struct Strip {
    from: usize,
    to: usize,
    length: usize,
}

impl Strip {
    fn new(from: usize, to: usize, direction: i8, offset: i8) -> Self {
        match (direction, offset) {
            (1, _) => Self { from: from - 1, to: 0, length: 1 },
            (-1, _) => Self { from: 0, to: to - 1, length: 1 },
            (_, 1) => Self { from: 0, to: 1, length: from - 1 },
            (_, -1) => Self { from: 1, to: 0, length: from - 1 },
            _ => Self { from: 0, to: 0, length: from },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use exavox_io::BoundingBox;
    use proptest::prelude::*;

    use super::*;

    type Pairs = BTreeSet<(u64, u64, u64, u64)>;

    /// Every voxel is a label of its own: pairs of (block, voxel in it) that touch across blocks.
    fn by_surfaces(grid: &BlockGrid, connectivity: Connectivity) -> Pairs {
        let surface = |block: u64| {
            let shape = grid.block(block).shape().map(|v| v as usize);
            let count: usize = shape.iter().product();
            let labels: Vec<u32> = (1..=count as u32).collect();
            Surface::new(shape, &labels, count, &[], u64::from)
        };
        let mut pairs = BTreeSet::new();
        for block in 0..grid.len() {
            for direction in directions(connectivity) {
                let Some(other) = neighbour(grid, block, direction) else { continue };
                let (a, b) = (surface(block), surface(other));
                let mut on_side = BTreeSet::new();
                for_each_on_side(&a, direction, |index| _ = on_side.insert(index));
                let mut touching = BTreeSet::new();
                for_each_contact(&a, &b, direction, connectivity, |near, far| {
                    touching.insert(near);
                    pairs.insert((block, a.attributes()[near], other, b.attributes()[far]));
                });
                assert_eq!(on_side, touching);
            }
        }
        pairs
    }

    fn naive(grid: &BlockGrid, connectivity: Connectivity) -> Pairs {
        let shape = grid.region().shape();
        let all = || {
            (0..shape.iter().product())
                .map(|i| [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]])
        };
        let place = |at: [u64; 3]| {
            let one = BoundingBox::from_start_shape(at, [1; 3]);
            let block = grid.touching(&one).next().unwrap();
            let area = grid.block(block);
            let ([z, y, x], [_, ny, nx]) = (one.relative_to(area.start).start, area.shape());
            (block, (z * ny + y) * nx + x + 1)
        };
        let mut pairs = BTreeSet::new();
        for p in all() {
            for q in all() {
                let apart: Vec<u64> = (0..3).map(|a| p[a].abs_diff(q[a])).collect();
                let near = apart.iter().all(|d| *d <= 1);
                let steps = apart.iter().sum::<u64>();
                let ((a, i), (b, j)) = (place(p), place(q));
                if a != b && near && steps <= u64::from(most_steps(connectivity)) {
                    pairs.insert((a, i, b, j));
                }
            }
        }
        pairs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn contacts_are_those_of_voxels(
            shape in prop::array::uniform3(1_u64..6),
            block in prop::array::uniform3(1_u64..5),
        ) {
            let grid = BlockGrid::new(BoundingBox::whole(shape), block).unwrap();
            for connectivity in Connectivity::ALL {
                prop_assert_eq!(by_surfaces(&grid, connectivity), naive(&grid, connectivity));
            }
        }
    }

    #[test]
    fn half_of_the_directions_go_forward() {
        for connectivity in Connectivity::ALL {
            let all: Vec<Direction> = directions(connectivity).collect();
            assert_eq!(all.len(), usize::from(connectivity.neighbours()));
            let opposite = |d: &Direction| d.map(|v| -v);
            assert!(all.iter().all(|d| is_forward(*d) != is_forward(opposite(d))));
        }
    }
}
