//! What examples are made from: volumes, the table of classes, coordinates; checked and counted once.

use std::path::Path;
use std::sync::Arc;

use super::augment::Augmentation;
use super::census::{Census, Survey};
use super::config::TrainConfig;
use super::coordinates::{Coordinates, Named};
use super::example::Examples;
use super::geometry::Geometry;
use super::partition::Classes;
use super::positions::{Balanced, Positions};
use super::source::Source;
use crate::error::Result;
use crate::progress::Observer;

/// Name of the table of classes in the folder of a training.
pub(super) const TABLE: &str = "classes.json";

/// All of it; makes [`Examples`], as many as are needed.
#[derive(Debug)]
pub(super) struct Material {
    survey: Arc<Survey>,
    centres: Centres,
    geometry: Geometry,
    augmentation: Augmentation,
    seed: u64,
    background: bool,
}

#[derive(Debug)]
enum Centres {
    Balanced(Arc<Census>),
    Listed(Coordinates),
}

impl Material {
    /// Opens the volumes, and counts or reads what is needed.
    ///
    /// # Errors
    /// What is wrong with volumes, labels and coordinates.
    pub(super) fn open(
        config: &TrainConfig,
        geometry: Geometry,
        folder: &Path,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let sampling = &config.sampling;
        let sources = config.volumes.iter().map(Source::open).collect::<Result<Vec<_>>>()?;
        let model = &config.model;
        let advised = std::array::from_fn(|a| model.fov_zyx[a] / 2 + model.deltas_zyx[a]);
        let radius = sampling.lom_radius_zyx.unwrap_or(advised);
        // Coordinates know nothing of the box: only the example has to stay inside.
        let radius = if sampling.coordinates.is_some() { [0; 3] } else { radius };
        let classes = Classes { radius, thresholds: sampling.thresholds.clone() };
        let survey = Survey::new(sources, classes, sampling.min_size, geometry.radius())?;
        let centres = match &sampling.coordinates {
            Some(path) => {
                let named = survey.sources.iter().zip(&survey.grids).map(|(source, grid)| Named {
                    name: source.table.name.clone(),
                    centres: grid.region(),
                });
                let named: Vec<Named> = named.collect();
                Centres::Listed(Coordinates::open(Path::new(path), &named, sampling.seed)?)
            }
            None => Centres::Balanced(Arc::new(survey.census(&folder.join(TABLE), observer)?)),
        };
        let material = Self {
            survey: Arc::new(survey),
            centres,
            geometry,
            augmentation: Augmentation(config.augment.clone()),
            seed: sampling.seed,
            background: sampling.background,
        };
        // Refuses volumes that have nothing to draw before anything else begins.
        material.examples()?;
        Ok(material)
    }

    /// A maker of examples.
    ///
    /// # Errors
    /// If a volume has nothing to draw.
    pub(super) fn examples(&self) -> Result<Examples> {
        let positions = match &self.centres {
            Centres::Listed(coordinates) => Positions::Listed(coordinates.clone()),
            Centres::Balanced(census) => {
                let (survey, census) = (Arc::clone(&self.survey), Arc::clone(census));
                let balanced = Balanced::new(survey, census, self.seed, self.background)?;
                Positions::Balanced(balanced)
            }
        };
        Ok(Examples {
            sources: self.survey.sources.clone(),
            positions,
            geometry: self.geometry,
            augmentation: self.augmentation.clone(),
            seed: self.seed,
        })
    }

    /// Labelled voxels of all volumes, where they were counted.
    pub(super) fn labelled_voxels(&self) -> Option<u64> {
        match &self.centres {
            Centres::Balanced(census) => {
                Some(census.volumes.iter().map(|v| v.labelled_voxels).sum())
            }
            Centres::Listed(_) => None,
        }
    }
}
