//! Which voxel is the centre of which example. The number of an example gives its centre, so that a run
//! that is gone on with sees the same examples, and nothing but counts is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use super::census::{Census, Survey, VolumeCensus};
use super::coordinates::Rounds;
use crate::error::{Error, Result};
use crate::estimate::random::Random;

/// Bytes of blocks' classes that are kept for the next examples, at most.
pub(super) const KEPT_BYTES: u64 = 128 << 20;
/// Which random numbers of a seed choose centres; those of the other purposes are further on.
pub(super) const CENTRES: u64 = 0;
pub(super) const AUGMENTATION: u64 = 1;
pub(super) const MOVES: u64 = 2;

/// The random numbers of an example for a purpose.
pub(super) fn random(seed: u64, purpose: u64, example: u64) -> Random {
    Random::new(seed.wrapping_add(purpose << 48), example)
}

/// Centre of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Centre {
    /// Which volume.
    pub(super) volume: usize,
    /// Which voxel of it.
    pub(super) zyx: [u64; 3],
}

/// Where centres come from.
#[derive(Debug)]
pub(super) enum Positions {
    /// All classes of voxels equally often.
    Balanced(Balanced),
    /// A file.
    Listed(Rounds),
}

impl Positions {
    /// The centre of an example.
    ///
    /// # Errors
    /// What the labels say when they are read.
    pub(super) fn centre(&mut self, example: u64) -> Result<Centre> {
        match self {
            Self::Balanced(balanced) => balanced.centre(example),
            Self::Listed(rounds) => Ok(rounds.centre(example)),
        }
    }
}

/// Draws a volume by weight, a class that it has, a block by how much of the class it has, and a voxel.
#[derive(Debug)]
pub(super) struct Balanced {
    survey: Arc<Survey>,
    census: Arc<Census>,
    seed: u64,
    volumes: Vec<Draw>,
    kept: Kept,
}

/// What there is to draw in a volume.
#[derive(Debug)]
struct Draw {
    weight: f64,
    /// For each class that there is: the class, and how many voxels of it lie in a block or before it.
    classes: Vec<(u8, Vec<u64>)>,
}

impl Balanced {
    /// `kept_bytes`: of blocks that are kept for the next examples.
    ///
    /// # Errors
    /// [`Error::Settings`] if a volume has no voxel to draw.
    pub(super) fn new(
        survey: Arc<Survey>,
        census: Arc<Census>,
        seed: u64,
        with_background: bool,
        kept_bytes: u64,
    ) -> Result<Self> {
        let mut volumes = Vec::new();
        for (source, volume) in survey.sources.iter().zip(&census.volumes) {
            let classes = classes(volume, survey.classes.count(), with_background);
            if !classes.iter().any(|(class, _)| *class > 0) {
                let message = format!(
                    "no object has a voxel so far from the borders of {} that an example fits",
                    source.roi
                );
                return Err(Error::settings(source.labels.name(), message));
            }
            volumes.push(Draw { weight: source.table.weight, classes });
        }
        let kept = Kept { most: kept_bytes, ..Kept::default() };
        Ok(Self { survey, census, seed, volumes, kept })
    }

    fn centre(&mut self, example: u64) -> Result<Centre> {
        let mut random = random(self.seed, CENTRES, example);
        let volume = self.volume(random.uniform());
        let classes = &self.volumes[volume].classes;
        let (class, before) = &classes[random.below(classes.len() as u64) as usize];
        let drawn = random.below(before.last().copied().unwrap_or(1));
        let block = before.partition_point(|voxels| *voxels <= drawn);
        let rank = drawn - if block > 0 { before[block - 1] } else { 0 };
        let (class, block) = (*class, block as u64);
        let found = self.block(volume, block)?;
        let same = found.iter().enumerate().filter(|(_, c)| **c == class).map(|(at, _)| at);
        let at = same.clone().nth(rank as usize);
        let within = self.survey.grids[volume].block(block);
        let Some(at) = at else {
            let message = format!(
                "block {within} has changed since its voxels were counted; remove {}",
                super::material::TABLE
            );
            return Err(Error::settings(self.survey.sources[volume].labels.name(), message));
        };
        let (at, [_, y, x]) = (at as u64, within.shape());
        let [dz, dy, dx] = [at / (y * x), at / x % y, at % x];
        let [z, y, x] = within.start;
        Ok(Centre { volume, zyx: [z + dz, y + dy, x + dx] })
    }

    fn volume(&self, uniform: f64) -> usize {
        let total: f64 = self.volumes.iter().map(|v| v.weight).sum();
        let mut left = uniform * total;
        let drawn = self.volumes.iter().position(|volume| {
            left -= volume.weight;
            left <= 0.0
        });
        drawn.unwrap_or(self.volumes.len() - 1)
    }

    fn block(&mut self, volume: usize, block: u64) -> Result<Arc<Vec<u8>>> {
        if let Some(found) = self.kept.get((volume, block)) {
            return Ok(found);
        }
        let objects = &self.census.volumes[volume].objects;
        let found = Arc::new(self.survey.block(volume, block, objects)?);
        self.kept.put((volume, block), Arc::clone(&found));
        Ok(found)
    }
}

fn classes(volume: &VolumeCensus, count: usize, with_background: bool) -> Vec<(u8, Vec<u64>)> {
    let first = usize::from(!with_background);
    let running = |class: usize| {
        let mut sum = 0;
        let mut add = |counts: &Vec<u32>| {
            sum += u64::from(counts.get(class).copied().unwrap_or_default());
            sum
        };
        (class as u8, volume.counts.iter().map(&mut add).collect::<Vec<u64>>())
    };
    let all = (first..count).map(running);
    all.filter(|(_, before)| before.last().is_some_and(|sum| *sum > 0)).collect()
}

