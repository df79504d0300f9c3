//! Sizes of an example, and boxes inside it.

use exavox_compute::ffn::ModelConfig;

use super::config::{MovesTable, PolicyName};

/// Sizes of all that belongs to an example, voxels `[z, y, x]`; all centred on the same voxel. They are the
/// same for all channels of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Field of view.
    pub(super) fov: [usize; 3],
    /// Voxels of each side of the field of view for which the network gives no logits.
    pub(super) lost: [usize; 3],
    /// How far the field of view moves in one go.
    pub(super) deltas: [usize; 3],
    /// The whole example: image, labels and canvas.
    pub(super) canvas: [usize; 3],
    /// The part by which the network is judged when the example is done.
    pub(super) judged: [usize; 3],
    /// Channels of the image.
    pub(super) channels: usize,
}

impl Geometry {
    /// The sizes of google/ffn: the field of view and all moves; one move more where the network itself
    /// chooses; no moves where there are none.
    pub(super) fn new(model: &ModelConfig, moves: &MovesTable) -> Self {
        let (reached, judged) = match moves.policy {
            PolicyName::Fixed => (moves.fov_moves, moves.fov_moves),
            PolicyName::MaxPredMoves => (moves.fov_moves + 1, moves.fov_moves),
            PolicyName::NoStep => (0, 0),
        };
        let (fov, deltas) = (model.fov_zyx, model.deltas_zyx);
        let with = |moves: usize| std::array::from_fn(|a| fov[a] + 2 * deltas[a] * moves);
        let (canvas, judged) = (with(reached), with(judged));
        Self { fov, lost: [0; 3], deltas, canvas, judged, channels: 1 }
    }

    /// Of a network without padding, which gives no logits for so many voxels of each side. Nothing there
    /// is judged.
    pub(super) fn without_border(self, lost: [usize; 3]) -> Self {
        let judged = [0, 1, 2].map(|a| self.judged[a].saturating_sub(2 * lost[a]));
        Self { lost, judged, ..self }
    }

    /// Of an image of so many channels.
    pub(super) fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// The middle of the field of view, for which there are logits.
    pub(super) fn kept(&self) -> [usize; 3] {
        [0, 1, 2].map(|a| self.fov[a].saturating_sub(2 * self.lost[a]))
    }

    /// Voxels of an example.
    pub(super) fn canvas_voxels(&self) -> usize {
        self.canvas.iter().product()
    }

    /// Voxels between the centre and the border.
    pub(super) fn radius(&self) -> [usize; 3] {
        self.canvas.map(|s| s / 2)
    }

    /// Place in an example, C order, of a voxel at an offset from the centre; nothing if it lies outside.
    pub(super) fn at(&self, offset: [i64; 3]) -> Option<usize> {
        let mut index = 0;
        for a in 0..3 {
            let at = usize::try_from((self.canvas[a] / 2) as i64 + offset[a]).ok()?;
            if at >= self.canvas[a] {
                return None;
            }
            index = index * self.canvas[a] + at;
        }
        Some(index)
    }

    /// First voxel of the field of view at an offset; nothing if it leaves the example.
    pub(super) fn window(&self, offset: [i64; 3]) -> Option<[usize; 3]> {
        let mut start = [0; 3];
        for a in 0..3 {
            let at = (self.canvas[a] / 2) as i64 + offset[a] - (self.fov[a] / 2) as i64;
            start[a] = usize::try_from(at).ok()?;
            if start[a] + self.fov[a] > self.canvas[a] {
                return None;
            }
        }
        Some(start)
    }
}

/// Appends a box of an array, both C order.
pub(super) fn gather<T: Copy>(
    from: &[T],
    shape: [usize; 3],
    start: [usize; 3],
    size: [usize; 3],
    to: &mut Vec<T>,
) {
    for row in rows(shape, start, size) {
        to.extend_from_slice(&from[row..row + size[2]]);
    }
}

/// Writes a box into an array.
pub(super) fn scatter<T: Copy>(
    from: &[T],
    to: &mut [T],
    shape: [usize; 3],
    start: [usize; 3],
    size: [usize; 3],
) {
    for (row, values) in rows(shape, start, size).zip(from.chunks_exact(size[2])) {
        to[row..row + size[2]].copy_from_slice(values);
    }
}

/// Where each row of a box begins.
fn rows(shape: [usize; 3], start: [usize; 3], size: [usize; 3]) -> impl Iterator<Item = usize> {
    (0..size[0]).flat_map(move |z| {
        let plane = (start[0] + z) * shape[1];
        (0..size[1]).map(move |y| (plane + start[1] + y) * shape[2] + start[2])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(policy: PolicyName) -> Geometry {
        let model = ModelConfig { fov_zyx: [5, 7, 9], deltas_zyx: [0, 2, 3] };
        Geometry::new(&model, &MovesTable { policy, ..MovesTable::default() })
    }

    #[test]
    fn sizes_are_those_of_google_ffn() {
        assert_eq!(geometry(PolicyName::Fixed).canvas, [5, 11, 15]);
        let own = geometry(PolicyName::MaxPredMoves);
        assert_eq!((own.canvas, own.judged), ([5, 15, 21], [5, 11, 15]));
        assert_eq!(geometry(PolicyName::NoStep).canvas, [5, 7, 9]);
        let valid = geometry(PolicyName::Fixed).without_border([0, 1, 2]);
        assert_eq!(
            (valid.canvas, valid.judged, valid.kept()),
            ([5, 11, 15], [5, 9, 11], [5, 5, 5])
        );
    }

    #[test]
    fn a_window_that_leaves_the_example_is_none() {
        let geometry = geometry(PolicyName::Fixed);
        assert_eq!(geometry.window([0, -2, 3]), Some([0, 0, 6]));
        assert_eq!(geometry.window([0, -3, 0]), None);
        assert_eq!(geometry.at([2, 5, 7]), Some(geometry.canvas_voxels() - 1));
        assert_eq!(geometry.at([3, 0, 0]), None);
    }

    #[test]
    fn a_box_comes_back_to_its_place() {
        let shape = [4, 5, 6];
        let values: Vec<usize> = (0..120).collect();
        let mut part = Vec::new();
        gather(&values, shape, [1, 2, 3], [2, 3, 2], &mut part);
        assert_eq!(part[..3], [45, 46, 51]);
        let mut copy = vec![0; 120];
        scatter(&part, &mut copy, shape, [1, 2, 3], [2, 3, 2]);
        assert!(copy.iter().zip(&values).all(|(c, v)| *c == 0 || c == v));
        assert_eq!(copy.iter().filter(|c| **c > 0).count(), 12);
    }
}
