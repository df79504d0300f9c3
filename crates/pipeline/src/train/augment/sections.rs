//! What goes wrong with sections: missing, misaligned, bent (Lee et al. 2017,
//! <https://arxiv.org/abs/1706.00120>).

use super::super::config::{AugmentTable, ElasticTable};
use super::super::example::Crop;
use super::{comes_up, inner};
use crate::estimate::random::Random;

/// A shift in the plane, voxels along y and x.
type Shift = [f32; 2];

/// What goes wrong with the sections of one example.
#[derive(Debug, Default)]
pub(super) struct Sections {
    /// Shifts of image and labels of each section; nothing if all lie where they should.
    shifts: Vec<Shift>,
    /// A section whose image alone is shifted.
    slip: Option<(usize, Shift)>,
    /// A smooth field for each section: nodes, `[y, x]`.
    bent: Vec<Field>,
    /// Sections, or the part after a corner, in halves of the plane, that are black.
    missing: Vec<(usize, Option<Corner>)>,
}

/// A corner in the plane, share of the edges, and on which sides of it a section is missing.
#[derive(Debug, Clone, Copy)]
struct Corner {
    at: [f32; 2],
    after: [bool; 2],
}

/// Shifts at nodes that lie `spacing` apart, linear between them.
#[derive(Debug)]
struct Field {
    spacing: f32,
    columns: usize,
    nodes: Vec<Shift>,
    /// Taken off everywhere, so that the centre stays.
    centre: Shift,
}

impl Sections {
    pub(super) fn draw(table: &AugmentTable, shape: [usize; 3], random: &mut Random) -> Self {
        let mut sections = Self::default();
        sections.draw_missing(table, shape[0], random);
        sections.draw_misalignment(table, shape[0], random);
        if comes_up(table.elastic.probability, random) {
            sections.bent =
                (0..shape[0]).map(|_| Field::draw(&table.elastic, shape, random)).collect();
        }
        sections
    }

    fn draw_missing(&mut self, table: &AugmentTable, depth: usize, random: &mut Random) {
        if !comes_up(table.missing_section.probability, random) {
            return;
        }
        let count = 1 + random.below(table.missing_section.sections as u64);
        for _ in 0..count {
            let section = random.below(depth as u64) as usize;
            let partial = comes_up(table.missing_section.partial, random);
            let corner = Corner {
                at: [random.uniform() as f32, random.uniform() as f32],
                after: [random.below(2) == 1, random.below(2) == 1],
            };
            self.missing.push((section, partial.then_some(corner)));
        }
    }

    fn draw_misalignment(&mut self, table: &AugmentTable, depth: usize, random: &mut Random) {
        let (table, middle) = (&table.misalignment, depth / 2);
        if depth < 2 || !comes_up(table.probability, random) {
            return;
        }
        let mut shift =
            || (random.below(2 * table.max_shift as u64 + 1) as f32) - table.max_shift as f32;
        let shift = [shift(), shift()];
        let slip = comes_up(table.slip, random);
        let first = 1 + random.below(depth as u64 - 1) as usize;
        if slip {
            self.slip = Some((first, shift));
            return;
        }
        // The side with the centre stays where it is.
        let moves = |section: usize| (section >= first) == (first > middle);
        self.shifts = (0..depth).map(|z| if moves(z) { shift } else { [0.0; 2] }).collect();
    }

    /// Voxels around the plane that shifts can reach.
    pub(super) fn margin(&self) -> usize {
        let most = |shift: &Shift| shift[0].abs().max(shift[1].abs());
        let shifts = self.shifts.iter().chain(self.slip.iter().map(|(_, s)| s)).map(most);
        let bent = self.bent.iter().map(Field::most);
        (shifts.fold(0.0, f32::max) + bent.fold(0.0, f32::max)).ceil() as usize
    }

    /// The inner part of a crop, with all that goes wrong; `ranges`: black and white of each channel.
    pub(super) fn apply(
        &self,
        crop: Crop,
        margin: [usize; 3],
        shape: [usize; 3],
        ranges: &[[f32; 2]],
    ) -> Crop {
        let moved = !self.shifts.is_empty() || self.slip.is_some() || !self.bent.is_empty();
        let mut result = if moved {
            let mut result = inner(&crop, margin, shape);
            (0..shape[0]).for_each(|z| self.move_section(&crop, margin, &mut result, z));
            result
        } else if margin == [0; 3] {
            crop
        } else {
            inner(&crop, margin, shape)
        };
        for (section, corner) in &self.missing {
            for (image, [black, _]) in result.images.iter_mut().zip(ranges) {
                blacken(image, shape, *section, *corner, *black);
            }
        }
        result
    }

