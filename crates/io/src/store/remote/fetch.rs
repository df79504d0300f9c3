//! One object, or a part of one, from the network into memory that its request bounds.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt};

use crate::error::{Error, Place, Result};
use crate::store::ByteRange;

use super::RemoteOptions;
use super::failure::{cause, failed};
use super::guard::{OutsideObject, UNKNOWN_LENGTH};

/// Memory taken on the word of a server; more is taken as bytes arrive.
const MAX_TRUSTED_BYTES: u64 = 16 << 20;
/// Longest object whose length is found by counting.
const MAX_COUNTED_BYTES: u64 = 256 << 20;
/// Pause before a body that was cut is asked for again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What is wanted of an object.
pub(super) struct Wanted {
    pub(super) path: Path,
    pub(super) range: ByteRange,
    pub(super) limit: u64,
    pub(super) place: Place,
}

/// Why a try failed.
enum Failed {
    /// The answer began and broke off.
    Broken(Error),
    Final(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Key as the client wants it.
pub(super) fn path(key: &str, place: &Place) -> Result<Path> {
    Path::parse(key).map_err(|e| failed(place, &e.into()))
}

/// Gets what is wanted; `None` if there is no such object. The client repeats requests that fail, and
/// goes on with bodies that are cut where the object has an `ETag`; other bodies are asked for again
/// here.
pub(super) async fn fetch(
    store: &dyn ObjectStore,
    wanted: &Wanted,
    options: &RemoteOptions,
) -> Result<Option<Vec<u8>>> {
    if let ByteRange::Span { length, .. } | ByteRange::Last(length) = wanted.range {
        // Before anything is sent; an object as long as possible fails for its limit only.
        wanted.range.within(u64::MAX, wanted.limit, &wanted.place)?;
        if length == 0 {
            return empty_part(store, wanted).await;
        }
    }
    let begin = Instant::now();
    let mut pause = FIRST_PAUSE;
    for _ in 0..options.retries {
        match attempt(store, wanted).await {
            Err(Failed::Broken(_)) if begin.elapsed() + pause < options.retry_time => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return finish(other),
        }
    }
    finish(attempt(store, wanted).await)
}

fn finish(result: Result<Option<Vec<u8>>, Failed>) -> Result<Option<Vec<u8>>> {
    result.map_err(|failed| match failed {
        Failed::Broken(error) | Failed::Final(error) => error,
    })
}

/// Length of an object as it is stored; `None` if it is not there.
pub(super) async fn size(
    store: &dyn ObjectStore,
    path: &Path,
    place: &Place,
) -> Result<Option<u64>> {
    match store.head(path).await {
        Ok(meta) if meta.size == UNKNOWN_LENGTH => count(store, path, place).await,
        Ok(meta) => Ok(Some(meta.size)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(place, &e)),
    }
}

/// Length of an object whose server does not tell it: the bytes are counted and dropped.
async fn count(store: &dyn ObjectStore, path: &Path, place: &Place) -> Result<Option<u64>> {
    let result = match store.get(path).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        other => other.map_err(|e| failed(place, &e))?,
    };
    let mut stream = result.into_stream();
    let mut length = 0;
    while let Some(bytes) = stream.next().await {
        length += bytes.map_err(|e| failed(place, &e))?.len() as u64;
        if length > MAX_COUNTED_BYTES {
            return Err(too_long(None, MAX_COUNTED_BYTES, place));
        }
    }
    Ok(Some(length))
}

/// A part without bytes, which HTTP cannot ask for: the object must be there and long enough.
async fn empty_part(store: &dyn ObjectStore, wanted: &Wanted) -> Result<Option<Vec<u8>>> {
    let Some(size) = size(store, &wanted.path, &wanted.place).await? else { return Ok(None) };
    wanted.range.within(size, wanted.limit, &wanted.place)?;
    Ok(Some(Vec::new()))
}

async fn attempt(store: &dyn ObjectStore, wanted: &Wanted) -> Result<Option<Vec<u8>>, Failed> {
    let Wanted { path, range, limit, place } = wanted;
    let range = match *range {
        ByteRange::All => None,
        ByteRange::Span { start, length } => {
            Some(GetRange::Bounded(start..start.saturating_add(length)))
        }
        ByteRange::Last(length) => Some(GetRange::Suffix(length)),
    };
    let result = match store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await {
        Ok(result) => result,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(e) => return Err(refused(store, wanted, &e).await.into()),
    };
    let encoding = encoding(&result, wanted)?;
    let expected = expected(&result, wanted)?;
    let stored = body(result, expected, wanted).await?;
    match encoding {
        Encoding::None => Ok(Some(stored)),
        Encoding::Gzip => {
            let (place, limit) = (place.clone(), *limit);
            let decoded = tokio::task::spawn_blocking(move || gunzip(&stored, limit, &place)).await;
            let stopped = |_| Error::io(wanted.place.clone(), ErrorKind::Interrupted.into());
            Ok(Some(decoded.map_err(stopped)??))
        }
    }
}

/// The error for an answer that is one.
async fn refused(store: &dyn ObjectStore, wanted: &Wanted, error: &object_store::Error) -> Error {
    let Wanted { path, range, limit, place } = wanted;
    let Some(outside) = cause::<OutsideObject>(error) else { return failed(place, error) };
    let size = match outside.size {
        Some(size) => Ok(Some(size)),
        None => size(store, path, place).await,
    };
    match size.map(|size| range.within(size.unwrap_or(0), *limit, place)) {
        Ok(Err(short)) => short,
        _ => failed(place, error),
    }
}

/// Length of the answer, where it is known. The range that was sent must be the one that was asked for.
fn expected(result: &GetResult, wanted: &Wanted) -> Result<Option<u64>> {
    let size = result.meta.size;
    if wanted.range == ByteRange::All && size == UNKNOWN_LENGTH {
        return Ok(None);
    }
    let (start, length) = wanted.range.within(size, wanted.limit, &wanted.place)?;
    let end = start.saturating_add(length as u64);
    if result.range != (start..end) {
        let message = format!("asked for bytes {start}..{end}, the server sent {:?}", result.range);
        return Err(Error::format(wanted.place.clone(), message));
    }
    Ok(Some(length as u64))
}

/// The bytes of an answer, never more than the limit.
async fn body(
    result: GetResult,
    expected: Option<u64>,
    wanted: &Wanted,
) -> Result<Vec<u8>, Failed> {
    let Wanted { limit, place, .. } = wanted;
    let most = expected.unwrap_or(*limit);
    let resumes = result.meta.e_tag.is_some();
    let mut out = Vec::with_capacity(expected.unwrap_or(0).min(MAX_TRUSTED_BYTES) as usize);
    let mut stream = result.into_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|e| {
            let error = failed(place, &e);
            if resumes { Failed::Final(error) } else { Failed::Broken(error) }
        })?;
        if out.len() as u64 + bytes.len() as u64 > most {
            return Err(too_long(expected, *limit, place).into());
        }
        out.extend_from_slice(&bytes);
    }
    match expected {
        Some(expected) if out.len() as u64 != expected => {
            let message = format!("truncated: expected {expected} bytes, found {}", out.len());
            Err(Failed::Broken(Error::format(place.clone(), message)))
        }
        _ => Ok(out),
    }
}

