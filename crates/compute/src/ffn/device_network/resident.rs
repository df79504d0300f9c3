//! What a device keeps between steps: images of canvases, and tiles of objects in a pool.

use std::sync::{Arc, Weak};

use cubecl::client::Client;
use cubecl::server::Handle;
use rustc_hash::{FxHashMap, FxHashSet};

use super::images;
use super::plan::{Part, Plan};
use super::slots::Slots;
use crate::ffn::device_memory::MOST_SLOTS;
use crate::ffn::object_logits::{TileIndex, tiles_of};
use crate::ffn::residence::{Answer, CanvasImage, ObjectKey, Window};
use crate::kernels::tiles;
use crate::kernels::windows::{Batch, Image, UNKNOWN};

/// Bytes of a slot: in the pool, and in what that was before it grew.
const SLOT_BYTES: u64 = 2 * 4 * tiles::VOXELS as u64;

/// Images and objects on a device.
///
/// Memory on the device: the voxels of each canvas in their type if that has one or two bytes, else 4 bytes
/// a voxel; 16 KiB for each slot of the pool, twice that once it has grown: what it was before is still held then.
pub(super) struct Resident {
    pub(super) client: Client,
    /// Bytes for all of that.
    room: u64,
    images: FxHashMap<u64, HeldImage>,
    /// Canvases that the device has failed with.
    refused: FxHashSet<u64>,
    pub(super) objects: FxHashMap<u64, HeldObject>,
    slots: Slots,
    pub(super) pool: Option<Handle>,
    /// What is new since a batch went well.
    news: News,
}

struct HeldImage {
    canvas: Weak<CanvasImage>,
    bytes: u64,
    image: Image,
}

/// An object whose tiles are in the pool.
pub(super) struct HeldObject {
    key: Weak<u64>,
    pub(super) slots: FxHashMap<TileIndex, u32>,
    /// Tiles that were written since that was last asked.
    pub(super) changed: FxHashSet<TileIndex>,
}

/// What may be too much for a device.
#[derive(Default)]
struct News {
    images: Vec<u64>,
    /// Slots of the pool before it grew.
    before: Option<usize>,
}

impl HeldObject {
    pub(super) fn new(key: &ObjectKey) -> Self {
        Self { key: key.watch(), slots: FxHashMap::default(), changed: FxHashSet::default() }
    }

    /// Of a tile that it has.
    pub(super) fn slot(&self, tile: TileIndex) -> u32 {
        self.slots.get(&tile).copied().unwrap_or_default()
    }

    pub(super) fn tiles(&self) -> Vec<(TileIndex, u32)> {
        self.slots.iter().map(|(tile, slot)| (*tile, *slot)).collect()
    }
}

/// A batch whose image and logits are gathered.
pub(super) struct Gathered {
    /// Numbers of the windows, those of one canvas together.
    pub(super) members: Vec<usize>,
    pub(super) plan: Plan,
    words: Handle,
    notes: Handle,
    pool: Handle,
    fov: [usize; 3],
}

impl Resident {
    /// With so many bytes for images and logits, if they are bounded.
    pub(super) fn new(client: &Client, room: Option<u64>) -> Self {
        let bytes = client.properties().memory.max_page_size;
        let slots = usize::try_from(bytes).unwrap_or(usize::MAX) / (tiles::VOXELS * 4);
        Self {
            client: client.clone(),
            room: room.unwrap_or(u64::MAX),
            images: FxHashMap::default(),
            refused: FxHashSet::default(),
            objects: FxHashMap::default(),
            slots: Slots::new(slots.min(MOST_SLOTS as usize)),
            pool: None,
            news: News::default(),
        }
    }

    /// Puts what the network sees of the windows into a new buffer, `[window, z, y, x, 2]`. Windows that cannot
    /// be looked at get their answers; `None` if there is no other.
    pub(super) fn gather(
        &mut self,
        windows: &mut [Window],
        fov: [usize; 3],
    ) -> Option<(Gathered, Handle)> {
        self.drop_unneeded();
        let mut new = Vec::new();
        for window in windows.iter_mut() {
            window.answer = self.admit(window, fov, &mut new);
        }
        let admitted = |i: &usize| matches!(windows[*i].answer, Answer::Open);
        let mut members: Vec<usize> = (0..windows.len()).filter(admitted).collect();
        members.sort_by_key(|i| windows[*i].canvas.number());
        let object = |window: &Window| self.objects.get(&window.object.number());
        let chosen: Vec<_> =
            members.iter().filter_map(|i| Some((&windows[*i], object(&windows[*i])?))).collect();
        let pool = self.pool.clone().filter(|_| !chosen.is_empty())?;
        let plan = Plan::new(&chosen, fov, &new);
        let words = tiles::upload(&self.client, &plan.words);
        let notes = tiles::upload(&self.client, &UNKNOWN.repeat(members.len()));
        let gathered = Gathered { members, plan, words, notes, pool, fov };
        let input = self.client.empty(chosen.len() * fov.iter().product::<usize>() * 8);
        self.launch(&gathered, windows, &input);
        Some((gathered, input))
    }