    fn move_section(&self, from: &Crop, margin: [usize; 3], to: &mut Crop, z: usize) {
        let [_, height, width] = to.shape;
        let plane = z * from.shape[1] * from.shape[2];
        let size = [from.shape[1], from.shape[2]];
        let shift = self.shifts.get(z).copied().unwrap_or_default();
        let slip = self.slip.filter(|(section, _)| *section == z).map_or([0.0; 2], |(_, s)| s);
        for y in 0..height {
            for x in 0..width {
                let bent = self.bent.get(z).map_or([0.0; 2], |field| field.at(y as f32, x as f32));
                let place =
                    [0, 1].map(|a| [y, x][a] as f32 + margin[a + 1] as f32 + shift[a] + bent[a]);
                let at = (z * height + y) * width + x;
                let near = plane + nearest(place, size);
                to.labels[at] = from.labels[near];
                to.masked[at] = from.masked[near];
                let seen = [place[0] + slip[0], place[1] + slip[1]];
                for (to, from) in to.images.iter_mut().zip(&from.images) {
                    to[at] = between(&from[plane..], size, seen);
                }
            }
        }
    }
}

impl Field {
    fn draw(table: &ElasticTable, shape: [usize; 3], random: &mut Random) -> Self {
        let nodes = |size: usize| size.div_ceil(table.spacing) + 1;
        let (rows, columns) = (nodes(shape[1]), nodes(shape[2]));
        let cut = 2.0 * table.sigma;
        let mut one = || (random.normal() as f32 * table.sigma).clamp(-cut, cut);
        let nodes = (0..rows * columns).map(|_| [one(), one()]).collect();
        let spacing = table.spacing as f32;
        let mut field = Self { spacing, columns, nodes, centre: [0.0; 2] };
        field.centre = field.at((shape[1] / 2) as f32, (shape[2] / 2) as f32);
        field
    }

    fn at(&self, y: f32, x: f32) -> Shift {
        let (y, x) = (y / self.spacing, x / self.spacing);
        let (row, column) = (y as usize, x as usize);
        let (fy, fx) = (y - row as f32, x - column as f32);
        let node = |dy: usize, dx: usize| self.nodes[(row + dy) * self.columns + column + dx];
        [0, 1].map(|a| {
            let above = node(0, 0)[a] * (1.0 - fx) + node(0, 1)[a] * fx;
            let below = node(1, 0)[a] * (1.0 - fx) + node(1, 1)[a] * fx;
            above * (1.0 - fy) + below * fy - self.centre[a]
        })
    }

    fn most(&self) -> f32 {
        let from_centre =
            |s: &Shift| (s[0] - self.centre[0]).abs().max((s[1] - self.centre[1]).abs());
        self.nodes.iter().map(from_centre).fold(0.0, f32::max)
    }
}

fn nearest(place: Shift, size: [usize; 2]) -> usize {
    let [y, x] = [0, 1].map(|a| (place[a].round().max(0.0) as usize).min(size[a] - 1));
    y * size[1] + x
}

/// Linear between the four neighbours.
fn between(plane: &[f32], size: [usize; 2], place: Shift) -> f32 {
    let [y, x] = [0, 1].map(|a| place[a].clamp(0.0, (size[a] - 1) as f32));
    let (top, left) = (y as usize, x as usize);
    let (bottom, right) = ((top + 1).min(size[0] - 1), (left + 1).min(size[1] - 1));
    let (fy, fx) = (y - top as f32, x - left as f32);
    let at = |row: usize, column: usize| plane[row * size[1] + column];
    let upper = at(top, left) * (1.0 - fx) + at(top, right) * fx;
    let lower = at(bottom, left) * (1.0 - fx) + at(bottom, right) * fx;
    upper * (1.0 - fy) + lower * fy
}

