//! Changes of examples: axes, mirrors, grey values, and what goes wrong with sections.

mod axes;
mod grey;
mod sections;

use super::config::AugmentTable;
use super::example::Crop;
use super::geometry::{Geometry, gather};
use crate::estimate::random::Random;
use axes::Axes;
use grey::Grey;
use sections::Sections;

/// What may be done.
#[derive(Debug, Clone)]
pub(super) struct Augmentation(pub(super) AugmentTable);

/// What is done with one example.
#[derive(Debug)]
pub(super) struct Plan {
    axes: Axes,
    grey: Option<Grey>,
    sections: Sections,
}

impl Augmentation {
    /// Draws what is done with an example.
    pub(super) fn draw(&self, geometry: &Geometry, random: &mut Random) -> Plan {
        let Self(table) = self;
        Plan {
            axes: Axes::draw(table, random),
            grey: Grey::draw(&table.grey, random),
            sections: Sections::draw(table, geometry.canvas, random),
        }
    }
}

impl Plan {
    /// Voxels that are needed around the example, `[z, y, x]`.
    pub(super) fn margin(&self) -> [usize; 3] {
        let margin = self.sections.margin();
        [0, margin, margin]
    }

    /// Changes what was read, margins and all, into a crop of `shape`.
    pub(super) fn apply(&self, crop: Crop, shape: [usize; 3], mean: f32, stddev: f32) -> Crop {
        // Four deviations around the mean hold nearly all of an image.
        let (black, white) = (mean - 4.0 * stddev, mean + 4.0 * stddev);
        let mut crop = self.sections.apply(crop, self.margin(), shape, black);
        if let Some(grey) = &self.grey {
            grey.apply(&mut crop.image, black, white);
        }
        self.axes.apply(crop)
    }
}

/// A crop without its margins.
fn inner(crop: &Crop, margin: [usize; 3], shape: [usize; 3]) -> Crop {
    fn part<T: Copy>(values: &[T], crop: &Crop, margin: [usize; 3], shape: [usize; 3]) -> Vec<T> {
        let mut to = Vec::with_capacity(shape.iter().product());
        gather(values, crop.shape, margin, shape, &mut to);
        to
    }
    Crop {
        shape,
        image: part(&crop.image, crop, margin, shape),
        labels: part(&crop.labels, crop, margin, shape),
        masked: part(&crop.masked, crop, margin, shape),
    }
}

/// Whether something of a probability comes up.
fn comes_up(probability: f32, random: &mut Random) -> bool {
    random.uniform() <= f64::from(probability)
}
