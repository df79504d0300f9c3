//! How the field of view moves over an example: the FOV policies of google/ffn's training.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use exavox_compute::ffn::face_maxima;
use serde::{Deserialize, Serialize};

use super::config::{MovesTable, PolicyName};
use super::geometry::Geometry;
use super::positions::{MOVES, random};

/// A label of at least this says that the object is there: moves to it are wanted.
const WANTED: f32 = 0.9;

/// Offset of a field of view from the example's centre, voxels `[z, y, x]`.
pub(super) type Offset = [i64; 3];

/// Where moves may lead, and what probabilities are as logits.
#[derive(Debug, Clone)]
pub(super) struct MovePolicy {
    policy: PolicyName,
    fov_moves: usize,
    geometry: Geometry,
    /// Logit that a voxel must have for a move to it.
    threshold: f32,
    /// Logit of voxels not looked at yet.
    pub(super) pad: f32,
    /// Logit of the centre at the start.
    pub(super) init: f32,
    /// Offsets of the fixed policy, the centre first.
    fixed: Arc<Vec<Offset>>,
}

/// How far an example is. Small: it is part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Moves {
    /// How many offsets of the fixed policy were looked at.
    looked_at: usize,
    /// Offsets ahead of the other policy.
    queue: VecDeque<Offset>,
    /// Cells that it has been in.
    done: BTreeSet<Offset>,
    begun: bool,
}

/// What became of moves: by the labels, and by the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MoveCounts {
    /// Wanted and made.
    pub(super) correct: u64,
    /// Wanted, but the network does not go there.
    pub(super) missed: u64,
    /// The network goes where the object is not.
    pub(super) spurious: u64,
}

impl Moves {
    /// `Ok` if all offsets can be of an example of this size.
    ///
    /// # Errors
    /// The one that cannot.
    pub(super) fn check(&self, geometry: &Geometry) -> Result<(), String> {
        let canvas = geometry.canvas;
        let far = |o: &&Offset| (0..3).any(|a| o[a].unsigned_abs() > canvas[a] as u64);
        match self.queue.iter().chain(&self.done).find(far) {
            None => Ok(()),
            Some(offset) => Err(format!("expected offsets inside {canvas:?}, found {offset:?}")),
        }
    }
}

impl MovePolicy {
    /// `seed` gives the order of the fixed policy.
    pub(super) fn new(table: &MovesTable, geometry: Geometry, seed: u64) -> Self {
        let logit = |p: f32| (f64::from(p) / (1.0 - f64::from(p))).ln() as f32;
        Self {
            policy: table.policy,
            fov_moves: table.fov_moves,
            geometry,
            threshold: logit(table.threshold),
            pad: logit(table.seed_pad),
            init: logit(table.init),
            fixed: Arc::new(fixed_offsets(geometry.deltas, table.fov_moves, seed)),
        }
    }

    /// The next offset at which the network is trained, if the example has one more. `canvas`: logits of
    /// the object so far; `labels`: of the example.
    pub(super) fn next(
        &self,
        moves: &mut Moves,
        canvas: &[f32],
        labels: &[f32],
        counts: &mut MoveCounts,
    ) -> Option<Offset> {
        match self.policy {
            PolicyName::NoStep => (!std::mem::replace(&mut moves.begun, true)).then_some([0; 3]),
            PolicyName::Fixed => self.next_fixed(moves, canvas, labels, counts),
            PolicyName::MaxPredMoves => self.next_predicted(moves, canvas, labels, counts),
        }
    }

    /// Takes note of new logits, `[z, y, x]` of the middle of the field of view at an offset.
    pub(super) fn update(&self, moves: &mut Moves, offset: Offset, logits: &[f32]) {
        if self.policy != PolicyName::MaxPredMoves {
            return;
        }
        let Geometry { deltas, .. } = self.geometry;
        let maxima = face_maxima(logits, self.geometry.kept(), deltas, f64::from(self.threshold));
        let to = |by: Offset| std::array::from_fn(|a| offset[a] + by[a]);
        moves.queue.extend(maxima.into_iter().map(|(_, by)| to(by)));
    }

    fn next_fixed(
        &self,
        moves: &mut Moves,
        canvas: &[f32],
        labels: &[f32],
        counts: &mut MoveCounts,
    ) -> Option<Offset> {
        while let Some(&offset) = self.fixed.get(moves.looked_at) {
            moves.looked_at += 1;
            if self.is_taken(offset, canvas, labels, counts).is_some_and(|(made, _)| made) {
                return Some(offset);
            }
        }
        None
    }

    fn next_predicted(
        &self,
        moves: &mut Moves,
        canvas: &[f32],
        labels: &[f32],
        counts: &mut MoveCounts,
    ) -> Option<Offset> {
        if !std::mem::replace(&mut moves.begun, true) {
            moves.queue.push_back([0; 3]);
        }
        let Geometry { deltas, .. } = self.geometry;
        let most = deltas.map(|d| (d * (self.fov_moves + 1)) as i64);
        while let Some(offset) = moves.queue.pop_front() {
            if (0..3).any(|a| offset[a].abs() > most[a])
                || moves.done.contains(&cell(offset, deltas))
            {
                continue;
            }
            let taken = self.is_taken(offset, canvas, labels, counts);
            if taken.is_some_and(|(made, wanted)| made && (wanted || offset == [0; 3])) {
                moves.done.insert(cell(offset, deltas));
                return Some(offset);
            }
        }
        None
    }

