//! Reading for programs that must not block, where volumes are remote.

use std::sync::Arc;

use crate::bounding_box::BoundingBox;
use crate::error::{Place, Result};
use crate::store::remote::blocking;
use crate::voxels::Voxels;

use super::{OpenOptions, Volume};

impl Volume {
    /// [`Volume::open_with`] on a hidden thread; can be awaited on any runtime.
    ///
    /// # Errors
    /// As [`Volume::open_with`].
    pub async fn open_async(name: &str, options: &OpenOptions) -> Result<Self> {
        let (place, name, options) = (Place::new(name), name.to_owned(), options.clone());
        blocking(place, move || Self::open_with(&name, &options)).await
    }

    /// [`Volume::read`] on a hidden thread; can be awaited on any runtime. The read goes on when the
    /// future is dropped.
    ///
    /// # Errors
    /// As [`Volume::read`].
    pub async fn read_async(
        self: Arc<Self>,
        channel: usize,
        region: BoundingBox,
    ) -> Result<Voxels> {
        let place = Place::new(self.name());
        blocking(place, move || self.read(channel, &region)).await
    }
}
