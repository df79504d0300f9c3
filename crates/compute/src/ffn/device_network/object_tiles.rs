//! Tiles of objects between a device and the host.

use cubecl::server::Handle;

use super::resident::{HeldObject, Resident};
use crate::ffn::object_logits::{TILE_VOXELS, TileBits, TileIndex};
use crate::ffn::residence::{ObjectKey, TileValues, Which};
use crate::kernels::tiles;

/// Tiles that cross the bus at once: 16 MiB.
const AT_ONCE: usize = 1024;

// Kernels and objects count alike.
const _: () = assert!(tiles::VOXELS == TILE_VOXELS);

impl Resident {
    /// Bits of the tiles in which something reaches a logit; `None` if the object is not there.
    pub(super) fn inside(
        &self,
        object: &ObjectKey,
        threshold: f32,
    ) -> Result<Option<Vec<(TileIndex, TileBits)>>, String> {
        let Some((pool, object)) = self.find(object) else { return Ok(None) };
        let mut found = Vec::new();
        for part in object.tiles().chunks(AT_ONCE) {
            let (indices, slots): (Vec<TileIndex>, Vec<u32>) = part.iter().copied().unzip();
            let words = tiles::launch_inside(&self.client, pool, &slots, threshold);
            let words = self.download(words, slots.len() * tiles::BIT_WORDS)?;
            let bits = words.chunks_exact(tiles::BIT_WORDS).map(bits_of);
            let inside = indices.into_iter().zip(bits);
            found.extend(inside.filter(|(_, bits)| bits.iter().any(|word| *word != 0)));
        }
        Ok(Some(found))
    }

    /// Values of tiles; `None` if the object is not there.
    pub(super) fn read(
        &mut self,
        object: &ObjectKey,
        which: Which,
    ) -> Result<Option<Vec<TileValues>>, String> {
        let Some((pool, held)) = self.find(object) else { return Ok(None) };
        let mut wanted = held.tiles();
        if which == Which::Changed {
            wanted.retain(|(tile, _)| held.changed.contains(tile));
        }
        let mut found = Vec::with_capacity(wanted.len());
        for part in wanted.chunks(AT_ONCE) {
            let (indices, slots): (Vec<TileIndex>, Vec<u32>) = part.iter().copied().unzip();
            let words = tiles::launch_take(&self.client, pool, &slots);
            let words = self.download(words, slots.len() * TILE_VOXELS)?;
            let floats = |words: &[u32]| words.iter().map(|bits| f32::from_bits(*bits)).collect();
            found.extend(indices.into_iter().zip(words.chunks_exact(TILE_VOXELS).map(floats)));
        }
        if let Some(held) = self.objects.get_mut(&object.number())
            && which == Which::Changed
        {
            held.changed.clear();
        }
        Ok(Some(found))
    }

    /// Begins an object with tiles; `false` if there is no room for them.
    pub(super) fn restore(&mut self, object: &ObjectKey, tiles: &[TileValues]) -> bool {
        self.drop_unneeded();
        let Some(slots) = self.take_slots(tiles.len()) else { return false };
        let Some(pool) = self.pool.clone() else { return false };
        for (part, slots) in tiles.chunks(AT_ONCE).zip(slots.chunks(AT_ONCE)) {
            let values: Vec<f32> = part.iter().flat_map(|(_, values)| values).copied().collect();
            tiles::launch_put(&self.client, &pool, slots, &values);
        }
        let mut held = HeldObject::new(object);
        held.slots = tiles.iter().map(|(tile, _)| *tile).zip(slots).collect();
        self.objects.insert(object.number(), held);
        true
    }

    fn find(&self, object: &ObjectKey) -> Option<(&Handle, &HeldObject)> {
        Some((self.pool.as_ref()?, self.objects.get(&object.number())?))
    }

    fn download(&self, words: Handle, expected: usize) -> Result<Vec<u32>, String> {
        let bytes = self.client.read_one(words).map_err(|error| error.to_string())?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        match words.len() {
            found if found == expected => Ok(words),
            found => Err(format!("expected {expected} words, found {found}")),
        }
    }
}

/// Words of 32 bits as words of 64.
fn bits_of(words: &[u32]) -> TileBits {
    std::array::from_fn(|i| u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32)
}