fn blacken(
    image: &mut [f32],
    [_, height, width]: [usize; 3],
    section: usize,
    corner: Option<Corner>,
    black: f32,
) {
    let gone = |share: f32, at: f32, after: bool| (share >= at) == after;
    for y in 0..height {
        let row = &mut image[(section * height + y) * width..][..width];
        for (x, value) in row.iter_mut().enumerate() {
            let missing = corner.is_none_or(|Corner { at, after }| {
                gone(y as f32 / height as f32, at[0], after[0])
                    && gone(x as f32 / width as f32, at[1], after[1])
            });
            if missing {
                *value = black;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::config::{MisalignmentTable, MissingSectionTable};
    use super::*;

    /// Values that are linear in y and x, so that a shift can be read off them.
    fn ramp(shape: [usize; 3]) -> Crop {
        let count = shape.iter().product::<usize>();
        let value = |n: usize| (n / shape[2] % shape[1] * 100 + n % shape[2]) as f32;
        Crop {
            shape,
            images: vec![(0..count).map(value).collect()],
            labels: (0..count).map(|n| value(n) as u64).collect(),
            masked: vec![false; count],
        }
    }

    fn applied(table: &AugmentTable, number: u64, shape: [usize; 3]) -> (Sections, Crop) {
        let sections = Sections::draw(table, shape, &mut Random::new(5, number));
        let margin = [0, sections.margin(), sections.margin()];
        let read = std::array::from_fn(|a| shape[a] + 2 * margin[a]);
        let crop = sections.apply(ramp(read), margin, shape, &[[-1.0, 1.0]]);
        (sections, crop)
    }

    /// What a voxel would be if nothing were wrong.
    fn unmoved(shape: [usize; 3], margin: usize, n: usize) -> f32 {
        ((n / shape[2] % shape[1] + margin) * 100 + n % shape[2] + margin) as f32
    }

    #[test]
    fn a_translation_moves_image_and_labels_and_not_the_centre() {
        let shape = [7, 9, 11];
        let misalignment = MisalignmentTable { probability: 1.0, max_shift: 3, slip: 0.0 };
        let table = AugmentTable { misalignment, ..AugmentTable::default() };
        let mut moved = 0;
        for number in 0..30 {
            let (sections, crop) = applied(&table, number, shape);
            for n in 0..crop.images[0].len() {
                assert_eq!(crop.images[0][n], crop.labels[n] as f32);
                let shift = sections.shifts[n / 99];
                let expected = unmoved(shape, sections.margin(), n) + shift[0] * 100.0 + shift[1];
                assert_eq!(crop.images[0][n], expected);
                moved += usize::from(shift != [0.0; 2]);
            }
            assert_eq!(sections.shifts[3], [0.0; 2]);
        }
        assert!(moved > 0);
    }

    #[test]
    fn a_slip_moves_the_image_of_one_section() {
        let shape = [7, 9, 11];
        let misalignment = MisalignmentTable { probability: 1.0, max_shift: 3, slip: 1.0 };
        let table = AugmentTable { misalignment, ..AugmentTable::default() };
        let (sections, crop) = applied(&table, 4, shape);
        let (section, shift) = sections.slip.unwrap_or_default();
        for n in 0..crop.images[0].len() {
            let expected = unmoved(shape, sections.margin(), n);
            assert_eq!(crop.labels[n], expected as u64);
            let by = if n / 99 == section { shift[0] * 100.0 + shift[1] } else { 0.0 };
            assert_eq!(crop.images[0][n], expected + by);
        }
    }

    #[test]
    fn bent_sections_keep_their_centre_and_labels_follow_the_image() {
        let shape = [5, 21, 21];
        let elastic = ElasticTable { probability: 1.0, spacing: 8, sigma: 2.0 };
        let table = AugmentTable { elastic, ..AugmentTable::default() };
        let (sections, crop) = applied(&table, 9, shape);
        let mut bent = 0;
        for n in 0..crop.images[0].len() {
            // The image lies between voxels, the label is that of the nearest.
            let (image, label) = (crop.images[0][n], crop.labels[n] as f32);
            let dx = (image - label + 50.0).rem_euclid(100.0) - 50.0;
            assert!(dx.abs() <= 50.1, "{image} {label}");
            bent += usize::from((image - unmoved(shape, sections.margin(), n)).abs() > 0.5);
        }
        assert!(bent > crop.images[0].len() / 2);
        for z in 0..5 {
            let centre = (z * 21 + 10) * 21 + 10;
            let expected = unmoved(shape, sections.margin(), centre);
            assert!((crop.images[0][centre] - expected).abs() < 0.05);
        }
    }

    #[test]
    fn sections_go_missing_whole_and_in_part() {
        let shape = [7, 9, 11];
        let missing_section = MissingSectionTable { probability: 1.0, sections: 1, partial: 0.5 };
        let table = AugmentTable { missing_section, ..AugmentTable::default() };
        let (mut whole, mut part) = (0, 0);
        for number in 0..40 {
            let (_, crop) = applied(&table, number, shape);
            let black = crop.images[0].chunks(99).map(|s| s.iter().filter(|v| **v == -1.0).count());
            let black: Vec<usize> = black.filter(|count| *count > 0).collect();
            assert!(black.len() <= 1);
            whole += usize::from(black == [99]);
            part += usize::from(black.first().is_some_and(|count| *count < 99));
        }
        assert!(whole > 5 && part > 5, "{whole} {part}");
    }
}
