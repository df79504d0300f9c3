//! Where the FOV goes next: `FaceMaxMovementPolicy` of google/ffn.

use std::collections::{HashSet, VecDeque};

use super::canvas::Position;
use super::config::{ModelConfig, logit};

/// Queues, after each step, the strongest voxel of each face of the cuboid that lies `deltas` around
/// the FOV's centre. First in, first out; sorted by strength only within one step.
#[derive(Debug)]
pub struct FaceMax {
    fov_zyx: [usize; 3],
    deltas: [usize; 3],
    /// Logit, in f64 as google/ffn compares it.
    threshold: f64,
    start: Position,
    queue: VecDeque<Position>,
    /// Cells of the grid of deltas around the start that have been stepped on.
    done: HashSet<[i64; 3]>,
}

/// A possible move: logit and offset from the FOV's centre.
pub(super) type Move = (f32, [i64; 3]);

impl FaceMax {
    /// A policy with an empty queue. `move_threshold` is a probability.
    pub fn new(config: &ModelConfig, move_threshold: f32) -> Self {
        Self {
            fov_zyx: config.fov_zyx,
            deltas: config.deltas_zyx,
            threshold: logit(move_threshold),
            start: [0; 3],
            queue: VecDeque::new(),
            done: HashSet::new(),
        }
    }

    /// Forgets everything and queues the start of a new object.
    pub fn restart(&mut self, start: [usize; 3]) {
        self.start = start;
        self.done.clear();
        self.queue.clear();
        self.queue.push_back(start);
    }

    /// The next position that `is_valid` accepts and whose cell has not been stepped on. Validity is
    /// asked for now, on the current object, not when the position was queued.
    pub fn next(&mut self, is_valid: impl Fn([usize; 3]) -> bool) -> Option<[usize; 3]> {
        while let Some(position) = self.queue.pop_front() {
            if !self.done.contains(&self.cell(position)) && is_valid(position) {
                return Some(position);
            }
        }
        None
    }

    /// Marks a step as done and queues where the object continues. `logits`: the FOV's, `[z, y, x]`.
    ///
    /// # Panics
    /// If there are fewer logits than the FOV has voxels.
    pub fn update(&mut self, logits: &[f32], position: [usize; 3]) {
        self.take_maxima(&all_maxima(logits, self.fov_zyx, self.deltas), position);
    }

    /// As [`FaceMax::update`], with the maxima of the faces.
    pub(super) fn take_maxima(&mut self, maxima: &[Move], position: Position) {
        self.done.insert(self.cell(position));
        let moves = moves(maxima, self.threshold);
        let to = |offset: [i64; 3]| -> Option<Position> {
            let mut to = position;
            for a in 0..3 {
                to[a] = usize::try_from(to[a] as i64 + offset[a]).ok()?;
            }
            Some(to)
        };
        self.queue.extend(moves.into_iter().filter_map(|(_, offset)| to(offset)));
    }

    /// Positions in the queue, the next first.
    pub(super) fn queued(&self) -> Vec<Position> {
        self.queue.iter().copied().collect()
    }

    /// Of some positions, those in the queue whose cells have not been stepped on: they may be asked for.
    pub(super) fn open(&self, some: impl Fn(Position) -> bool) -> impl Iterator<Item = Position> {
        let is_open = |position: &Position| !self.done.contains(&self.cell(*position));
        self.queue.iter().copied().filter(move |position| some(*position)).filter(is_open)
    }

    /// Cells that have been stepped on, in order of their numbers.
    pub(super) fn done(&self) -> Vec<[i64; 3]> {
        let mut done: Vec<_> = self.done.iter().copied().collect();
        done.sort_unstable();
        done
    }

    /// Goes on with a queue and cells that were saved; the start stays.
    pub(super) fn restore(&mut self, queued: Vec<Position>, done: Vec<[i64; 3]>) {
        self.queue = queued.into();
        self.done = done.into_iter().collect();
    }

    fn cell(&self, position: Position) -> [i64; 3] {
        std::array::from_fn(|a| {
            let offset = position[a] as i64 - self.start[a] as i64;
            let delta = self.deltas[a] as i64;
            (offset + delta / 2).div_euclid(delta.max(1))
        })
    }
}