    /// Whether the network goes to an offset, and whether it should.
    fn is_taken(
        &self,
        offset: Offset,
        canvas: &[f32],
        labels: &[f32],
        counts: &mut MoveCounts,
    ) -> Option<(bool, bool)> {
        let at = self.geometry.at(offset)?;
        let (made, wanted) = (canvas[at] >= self.threshold, labels[at] >= WANTED);
        if offset != [0; 3] {
            counts.correct += u64::from(made && wanted);
            counts.missed += u64::from(!made && wanted);
            counts.spurious += u64::from(made && !wanted);
        }
        Some((made, wanted))
    }
}

/// The cell of the grid of deltas around the centre, with half a delta as it is, not rounded down.
fn cell(offset: Offset, deltas: [usize; 3]) -> Offset {
    std::array::from_fn(|a| {
        let delta = deltas[a] as i64;
        (2 * offset[a] + delta).div_euclid((2 * delta).max(2))
    })
}

/// All combinations of moves, the centre first; those near to it before those far away, in a random
/// order that is the same for the whole run.
fn fixed_offsets(deltas: [usize; 3], fov_moves: usize, seed: u64) -> Vec<Offset> {
    let most = fov_moves as i64;
    let range = |a: usize| if deltas[a] == 0 { 0..=0 } else { -most..=most };
    let mut steps: Vec<Offset> = Vec::new();
    for z in range(0) {
        for y in range(1) {
            steps.extend(range(2).map(|x| [z, y, x]));
        }
    }
    let mut random = random(seed, MOVES, 0);
    for last in (1..steps.len()).rev() {
        steps.swap(last, random.below(last as u64 + 1) as usize);
    }
    // One ring of moves after the other; the order within each is the random one.
    steps.sort_by_key(|step| step.iter().map(|s| s.abs()).max());
    steps.into_iter().map(|step| std::array::from_fn(|a| step[a] * deltas[a] as i64)).collect()
}

#[cfg(test)]
mod tests {
    use exavox_compute::ffn::ModelConfig;

    use super::*;

    fn policy(name: PolicyName) -> MovePolicy {
        let model = ModelConfig { fov_zyx: [5; 3], deltas_zyx: [1, 2, 2] };
        let table = MovesTable { policy: name, ..MovesTable::default() };
        MovePolicy::new(&table, Geometry::new(&model, &table), 3)
    }

    fn all(policy: &MovePolicy, canvas: &[f32], labels: &[f32]) -> (Vec<Offset>, MoveCounts) {
        let (mut moves, mut counts) = (Moves::default(), MoveCounts::default());
        let mut made = Vec::new();
        while let Some(offset) = policy.next(&mut moves, canvas, labels, &mut counts) {
            made.push(offset);
        }
        (made, counts)
    }

    #[test]
    fn fixed_goes_to_all_neighbours_that_the_canvas_allows() {
        let policy = policy(PolicyName::Fixed);
        let voxels = policy.geometry.canvas_voxels();
        let (made, counts) = all(&policy, &vec![3.0; voxels], &vec![0.95; voxels]);
        assert_eq!((made.len(), made[0], counts.correct), (27, [0; 3], 26));
        let mut sorted = made.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 27);
        assert!(made.iter().all(|o| o[0].abs() <= 1 && [0, 2].contains(&o[1].abs())));
        assert_ne!(made[1..], sorted[1..]);

        let mut canvas = vec![-3.0; voxels];
        for offset in [[0; 3], [1, 0, 0]] {
            canvas[policy.geometry.at(offset).unwrap_or_default()] = 3.0;
        }
        let (made, counts) = all(&policy, &canvas, &vec![0.05; voxels]);
        assert_eq!(made, [[0; 3], [1, 0, 0]]);
        assert_eq!((counts.correct, counts.missed, counts.spurious), (0, 0, 1));
    }

    #[test]
    fn no_step_stays() {
        let policy = policy(PolicyName::NoStep);
        let voxels = policy.geometry.canvas_voxels();
        assert_eq!(all(&policy, &vec![3.0; voxels], &vec![0.95; voxels]).0, [[0; 3]]);
    }

    #[test]
    fn predicted_moves_follow_the_canvas_where_the_labels_want_it() {
        let policy = policy(PolicyName::MaxPredMoves);
        let voxels = policy.geometry.canvas_voxels();
        let (mut moves, mut counts) = (Moves::default(), MoveCounts::default());
        let (canvas, mut labels) = (vec![3.0; voxels], vec![0.95; voxels]);
        let mut next =
            |moves: &mut Moves, labels: &[f32]| policy.next(moves, &canvas, labels, &mut counts);
        assert_eq!(next(&mut moves, &labels), Some([0; 3]));
        // Strongest at +x, then at -z.
        let mut logits = vec![-1.0; 125];
        logits[2 * 25 + 2 * 5 + 4] = 9.0;
        logits[25 + 2 * 5 + 2] = 5.0;
        policy.update(&mut moves, [0; 3], &logits);
        assert_eq!(next(&mut moves, &labels), Some([0, 0, 2]));
        // Not wanted: passed over.
        labels[policy.geometry.at([-1, 0, 0]).unwrap_or_default()] = 0.05;
        assert_eq!(next(&mut moves, &labels), None);
        // Beyond the example, and a cell that was visited.
        moves.queue.extend([[0, 0, 6], [0, 0, 2], [0, 1, 0]]);
        assert_eq!(next(&mut moves, &labels), Some([0, 1, 0]));
        assert_eq!(next(&mut moves, &labels), None);
    }

    #[test]
    fn cells_begin_at_half_a_delta() {
        let deltas = [0, 4, 5];
        assert_eq!(cell([0, 1, 2], deltas), [0, 0, 0]);
        assert_eq!(cell([0, 2, 3], deltas), [0, 1, 1]);
        assert_eq!(cell([0, -2, -2], deltas), [0, 0, 0]);
        assert_eq!(cell([0, -3, -3], deltas), [0, -1, -1]);
    }
}
