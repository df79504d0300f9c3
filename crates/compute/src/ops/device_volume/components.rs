//! Objects: connected components, and those that seeds lie in.

use std::collections::HashMap;

use cubecl::client::Client;
use cubecl::server::Handle;
use exavox_io::DataType;

use super::DeviceVolume;
use crate::error::{Error, Result};
use crate::kernels::components::{
    launch_count_roots, launch_gather, launch_number, launch_paint, launch_roots, launch_scatter,
    launch_within,
};
use crate::ops::flood_fill::Seed;
use crate::ops::{Connectivity, ValueRange};

/// Root of voxels that belong to nothing.
const NONE: u32 = u32::MAX;

/// What a flood on a device has reached.
pub struct DeviceFlood {
    /// The seed's label or 0, `uint32`.
    pub labels: DeviceVolume,
    /// For each seed the object that it lies in; `None` if its value is out of the range.
    pub objects: Vec<Option<FloodedObject>>,
}

/// An object that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodedObject {
    /// A voxel that stands for the object, by its place in the volume.
    pub root: u32,
    /// What its voxels get: the label of its first seed.
    pub label: u32,
}

impl DeviceVolume {
    /// Components of the voxels in a range, and how many there are. Numbered from 1 on in the order of
    /// their first voxels (z, y, x), 0 elsewhere, `uint32`. NaN is in no range.
    ///
    /// # Errors
    /// [`Error::Usage`] if the range holds no value of the type; [`Error::DeviceFailed`].
    pub fn components_within(
        &self,
        range: ValueRange,
        connectivity: Connectivity,
    ) -> Result<(Self, u32)> {
        let ends = self.ends(range)?;
        self.components_of(connectivity, |client, this| this.class(client, ends))
    }

    /// Components of labels: neighbours belong together if they have the same value, which is not 0.
    /// Numbered as by [`Self::components_within`].
    ///
    /// # Errors
    /// [`Error::Usage`] for floats; [`Error::DeviceFailed`].
    pub fn components_of_labels(&self, connectivity: Connectivity) -> Result<(Self, u32)> {
        if self.dtype == DataType::F32 {
            return Err(Error::Usage("labels must be integers, found float32".into()));
        }
        self.components_of(connectivity, |_, this| this.words.clone())
    }

    /// Seeded flood fill: of the voxels in a range those that are connected to a seed get the seed's label.
    /// Where several seeds lie in one object the first takes it.
    ///
    /// # Errors
    /// As [`Self::components_within`]; [`Error::Usage`] if a seed lies outside.
    pub fn flood(
        &self,
        range: ValueRange,
        seeds: &[Seed],
        connectivity: Connectivity,
    ) -> Result<DeviceFlood> {
        let (ends, reach) = (self.ends(range)?, reach(connectivity));
        let positions = self.positions(seeds)?;
        if self.voxels() == 0 || seeds.is_empty() {
            return Ok(DeviceFlood { labels: self.zeros()?, objects: Vec::new() });
        }
        let at = self.upload_words(&positions)?;
        let parents = self.make(self.shape, DataType::U32, |client| {
            launch_roots(client, &self.class(client, ends), self.shape, reach)
        })?;
        let found = self
            .make(self.shape, DataType::U32, |client| launch_gather(client, &parents.words, &at))?;
        let roots = self.read(&found.words, seeds.len())?;
        let objects = take(&roots, seeds);
        let labels: HashMap<u32, u32> =
            objects.iter().flatten().map(|object| (object.root, object.label)).collect();
        let (at, values): (Vec<u32>, Vec<u32>) = labels.into_iter().unzip();
        if at.is_empty() {
            return Ok(DeviceFlood { labels: self.zeros()?, objects });
        }
        let (at, values) = (self.upload_words(&at)?, self.upload_words(&values)?);
        let labels = self.make(self.shape, DataType::U32, |client| {
            let numbers = launch_scatter(client, &values, &at, self.voxels());
            launch_paint(client, &numbers, &parents.words);
            parents.words
        })?;
        Ok(DeviceFlood { labels, objects })
    }

    fn components_of(
        &self,
        connectivity: Connectivity,
        class: impl FnOnce(&Client, &Self) -> Handle,
    ) -> Result<(Self, u32)> {
        let reach = reach(connectivity);
        if self.voxels() == 0 {
            return Ok((self.zeros()?, 0));
        }
        let labels = self.make(self.shape, DataType::U32, |client| {
            launch_roots(client, &class(client, self), self.shape, reach)
        })?;
        let counts =
            self.make(self.shape, DataType::U32, |c| launch_count_roots(c, &labels.words))?;
        let runs = (counts.words.size_in_used() / 4) as usize;
        // The sums over runs are done here: one word for many voxels crosses the bus.
        let mut total = 0;
        let mut before = self.read(&counts.words, runs)?;
        for count in &mut before {
            let ahead = total;
            total += *count;
            *count = ahead;
        }
        let before = self.upload_words(&before)?;
        let labels = self.make(self.shape, DataType::U32, |client| {
            launch_number(client, &labels.words, &before);
            labels.words
        })?;
        Ok((labels, total))
    }

    /// 1 in a range, 0 elsewhere.
    fn class(&self, client: &Client, ends: [u32; 2]) -> Handle {
        launch_within(client, &self.words, ends, self.dtype == DataType::F32)
    }

    fn zeros(&self) -> Result<Self> {
        let words = self.upload_words(&vec![0; self.voxels().max(1)])?;
        Ok(Self { dtype: DataType::U32, finite: true, words, ..self.clone() })
    }

    /// The ends of a range as words of this volume.
    fn ends(&self, range: ValueRange) -> Result<[u32; 2]> {
        let pair = |(low, high): (u32, u32)| [low, high];
        Ok(match self.dtype {
            DataType::U8 => pair(widened(range.ends::<u8>()?)),
            DataType::U16 => pair(widened(range.ends::<u16>()?)),
            DataType::F32 => {
                let (low, high) = range.ends::<f32>()?;
                [low.to_bits(), high.to_bits()]
            }
            _ => pair(range.ends::<u32>()?),
        })
    }

    fn positions(&self, seeds: &[Seed]) -> Result<Vec<u32>> {
        let shape = self.shape;
        let position = |Seed { position_zyx: [z, y, x], .. }: &Seed| {
            if *z >= shape[0] || *y >= shape[1] || *x >= shape[2] {
                let message = format!("seed [{z}, {y}, {x}] lies outside the volume of {shape:?}");
                return Err(Error::Usage(message));
            }
            Ok(((z * shape[1] + y) * shape[2] + x) as u32)
        };
        seeds.iter().map(position).collect()
    }
}

fn widened<T: Into<u32>>((low, high): (T, T)) -> (u32, u32) {
    (low.into(), high.into())
}

/// Which object each seed lies in, from the roots found there. The first seed of an object names it.
fn take(roots: &[u32], seeds: &[Seed]) -> Vec<Option<FloodedObject>> {
    let mut labels = HashMap::new();
    let object = |(root, seed): (&u32, &Seed)| {
        let inside = *root != NONE;
        inside.then(|| FloodedObject {
            root: *root,
            label: *labels.entry(*root).or_insert(seed.label),
        })
    };
    roots.iter().zip(seeds).map(object).collect()
}

/// Along how many axes neighbours may differ at once.
fn reach(connectivity: Connectivity) -> u32 {
    match connectivity {
        Connectivity::Six => 1,
        Connectivity::Eighteen => 2,
        Connectivity::TwentySix => 3,
    }
}
