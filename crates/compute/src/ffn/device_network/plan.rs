//! A batch of windows as words for the kernels, and what they have said as answers.

use crate::ffn::canvas::Logits;
use crate::ffn::object_logits::{place, tiles_of};
use crate::ffn::residence::{Said, Window};
use crate::kernels::tiles;
use crate::kernels::windows::{HEADER, Header, NOWHERE, SAID, Share};

use super::resident::HeldObject;

/// Where something stands in a plan, and how much of it there is.
pub(super) type Part = [usize; 2];

/// A batch of windows.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) words: Vec<u32>,
    /// Slots of new tiles.
    pub(super) empty: Part,
    /// Places and logits of seeds.
    pub(super) seeds: Part,
    /// Places of probes, of one window after the other.
    pub(super) probes: Part,
    /// The largest of all.
    pub(super) deltas: [usize; 3],
}

impl Plan {
    /// Of windows whose tiles all have slots; `new`: the slots that are to be emptied.
    pub(super) fn new(windows: &[(&Window, &HeldObject)], fov: [usize; 3], new: &[u32]) -> Self {
        let mut slots = Vec::new();
        let mut plan = Self::default();
        for (window, object) in windows {
            let header = header(window, fov, windows.len() * HEADER + slots.len());
            plan.words.extend(header.words());
            slots.extend(tiles_of(window.start, fov).map(|tile| object.slot(tile)));
            for a in 0..3 {
                plan.deltas[a] = plan.deltas[a].max(header.deltas[a]);
            }
        }
        plan.words.extend(slots);
        plan.empty = plan.append(new.iter().copied(), 1);
        let seeds = windows.iter().filter_map(|(window, object)| {
            let centre = [0, 1, 2].map(|a| window.start[a] + fov[a] / 2);
            window.seed.map(|logit| [place_of(object, centre), logit.to_bits()])
        });
        plan.seeds = plan.append(seeds.flatten(), 2);
        let probes = windows.iter().flat_map(|(window, object)| {
            window.probes.iter().map(|position| place_of(object, *position))
        });
        plan.probes = plan.append(probes, 1);
        plan
    }

    /// Things of so many words each.
    fn append(&mut self, words: impl Iterator<Item = u32>, each: usize) -> Part {
        let at = self.words.len();
        self.words.extend(words);
        [at, (self.words.len() - at) / each]
    }
}

fn header(window: &Window, fov: [usize; 3], slots_at: usize) -> Header {
    let (start, canvas) = (window.start, &window.canvas);
    let logits = Logits::of(&canvas.options);
    let tiles = |a: usize| (start[a] + fov[a]).div_ceil(tiles::EDGE) - start[a] / tiles::EDGE;
    Header {
        start,
        slots_at,
        tiles_yx: [tiles(1), tiles(2)],
        pad: logits.pad_value,
        moves: logits.move_threshold,
        sure: logits.sure,
        share: Share::more_than(canvas.options.disco_seed_threshold),
        deltas: canvas.model.deltas_zyx,
    }
}

fn place_of(object: &HeldObject, position: [usize; 3]) -> u32 {
    let (tile, at) = place(position);
    object.slot(tile) * tiles::VOXELS as u32 + at as u32
}

/// The words of one window as what is said of it.
pub(super) fn said(
    words: &[u32],
    probes: &[u32],
    window: &Window,
    fov: [usize; 3],
    tiles: usize,
) -> Said {
    let face = |face: usize| {
        let (at, logit) = (words[1 + face], f32::from_bits(words[7 + face]));
        if at == NOWHERE { (logit, [0; 3]) } else { (logit, offset(at as usize, fov)) }
    };
    let deltas = window.canvas.model.deltas_zyx;
    let faces = (0..6).filter(|f| deltas[f / 2] > 0).map(face).collect();
    let probes = probes.iter().map(|bits| f32::from_bits(*bits)).collect();
    Said { deleted: words[0], faces, probes, tiles }
}

fn offset(at: usize, fov: [usize; 3]) -> [i64; 3] {
    let position = [at / fov[2] / fov[1], at / fov[2] % fov[1], at % fov[2]];
    [0, 1, 2].map(|a| position[a] as i64 - (fov[a] / 2) as i64)
}

/// Words that are downloaded for windows with so many probes in all.
pub(super) fn words_said(windows: usize, probes: usize) -> usize {
    windows * SAID + probes
}
