//! Writing an object: one PUT, or parts that appear together when the last is there.

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};

/// Objects up to this length are written by one PUT.
const MAX_SINGLE_BYTES: usize = 16 << 20;
/// Bytes of a part, unless there would be too many.
const PART_BYTES: usize = 8 << 20;
/// Most parts of an object of S3.
const MAX_PARTS: usize = 10_000;
/// Parts under way at once.
const CONCURRENT_PARTS: usize = 4;

/// Writes an object; until it is whole, the old one is seen.
pub(super) async fn upload(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: Vec<u8>,
) -> object_store::Result<()> {
    if bytes.len() <= MAX_SINGLE_BYTES {
        return store.put(path, PutPayload::from(bytes)).await.map(|_| ());
    }
    let part = PART_BYTES.max(bytes.len().div_ceil(MAX_PARTS));
    let mut writer = WriteMultipart::new_with_chunk_size(store.put_multipart(path).await?, part);
    for part in bytes.chunks(part) {
        if let Err(error) = writer.wait_for_capacity(CONCURRENT_PARTS).await {
            // The error that matters is on its way; parts that are left over only cost storage.
            let _ = writer.abort().await;
            return Err(error);
        }
        writer.write(part);
    }
    writer.finish().await.map(|_| ())
}