/// Blocks' classes, those asked for last.
#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<(BlockKey, Arc<Vec<u8>>)>,
    bytes: u64,
    most: u64,
}

/// Number of the volume and of its block.
type BlockKey = (usize, u64);

impl Kept {
    fn get(&mut self, key: BlockKey) -> Option<Arc<Vec<u8>>> {
        let at = self.blocks.iter().position(|(k, _)| *k == key)?;
        let found = self.blocks.remove(at)?;
        let classes = Arc::clone(&found.1);
        self.blocks.push_back(found);
        Some(classes)
    }

    fn put(&mut self, key: BlockKey, classes: Arc<Vec<u8>>) {
        self.bytes += classes.len() as u64;
        self.blocks.push_back((key, classes));
        while self.bytes > self.most {
            let Some((_, gone)) = self.blocks.pop_front() else { break };
            self.bytes -= gone.len() as u64;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use exavox_io::{BoundingBox, DataType, VolumeWriter, Voxels, WriteOptions};

    use super::super::config::TrainConfig;
    use super::super::partition::Classes;
    use super::super::source::Source;
    use super::*;
    use crate::progress::Silent;

    const SHAPE: [usize; 3] = [20, 70, 75];

    /// A thick object, a thin one, and one that is too small.
    fn label(n: usize) -> u8 {
        let (z, y, x) = (n / (70 * 75), n / 75 % 70, n % 75);
        match (z, y, x) {
            (_, 0..40, _) => 1,
            (10, 50, _) => 2,
            (5, 60, 30..33) => 3,
            _ => 0,
        }
    }

    fn survey(directory: &std::path::Path, weights: [f64; 2]) -> Survey {
        let mut tables = Vec::new();
        for (number, weight) in weights.into_iter().enumerate() {
            let name = directory.join(format!("l{number}.npy")).display().to_string();
            if number == 0 || weight > 0.0 {
                let options = WriteOptions::new(DataType::U8, SHAPE.map(|s| s as u64));
                let writer = VolumeWriter::create(&name, &options).unwrap();
                let values: Vec<u8> = (0..SHAPE.iter().product()).map(label).collect();
                writer.write(0, [0; 3], &Voxels::from_vec(SHAPE, values).unwrap()).unwrap();
                writer.finish().unwrap();
                let text = format!(
                    "[[volumes]]\nimage = '{name}'\nlabels = '{name}'\nmean = 0\nstddev = 1\n\
                     weight = {weight}\n[model]\n[run]\noutput = 'o'\nsteps = 1\n"
                );
                tables.extend(TrainConfig::parse(&text, "c").unwrap().volumes);
            }
        }
        let sources = tables.iter().map(|table| Source::open(table, 1 << 20).unwrap()).collect();
        let classes = Classes { radius: [2, 2, 2], thresholds: vec![0.1, 0.5, 0.95] };
        Survey::new(sources, classes, 50, [3, 3, 3]).unwrap()
    }

    fn balanced(directory: &std::path::Path, weights: [f64; 2], background: bool) -> Balanced {
        let survey = survey(directory, weights);
        let path = directory.join("classes.json");
        let census = survey.census(&path, 1 << 30, &Silent).unwrap();
        // The second time it is read from the file.
        let changed = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(survey.census(&path, 0, &Silent).unwrap(), census);
        let other = directory.join("other.json");
        let error = survey.census(&other, 1 << 20, &Silent).unwrap_err().to_string();
        assert!(error.contains("a block of labels needs 3 MiB of memory, 1 MiB may"), "{error}");
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), changed);
        Balanced::new(Arc::new(survey), Arc::new(census), 5, background, 1 << 20).unwrap()
    }

    #[test]
    fn all_classes_come_up_alike_and_every_centre_is_of_its_class() {
        let directory = tempfile::tempdir().unwrap();
        let mut balanced = balanced(directory.path(), [1.0, 0.0], true);
        let objects = &balanced.census.volumes[0].objects;
        assert_eq!(objects.iter().copied().collect::<Vec<_>>(), [1, 2]);
        let mut classes: BTreeMap<u8, u32> = BTreeMap::new();
        let survey = Arc::clone(&balanced.survey);
        let count = 1200;
        for example in 0..count {
            let Centre { zyx, .. } = balanced.centre(example).unwrap();
            assert!((0..3).all(|a| zyx[a] >= 3 && zyx[a] + 3 < SHAPE[a] as u64));
            assert_eq!(balanced.centre(example).unwrap().zyx, zyx);
            let start = zyx.map(|v| v - 2);
            let around = BoundingBox::from_start_shape(start, [5; 3]);
            let labels = survey.sources[0].read_labels(&around).unwrap();
            let class = survey.classes.block(&labels, [1; 3], |label| label < 3)[0];
            *classes.entry(class).or_default() += 1;
        }
        // The thin object has 5 voxels in 125: class 1. The thick one at its side: 3, inside: 4.
        assert_eq!(classes.keys().copied().collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert!(classes.values().all(|n| (200..400).contains(n)), "{classes:?}");
    }

    #[test]
    fn volumes_come_up_by_their_weights_and_background_can_be_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let mut balanced = balanced(directory.path(), [1.0, 3.0], false);
        let mut second = 0;
        for example in 0..800 {
            let Centre { volume, zyx: [z, y, x] } = balanced.centre(example).unwrap();
            second += volume;
            let at = (z as usize * 70 + y as usize) * 75 + x as usize;
            assert!([1, 2].contains(&label(at)));
        }
        assert!((540..660).contains(&second), "{second}");
    }
}
