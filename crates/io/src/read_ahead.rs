//! Blocks of a volume one after the other, read while the caller works on those before.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::bounding_box::BoundingBox;
use crate::error::{Error, Place, Result};
use crate::volume::Volume;
use crate::voxels::Voxels;

/// An iterator over blocks that fetches and decodes ahead of its caller.
///
/// A thread of its own reads the blocks in order; chunks of a block are decoded on all threads of
/// rayon's global pool. Memory: `ahead` blocks that wait, one being read and the one in the caller's
/// hands, besides the volume's cache and a chunk for each thread. Dropped, it stops after the block that
/// is being read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use exavox_io::{DataType, Volume, VolumeWriter, Voxels, WriteOptions};
/// # let folder = tempfile::tempdir()?;
/// # let name = folder.path().join("v.npy").display().to_string();
/// # let writer = VolumeWriter::create(&name, &WriteOptions::new(DataType::U8, [4, 4, 4]))?;
/// # writer.write(0, [0; 3], &Voxels::from_vec([4, 4, 4], vec![1_u8; 64])?)?;
/// # writer.finish()?;
/// use exavox_io::{BlockOrder, BoundingBox, ReadAhead};
/// let volume = Volume::open(&name)?;
/// let blocks = BlockOrder::Morton.blocks(&BoundingBox::whole(volume.shape()), [2, 2, 3]);
/// let mut sum = 0;
/// for block in ReadAhead::new(&volume, 0, blocks, 2)? {
///     let (_place, voxels) = block?;
///     sum += voxels.as_slice::<u8>()?.iter().map(|v| u64::from(*v)).sum::<u64>();
/// }
/// assert_eq!(sum, 64);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadAhead {
    blocks: Option<Receiver<Block>>,
    thread: Option<JoinHandle<()>>,
}

/// A block's place and its voxels.
type Block = Result<(BoundingBox, Voxels)>;

impl ReadAhead {
    /// Starts to read blocks of a channel; at most `ahead` of them wait for the caller.
    ///
    /// # Errors
    /// [`Error::Io`] if the system has no thread left. What goes wrong with a block is the block's
    /// item; the blocks after it are read all the same.
    pub fn new(
        volume: &Volume,
        channel: usize,
        blocks: impl Iterator<Item = BoundingBox> + Send + 'static,
        ahead: usize,
    ) -> Result<Self> {
        let (place, volume) = (Place::new(volume.name()), volume.clone());
        let (sender, receiver) = sync_channel(ahead);
        let read = move || {
            for block in blocks {
                let voxels = volume.read(channel, &block).map(|voxels| (block, voxels));
                // Nobody listens any more.
                if sender.send(voxels).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("read-ahead".to_owned())
            .spawn(read)
            .map_err(|e| Error::io(place, e))?;
        Ok(Self { blocks: Some(receiver), thread: Some(thread) })
    }
}

impl Iterator for ReadAhead {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        self.blocks.as_ref()?.recv().ok()
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // Closing the channel ends the thread after its block.
        self.blocks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
