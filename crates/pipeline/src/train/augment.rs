//! Changes of examples: axes, mirrors, grey values, and what goes wrong with sections.

mod axes;
mod grey;
mod sections;

use super::config::AugmentTable;
use super::example::Crop;
use super::geometry::{Geometry, gather};
use crate::estimate::random::Random;
use crate::segment::ImageChannel;
use axes::Axes;
use grey::Greys;
use sections::Sections;

/// What may be done.
#[derive(Debug, Clone)]
pub(super) struct Augmentation(pub(super) AugmentTable);

/// What is done with one example: the same places for all channels of the image, the labels and the mask.
#[derive(Debug)]
pub(super) struct Plan {
    axes: Axes,
    greys: Greys,
    sections: Sections,
}

impl Augmentation {
    /// Draws what is done with an example.
    pub(super) fn draw(&self, geometry: &Geometry, random: &mut Random) -> Plan {
        let Self(table) = self;
        Plan {
            axes: Axes::draw(table, random),
            greys: Greys::draw(&table.grey, geometry.channels, random),
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
    pub(super) fn apply(&self, crop: Crop, shape: [usize; 3], channels: &[ImageChannel]) -> Crop {
        // Black and white: four deviations around the mean hold nearly all of an image.
        let range = |c: &ImageChannel| [c.mean - 4.0 * c.stddev, c.mean + 4.0 * c.stddev];
        let ranges: Vec<[f32; 2]> = channels.iter().map(range).collect();
        let mut crop = self.sections.apply(crop, self.margin(), shape, &ranges);
        self.greys.apply(&mut crop.images, &ranges);
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
        images: crop.images.iter().map(|image| part(image, crop, margin, shape)).collect(),
        labels: part(&crop.labels, crop, margin, shape),
        masked: part(&crop.masked, crop, margin, shape),
    }
}

/// Whether something of a probability comes up.
fn comes_up(probability: f32, random: &mut Random) -> bool {
    random.uniform() <= f64::from(probability)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::config::{
        ElasticTable, GreyChannels, GreyTable, MisalignmentTable, MissingSectionTable, MovesTable,
        PolicyName,
    };
    use super::*;

    const SHAPE: [usize; 3] = [3, 7, 7];

    /// Everything comes up as often as `probability` says.
    fn table(probability: f32, slip: f32, channels: GreyChannels) -> AugmentTable {
        AugmentTable {
            grey: GreyTable { probability, channels: Some(channels), ..GreyTable::default() },
            missing_section: MissingSectionTable { probability, sections: 2, partial: 0.5 },
            misalignment: MisalignmentTable { probability, max_shift: 3, slip },
            elastic: ElasticTable { probability, spacing: 4, sigma: 1.0 },
            ..AugmentTable::default()
        }
    }

    /// What is done with an example whose image has so many channels.
    fn plan(table: &AugmentTable, channels: usize, seed: u64) -> Plan {
        let model = exavox_compute::ffn::ModelConfig { fov_zyx: SHAPE, deltas_zyx: [0, 1, 1] };
        let moves = MovesTable { policy: PolicyName::NoStep, ..MovesTable::default() };
        let geometry = Geometry::new(&model, &moves).with_channels(channels);
        Augmentation(table.clone()).draw(&geometry, &mut Random::new(seed, 3))
    }

    /// Values without a pattern.
    fn values(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed, 1);
        (0..count).map(|_| random.uniform() as f32 * 200.0).collect()
    }

    fn crop(plan: &Plan, seeds: &[u64]) -> Crop {
        let margin = plan.margin();
        let shape = [0, 1, 2].map(|a| SHAPE[a] + 2 * margin[a]);
        let count = shape.iter().product::<usize>();
        Crop {
            shape,
            images: seeds.iter().map(|seed| values(count, *seed)).collect(),
            labels: (0..count as u64).collect(),
            masked: (0..count).map(|at| at % 5 == 0).collect(),
        }
    }

    proptest! {
        /// Each channel of several becomes what it would become alone.
        #[test]
        fn the_geometry_of_all_channels_is_the_same(
            seed in 0_u64..1 << 40,
            probability in prop_oneof![Just(1.0_f32), Just(0.5)],
            slip in prop_oneof![Just(0.0_f32), Just(1.0)],
        ) {
            let table = table(probability, slip, GreyChannels::All);
            let channel = |mean, stddev| ImageChannel { number: 0, mean, stddev };
            let channels = [channel(90.0, 30.0), channel(120.0, 20.0), channel(90.0, 30.0)];
            let together = plan(&table, 3, seed);
            let seeds = [seed, seed + 1, seed];
            let found = together.apply(crop(&together, &seeds), SHAPE, &channels);
            for (n, number) in seeds.iter().enumerate() {
                let alone = plan(&table, 1, seed);
                let expected = alone.apply(crop(&alone, &[*number]), SHAPE, &channels[n..=n]);
                prop_assert_eq!(&found.images[n], &expected.images[0]);
                prop_assert_eq!(&found.labels, &expected.labels);
                prop_assert_eq!(&found.masked, &expected.masked);
            }
        }
    }

    #[test]
    fn grey_values_change_alike_or_each_in_its_own_way() {
        let channels = [ImageChannel { number: 0, mean: 100.0, stddev: 30.0 }; 2];
        let changed = |how: GreyChannels| {
            let table = AugmentTable { grey: table(1.0, 0.0, how).grey, ..AugmentTable::default() };
            let plan = plan(&table, 2, 8);
            let images = plan.apply(crop(&plan, &[5, 5]), SHAPE, &channels).images;
            images[0] == images[1]
        };
        assert!(changed(GreyChannels::All) && !changed(GreyChannels::Each));
    }
}