/// The maximum of each face, `deltas` around the centre, that reaches the threshold (a logit): its value
/// and its offset from the centre, strongest first. `logits`: of a FOV of shape `fov`, `[z, y, x]`.
///
/// # Panics
/// If there are fewer logits than the FOV has voxels, or a delta leaves it.
pub fn face_maxima(
    logits: &[f32],
    fov: [usize; 3],
    deltas: [usize; 3],
    threshold: f64,
) -> Vec<(f32, [i64; 3])> {
    moves(&all_maxima(logits, fov, deltas), threshold)
}

/// The maximum of each face.
fn all_maxima(logits: &[f32], fov: [usize; 3], deltas: [usize; 3]) -> Vec<Move> {
    let axes = (0..3).filter(|a| deltas[*a] > 0);
    let faces = axes.flat_map(|axis| [(axis, -1), (axis, 1)]);
    faces.map(|(axis, sign)| face_maximum(logits, fov, deltas, axis, sign)).collect()
}

/// Those that reach the threshold, strongest first.
fn moves(maxima: &[Move], threshold: f64) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::with_capacity(6);
    for found in maxima {
        // A voxel on an edge can be the maximum of two faces: one move.
        if f64::from(found.0) >= threshold && !moves.contains(found) {
            moves.push(*found);
        }
    }
    moves.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
    moves
}

/// The first maximum, in C order, of the face at `sign * delta` along `axis`.
fn face_maximum(
    logits: &[f32],
    fov: [usize; 3],
    deltas: [usize; 3],
    axis: usize,
    sign: i64,
) -> Move {
    let range = |a: usize| {
        let d = deltas[a] as i64;
        if a == axis { sign * d..=sign * d } else { -d..=d }
    };
    let mut best: Move = (f32::NEG_INFINITY, [0; 3]);
    for z in range(0) {
        for y in range(1) {
            for x in range(2) {
                let at = |a: usize, offset: i64| ((fov[a] / 2) as i64 + offset) as usize;
                let value = logits[(at(0, z) * fov[1] + at(1, y)) * fov[2] + at(2, x)];
                if value > best.0 {
                    best = (value, [z, y, x]);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: ModelConfig = ModelConfig { fov_zyx: [5; 3], deltas_zyx: [1; 3] };

    fn logits_with(values: &[([usize; 3], f32)]) -> Vec<f32> {
        let mut logits = vec![-5.0; 125];
        for ([z, y, x], value) in values {
            logits[(z * 5 + y) * 5 + x] = *value;
        }
        logits
    }

    #[test]
    fn strongest_face_comes_first_and_a_shared_corner_once() {
        let mut policy = FaceMax::new(&CONFIG, 0.5);
        policy.restart([10; 3]);
        assert_eq!(policy.next(|_| true), Some([10; 3]));
        // (1, 1, 1) of the centre lies on the faces +z, +y and +x; (2, 2, 1) on -x.
        policy.update(&logits_with(&[([3, 3, 3], 1.0), ([2, 2, 1], 2.0)]), [10; 3]);
        assert_eq!(policy.next(|_| true), Some([10, 10, 9]));
        assert_eq!(policy.next(|_| true), Some([11, 11, 11]));
        assert_eq!(policy.next(|_| true), None);
    }

    #[test]
    fn cells_are_symmetric_around_the_start() {
        let config = ModelConfig { fov_zyx: [33; 3], deltas_zyx: [8; 3] };
        let mut policy = FaceMax::new(&config, 0.5);
        policy.restart([100; 3]);
        assert_eq!(policy.cell([96, 103, 104]), [0, 0, 1]);
        assert_eq!(policy.cell([95, 92, 88]), [-1, -1, -1]);
    }

    #[test]
    fn a_cell_is_stepped_on_once_and_validity_is_asked_late() {
        let mut policy = FaceMax::new(&CONFIG, 0.5);
        policy.restart([10; 3]);
        policy.update(&logits_with(&[([2, 2, 1], 2.0), ([2, 2, 3], 1.0)]), [10; 3]);
        assert_eq!(policy.next(|p| p[2] != 9 && p != [10; 3]), Some([10, 10, 11]));
        assert_eq!(policy.next(|_| true), None);
    }
}
