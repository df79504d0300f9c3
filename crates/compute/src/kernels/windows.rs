//! Steps of networks over windows of images and tiles that stay on the device.
//!
//! What a batch of steps is made of stands in one buffer of words, the plan: for each window [`HEADER`] words,
//! then whatever the headers point at. What is found out about a window stands in [`NOTES`] words.

use cubecl::client::Client;
use cubecl::server::Handle;

use super::tiles::units;
use super::words;
use kernels::FovLaunch;

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
        let plan = || words::all(self.plan);
        let (notes, logits) = (|| words::all(self.notes), || words::all(update));
        let [nz, ny, _] = self.fov;
        let rows = self.windows * nz * ny;
        let (count, dim) = units(client, rows);
        let input = words::all(input);
        kernels::add_seeds::launch(
            client,
            count,
            dim,
            input,
            logits(),
            plan(),
            notes(),
            self.fov(),
            rows,
        );
        let (count, dim) = units(client, self.windows * self.voxels());
        let (pool, windows) = (|| words::all(self.pool), self.windows);
        kernels::scatter::launch(
            client,
            count,
            dim,
            logits(),
            pool(),
            plan(),
            notes(),
            self.fov(),
            windows,
        );
        let rows = 2 * deltas[0].max(deltas[1]) + 1;
        for places in [false, true] {
            let (count, dim) = units(client, windows * 6 * rows);
            let (fov, from) = (self.fov(), logits());
            kernels::search_faces::launch(
                client,
                count,
                dim,
                from,
                plan(),
                notes(),
                fov,
                windows,
                rows,
                places,
            );
        }
        let said = client.empty((windows * SAID + probes) * 4);
        let (count, dim) = units(client, words::length(&said));
        let (fov, to) = (self.fov(), words::all(&said));
        kernels::report::launch(
            client,
            count,
            dim,
            logits(),
            pool(),
            plan(),
            notes(),
            to,
            fov,
            windows,
            probes_at,
        );
        said
    }
}