fn too_long(expected: Option<u64>, limit: u64, place: &Place) -> Error {
    match expected {
        Some(expected) => {
            Error::format(place.clone(), format!("expected {expected} bytes, the server sent more"))
        }
        None => {
            let (place, what, needed) = (place.clone(), "an object".to_owned(), u64::MAX);
            Error::LimitExceeded { place, what, needed, limit }
        }
    }
}

/// How an object is stored, apart from what its format says.
enum Encoding {
    None,
    Gzip,
}

/// Neuroglancer's tools store objects compressed and say so in a header; ranges of those are useless.
fn encoding(result: &GetResult, wanted: &Wanted) -> Result<Encoding> {
    let text = result.attributes.get(&Attribute::ContentEncoding).map_or("", |v| v.as_ref());
    let mut names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !matches!(*name, "" | "identity" | "aws-chunked"));
    match (names.next(), names.next(), wanted.range) {
        (None, ..) => Ok(Encoding::None),
        (Some("gzip"), None, ByteRange::All) => Ok(Encoding::Gzip),
        (Some("gzip"), None, _) => {
            let message = "a part of an object that is stored with Content-Encoding gzip";
            Err(Error::unsupported(wanted.place.clone(), message))
        }
        _ => {
            let message = format!("Content-Encoding {text} (gzip is known)");
            Err(Error::unsupported(wanted.place.clone(), message))
        }
    }
}

fn gunzip(stored: &[u8], limit: u64, place: &Place) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(stored);
    decoder.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(|e| {
        Error::format(place.clone(), format!("stored with Content-Encoding gzip, but: {e}"))
    })?;
    if out.len() as u64 > limit {
        let (place, what) = (place.clone(), "an object".to_owned());
        return Err(Error::LimitExceeded { place, what, needed: u64::MAX, limit });
    }
    Ok(out)
}
