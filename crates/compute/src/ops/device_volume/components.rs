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

/// Root of voxels that belong to nothing.
const NONE: u32 = u32::MAX;

impl DeviceVolume {
    /// Components of the voxels from `range[0]` to `range[1]`, ends included, and how many there are.
    /// Numbered from 1 on in the order of their first voxels (z, y, x), 0 elsewhere, `uint32`. NaN is in
    /// no range. `neighbours`: 6, 18 or 26.
    ///
    /// # Errors
    /// [`Error::Usage`] for other neighbours or an empty range; [`Error::DeviceFailed`].
    pub fn components_within(&self, range: [f64; 2], neighbours: u8) -> Result<(Self, u32)> {
        let ends = self.ends(range)?;
        self.components_of(neighbours, |client, this| this.class(client, ends))
    }

    /// Components of labels: neighbours belong together if they have the same value, which is not 0.
    /// Numbered as by [`Self::components_within`].
    ///
    /// # Errors
    /// [`Error::Usage`] for other neighbours or floats; [`Error::DeviceFailed`].
    pub fn components_of_labels(&self, neighbours: u8) -> Result<(Self, u32)> {
        if self.dtype == DataType::F32 {
            return Err(Error::Usage("labels must be integers, found float32".into()));
        }
        self.components_of(neighbours, |_, this| this.words.clone())
    }

    /// Seeded flood fill: of the voxels in `range`, as for [`Self::components_within`], those that are
    /// connected to a seed get the seed's label, `uint32`. Where several seeds lie in one object the
    /// first takes it. `seeds`: voxel `[z, y, x]` and label.
    ///
    /// # Errors
    /// As [`Self::components_within`]; [`Error::Usage`] if a seed lies outside.
    pub fn flood(
        &self,
        range: [f64; 2],
        seeds: &[([usize; 3], u32)],
        neighbours: u8,
    ) -> Result<Self> {
        let (ends, reach) = (self.ends(range)?, reach(neighbours)?);
        let positions = self.positions(seeds)?;
        if self.voxels() == 0 || seeds.is_empty() {
            return self.zeros();
        }
        let at = self.upload_words(&positions)?;
        let parents = self.make(self.shape, DataType::U32, |client| {
            launch_roots(client, &self.class(client, ends), self.shape, reach)
        })?;
        let found = self
            .make(self.shape, DataType::U32, |client| launch_gather(client, &parents.words, &at))?;
        let roots = self.read(&found.words, seeds.len())?;
        let mut labels = HashMap::new();
        for (root, (_, label)) in roots.iter().zip(seeds).filter(|(root, _)| **root != NONE) {
            labels.entry(*root).or_insert(*label);
        }
        let (at, values): (Vec<u32>, Vec<u32>) = labels.into_iter().unzip();
        if at.is_empty() {
            return self.zeros();
        }
        let (at, values) = (self.upload_words(&at)?, self.upload_words(&values)?);
        self.make(self.shape, DataType::U32, |client| {
            let numbers = launch_scatter(client, &values, &at, self.voxels());
            launch_paint(client, &numbers, &parents.words);
            parents.words
        })
    }

    fn components_of(
        &self,
        neighbours: u8,
        class: impl FnOnce(&Client, &Self) -> Handle,
    ) -> Result<(Self, u32)> {
        let reach = reach(neighbours)?;
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
    fn ends(&self, [low, high]: [f64; 2]) -> Result<[u32; 2]> {
        let none = || Error::Usage(format!("range {low}:{high} holds no value of {}", self.dtype));
        if self.dtype == DataType::F32 {
            // Rounded inwards, so that no value is let in that lies outside.
            let up = |v: f64| if f64::from(v as f32) < v { (v as f32).next_up() } else { v as f32 };
            let (low, high) = (up(low), -up(-high));
            return if low <= high { Ok([low.to_bits(), high.to_bits()]) } else { Err(none()) };
        }
        let (low, high) = (low.ceil().max(0.0), high.floor().min(f64::from(u32::MAX)));
        if low <= high { Ok([low as u32, high as u32]) } else { Err(none()) }
    }

    fn positions(&self, seeds: &[([usize; 3], u32)]) -> Result<Vec<u32>> {
        let shape = self.shape;
        let position = |([z, y, x], _): &([usize; 3], u32)| {
            if *z >= shape[0] || *y >= shape[1] || *x >= shape[2] {
                let message = format!("seed [{z}, {y}, {x}] lies outside the volume of {shape:?}");
                return Err(Error::Usage(message));
            }
            Ok(((z * shape[1] + y) * shape[2] + x) as u32)
        };
        seeds.iter().map(position).collect()
    }
}

/// Along how many axes neighbours may differ at once.
fn reach(neighbours: u8) -> Result<u32> {
    match neighbours {
        6 => Ok(1),
        18 => Ok(2),
        26 => Ok(3),
        other => Err(Error::Usage(format!("neighbours: expected 6, 18 or 26, found {other}"))),
    }
}
