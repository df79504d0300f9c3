//! What examples are made from: volumes, the table of classes, coordinates; checked and counted once.

use std::path::Path;
use std::sync::Arc;

use super::augment::Augmentation;
use super::census::{Census, Survey};
use super::config::TrainConfig;
use super::coordinates::{Coordinates, Named, Rounds};
use super::example::Examples;
use super::geometry::Geometry;
use super::partition::Classes;
use super::positions::{Balanced, KEPT_BYTES, Positions};
use super::source::Source;
use crate::error::{Error, Result};
use crate::progress::{Event, Observer};

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
    /// Bytes of blocks that are kept while examples are made.
    kept_bytes: u64,
}

#[derive(Debug)]
enum Centres {
    Balanced(Arc<Census>),
    Listed(Arc<Coordinates>),
}

impl Material {
    /// Opens the volumes, each of which keeps chunks of image, labels and mask of so many bytes at most, and
    /// counts or reads what is needed, in so many bytes of memory beside them.
    ///
    /// # Errors
    /// What is wrong with volumes, labels and coordinates.
    pub(super) fn open(
        config: &TrainConfig,
        geometry: Geometry,
        folder: &Path,
        [memory, cache_bytes]: [u64; 2],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let sampling = &config.sampling;
        let open = |table| Source::open(table, cache_bytes);
        let sources = config.volumes.iter().map(open).collect::<Result<Vec<_>>>()?;
        let memory = memory.saturating_sub(chunk_bytes(&sources));
        let model = &config.model;
        let advised = std::array::from_fn(|a| model.fov_zyx[a] / 2 + model.deltas_zyx[a]);
        let radius = sampling.lom_radius_zyx.unwrap_or(advised);
        // Coordinates know nothing of the box: only the example has to stay inside.
        let radius = if sampling.coordinates.is_some() { [0; 3] } else { radius };
        let classes = Classes { radius, thresholds: sampling.thresholds.clone() };
        let survey = Survey::new(sources, classes, sampling.min_size, geometry.radius())?;
        let centres = match &sampling.coordinates {
            Some(path) => Centres::Listed(Arc::new(listed(path, &survey, memory, observer)?)),
            None => {
                let census = survey.census(&folder.join(TABLE), memory, observer)?;
                Centres::Balanced(Arc::new(census))
            }
        };
        let material = Self {
            survey: Arc::new(survey),
            centres,
            geometry,
            augmentation: Augmentation(config.augment.clone()),
            seed: sampling.seed,
            background: sampling.background,
            kept_bytes: KEPT_BYTES.min(memory / 8),
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
            Centres::Listed(coordinates) => {
                Positions::Listed(Rounds::new(Arc::clone(coordinates), self.seed))
            }
            Centres::Balanced(census) => {
                let (survey, census) = (Arc::clone(&self.survey), Arc::clone(census));
                let balanced =
                    Balanced::new(survey, census, self.seed, self.background, self.kept_bytes)?;
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

    /// Bytes of labels that are held while examples are made.
    pub(super) fn label_bytes(&self) -> u64 {
        match &self.centres {
            Centres::Listed(coordinates) => coordinates.bytes(),
            Centres::Balanced(_) => self.survey.block_bytes().saturating_add(self.kept_bytes),
        }
    }

    /// Bytes of chunks that the volumes keep at most.
    pub(super) fn chunk_bytes(&self) -> u64 {
        chunk_bytes(&self.survey.sources)
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

fn chunk_bytes(sources: &[Source]) -> u64 {
    sources.iter().map(|source| source.chunk_bytes).fold(0, u64::saturating_add)
}

/// The coordinates of a file that can be centres; what is left out is told.
fn listed(
    path: &str,
    survey: &Survey,
    memory: u64,
    observer: &dyn Observer,
) -> Result<Coordinates> {
    let named = survey
        .sources
        .iter()
        .zip(&survey.grids)
        .map(|(source, grid)| Named { name: source.table.name.clone(), centres: grid.region() });
    let named: Vec<Named> = named.collect();
    let mut coordinates = Coordinates::open(Path::new(path), &named, memory)?;
    coordinates.leave_out_masked(survey, observer)?;
    let told = coordinates.left_out().map_err(|message| Error::settings(path, message))?;
    if let Some(text) = told {
        observer.notify(&Event::Warning(&format!("{path}: {text}")));
    }
    Ok(coordinates)
}
