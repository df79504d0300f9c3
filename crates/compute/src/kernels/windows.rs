//! Steps of networks over windows of images and tiles that stay on the device.
//!
//! What a batch of steps is made of stands in one buffer of words, the plan: for each window [`HEADER`] words,
//! then whatever the headers point at. What is found out about a window stands in [`NOTES`] words.

use cubecl::client::Client;
use cubecl::server::Handle;

use super::tiles::units;
use super::words;
use kernels::FovLaunch;

mod faces;
mod kernels;
mod plan;

pub(crate) use plan::{HEADER, Header, NOWHERE, SAID, Share, UNKNOWN};

/// Buffers of a batch of steps.
pub(crate) struct Batch<'a> {
    pub(crate) pool: &'a Handle,
    /// Headers, slots and probes.
    pub(crate) plan: &'a Handle,
    /// [`UNKNOWN`] for each window.
    pub(crate) notes: &'a Handle,
    /// Windows in it.
    pub(crate) windows: usize,
    /// Shape of each.
    pub(crate) fov: [usize; 3],
}

/// An image on the device.
pub(crate) struct Image {
    /// `packed` voxels a word.
    pub(crate) voxels: Handle,
    /// The float of each number that a voxel can be; a single word if they are floats already.
    pub(crate) table: Handle,
    pub(crate) packed: usize,
    pub(crate) shape: [usize; 3],
}

impl Batch<'_> {
    fn fov(&self) -> FovLaunch {
        let [_, ny, nx] = self.fov;
        FovLaunch::new(self.voxels(), ny, nx)
    }

    fn voxels(&self) -> usize {
        self.fov.iter().product()
    }

    /// Writes image and logits of so many windows from the first on to `input`, `[window, z, y, x, 2]`.
    pub(crate) fn gather(
        &self,
        client: &Client,
        image: &Image,
        input: &Handle,
        [first, windows]: [usize; 2],
    ) {
        let (count, dim) = units(client, windows * self.voxels());
        let (voxels, table) = (words::all(&image.voxels), words::all(&image.table));
        let (pool, plan) = (words::all(self.pool), words::all(self.plan));
        let (input, fov, [_, ny, nx]) = (words::all(input), self.fov(), image.shape);
        let packed = image.packed;
        kernels::gather::launch(
            client, count, dim, voxels, table, pool, plan, input, fov, ny, nx, first, windows,
            packed,
        );
    }

    /// Makes logits of the updates, in place, and writes them to the tiles. What is said then: [`SAID`] words
    /// for each window, and a word for each of the places that stand in the plan; `[probes_at, probes]`: from where on, how many.
    pub(crate) fn scatter(
        &self,
        client: &Client,
        input: &Handle,
        update: &Handle,
        deltas: [usize; 3],
        [probes_at, probes]: [usize; 2],
    ) -> Handle {
        self.add_seeds(client, input, update);
        self.write_tiles(client, update);
        self.search_faces(client, update, 2 * deltas[0].max(deltas[1]) + 1);
        self.report(client, update, probes_at, probes)
    }

    /// Updates become logits.
    fn add_seeds(&self, client: &Client, input: &Handle, update: &Handle) {
        let [nz, ny, _] = self.fov;
        let rows = self.windows * nz * ny;
        let (count, dim) = units(client, rows);
        let (input, logits) = (words::all(input), words::all(update));
        let (plan, notes) = (words::all(self.plan), words::all(self.notes));
        let fov = self.fov();
        kernels::add_seeds::launch(client, count, dim, input, logits, plan, notes, fov, rows);
    }

    fn write_tiles(&self, client: &Client, logits: &Handle) {
        let (count, dim) = units(client, self.windows * self.voxels());
        let (logits, pool) = (words::all(logits), words::all(self.pool));
        let (plan, notes) = (words::all(self.plan), words::all(self.notes));
        let (fov, windows) = (self.fov(), self.windows);
        kernels::scatter::launch(client, count, dim, logits, pool, plan, notes, fov, windows);
    }

    /// Maxima of faces of so many rows at most, then the first places where they are.
    fn search_faces(&self, client: &Client, logits: &Handle, rows: usize) {
        let windows = self.windows;
        for places in [false, true] {
            let (count, dim) = units(client, windows * 6 * rows);
            let (from, fov) = (words::all(logits), self.fov());
            let (plan, notes) = (words::all(self.plan), words::all(self.notes));
            faces::search_faces::launch(
                client, count, dim, from, plan, notes, fov, windows, rows, places,
            );
        }
    }

    fn report(&self, client: &Client, logits: &Handle, probes_at: usize, probes: usize) -> Handle {
        let said = client.empty((self.windows * SAID + probes) * 4);
        let (count, dim) = units(client, words::length(&said));
        let (logits, pool) = (words::all(logits), words::all(self.pool));
        let (plan, notes) = (words::all(self.plan), words::all(self.notes));
        let (to, fov, windows) = (words::all(&said), self.fov(), self.windows);
        kernels::report::launch(
            client, count, dim, logits, pool, plan, notes, to, fov, windows, probes_at,
        );
        said
    }
}