    fn launch(&self, gathered: &Gathered, windows: &[Window], input: &Handle) {
        let Gathered { members, plan, words, pool, .. } = gathered;
        let is_there = |part: &Part| part[1] > 0;
        if is_there(&plan.empty) {
            tiles::launch_empty(&self.client, pool, words, plan.empty);
        }
        if is_there(&plan.seeds) {
            tiles::launch_set(&self.client, pool, words, plan.seeds);
        }
        let canvas = |member: usize| windows[member].canvas.number();
        let mut first = 0;
        for group in members.chunk_by(|a, b| canvas(*a) == canvas(*b)) {
            if let Some(held) = self.images.get(&canvas(group[0])) {
                gathered.batch().gather(&self.client, &held.image, input, [first, group.len()]);
            }
            first += group.len();
        }
    }

    /// Writes logits to the pool; the words that are said of the windows and their probes.
    pub(super) fn scatter(&self, gathered: &Gathered, input: &Handle, update: &Handle) -> Handle {
        let Plan { deltas, probes, .. } = gathered.plan;
        gathered.batch().scatter(&self.client, input, update, deltas, probes)
    }

    /// Tiles of an object.
    pub(super) fn num_tiles(&self, object: &ObjectKey) -> usize {
        self.objects.get(&object.number()).map_or(0, |object| object.slots.len())
    }

    /// The batch under way has gone well.
    pub(super) fn keep(&mut self) {
        self.news = News::default();
    }

    /// Everything is gone. Whether it may go better without what is new: the larger pool, or, if a window
    /// `alone` has failed, the image.
    pub(super) fn forget(&mut self, alone: bool) -> bool {
        let News { images, before } = std::mem::take(&mut self.news);
        let blamed = alone && before.is_none() && !images.is_empty();
        if blamed {
            self.refused.extend(images);
        }
        self.slots.clear(before);
        self.images.clear();
        self.objects.clear();
        self.pool = None;
        before.is_some() || blamed
    }

    /// Open if a window can be looked at; its tiles have slots then.
    fn admit(&mut self, window: &Window, fov: [usize; 3], new: &mut Vec<u32>) -> Answer {
        let number = window.object.number();
        if window.seed.is_none() && !self.objects.contains_key(&number) {
            return Answer::Lost;
        }
        if window.canvas.model.fov_zyx != fov || !self.has_image(&window.canvas) {
            return Answer::NoRoom;
        }
        let touched: Vec<TileIndex> = tiles_of(window.start, fov).collect();
        let object = self.objects.get(&number);
        let is_new = |tile: &&TileIndex| object.is_none_or(|o| !o.slots.contains_key(*tile));
        let lacking: Vec<TileIndex> = touched.iter().filter(is_new).copied().collect();
        let Some(slots) = self.take_slots(lacking.len()) else { return Answer::NoRoom };
        new.extend(&slots);
        let object = self.objects.entry(number).or_insert_with(|| HeldObject::new(&window.object));
        object.slots.extend(lacking.into_iter().zip(slots));
        object.changed.extend(touched);
        Answer::Open
    }

    fn has_image(&mut self, canvas: &Arc<CanvasImage>) -> bool {
        if self.images.contains_key(&canvas.number()) {
            return true;
        }
        if self.refused.contains(&canvas.number()) {
            return false;
        }
        let bytes = images::bytes(canvas);
        if bytes > self.room_for_images() {
            return false;
        }
        let Some(image) = images::upload(&self.client, canvas) else { return false };
        let held = HeldImage { canvas: Arc::downgrade(canvas), bytes, image };
        self.images.insert(canvas.number(), held);
        self.news.images.push(canvas.number());
        true
    }

    /// Bytes that images may take still. A pool that nobody uses makes room.
    fn room_for_images(&mut self) -> u64 {
        if self.objects.is_empty() && self.room < u64::MAX {
            self.slots.clear(None);
            self.pool = None;
        }
        let pool = (self.slots.capacity() as u64).saturating_mul(SLOT_BYTES);
        self.room.saturating_sub(self.image_bytes()).saturating_sub(pool)
    }

    fn image_bytes(&self) -> u64 {
        self.images.values().map(|held| held.bytes).sum()
    }

    /// Slots of the pool, which grows if that is needed and possible.
    pub(super) fn take_slots(&mut self, count: usize) -> Option<Vec<u32>> {
        let before = self.slots.capacity();
        let room = self.room.saturating_sub(self.image_bytes()) / SLOT_BYTES;
        let slots = self.slots.take(count, usize::try_from(room).unwrap_or(usize::MAX))?;
        let now = self.slots.capacity();
        if now > before {
            self.pool = Some(match &self.pool {
                Some(pool) => {
                    self.news.before.get_or_insert(before);
                    tiles::launch_grow(&self.client, pool, now)
                }
                None => self.client.empty(now * tiles::VOXELS * 4),
            });
        }
        Some(slots)
    }

    /// Gives back what nobody needs any more.
    pub(super) fn drop_unneeded(&mut self) {
        self.images.retain(|_, held| held.canvas.strong_count() > 0);
        let slots = &mut self.slots;
        self.objects.retain(|_, object| {
            let is_needed = object.key.strong_count() > 0;
            if !is_needed {
                slots.give_back(object.slots.values().copied());
            }
            is_needed
        });
    }
}

impl Gathered {
    fn batch(&self) -> Batch<'_> {
        let Self { members, words, notes, pool, fov, .. } = self;
        Batch { pool, plan: words, notes, windows: members.len(), fov: *fov }
    }
}
