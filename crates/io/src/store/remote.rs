//! Objects behind a URL: HTTP(S) for reading, S3 and Google Cloud Storage for reading and writing.
//!
//! Calls block; a few hidden threads wait for the network. Requests are repeated with growing pauses after
//! errors that pass, near parts of one object are fetched as one, and no answer takes more memory than its
//! request allows.

use std::fmt;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use crate::error::{Error, Place, Result};

use super::{ByteRange, Directory, Request, Store, check_key};

mod coalesce;
mod connect;
mod failure;
mod fetch;
mod guard;
mod many;
mod options;
mod runtime;
mod upload;
mod url;

pub use coalesce::{MAX_GAP_BYTES, MAX_MERGED_BYTES};
pub use options::RemoteOptions;

use failure::failed;
use fetch::Wanted;
use url::{RemoteUrl, Service};

/// A host or bucket. Cheap to clone.
#[derive(Clone)]
pub struct RemoteStore {
    client: Arc<Client>,
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteStore").field(&self.client.location).finish()
    }
}

/// The directory of an `http://`, `https://`, `s3://` or `gs://` URL, in the store of its host or bucket.
/// Nothing is sent yet.
///
/// # Errors
/// [`Error::Usage`] if it is not a URL or the credentials are not whole, [`Error::Unsupported`] for
/// other schemes and for URLs with a query or a password.
pub fn open_url(url: &str, options: &RemoteOptions) -> Result<Directory> {
    let url = RemoteUrl::parse(url)?;
    let store = RemoteStore::connect(&url.service, options)?;
    Ok(Directory::new(Arc::new(store), &url.prefix))
}

impl RemoteStore {
    /// The store of a URL, without the URL's path.
    ///
    /// # Errors
    /// As [`open_url`].
    pub fn open(url: &str, options: &RemoteOptions) -> Result<Self> {
        Self::connect(&RemoteUrl::parse(url)?.service, options)
    }

    fn connect(service: &Service, options: &RemoteOptions) -> Result<Self> {
        let client = Client {
            store: connect::connect(service, options)?,
            location: service.location(),
            is_read_only: matches!(service, Service::Http { .. }),
            permits: Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            options: options.clone(),
        };
        Ok(Self { client: Arc::new(client) })
    }

    /// An object or a part of it, from any runtime: the work is done by the hidden threads.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_async(&self, request: Request<'_>) -> Result<Option<Vec<u8>>> {
        let Request { key, range, limit } = request;
        let (client, key) = (self.client.clone(), key.to_owned());
        let place = client.place(&key);
        let task =
            runtime::handle(&place)?.spawn(async move { client.get(&key, range, limit).await });
        task.await.map_err(|e| Error::io(place, e.into()))?
    }

    /// Runs a call on the client.
    fn run<T, F>(&self, key: &str, call: impl FnOnce(Arc<Client>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        runtime::run(&self.client.place(key), call(self.client.clone()))?
    }

    fn check_writable(&self, key: &str) -> Result<()> {
        if self.client.is_read_only {
            let message = "writing over HTTP (s3:// and gs:// can be written)";
            return Err(Error::unsupported(self.client.place(key), message));
        }
        Ok(())
    }
}

/// Runs blocking work, such as reading a region of a remote volume, on the hidden threads.
pub(crate) async fn blocking<T: Send + 'static>(
    place: Place,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let task = runtime::handle(&place)?.spawn_blocking(work);
    task.await.map_err(|e| Error::io(place, e.into()))?
}

/// What the calls share.
struct Client {
    store: Arc<dyn ObjectStore>,
    location: String,
    is_read_only: bool,
    permits: Semaphore,
    options: RemoteOptions,
}

impl Client {
    fn place(&self, key: &str) -> Place {
        let place = Place::new(&self.location);
        if key.is_empty() { place } else { place.with_key(key) }
    }

    fn path(&self, key: &str) -> Result<Path> {
        check_key(&self.location, key)?;
        fetch::path(key, &self.place(key))
    }

    /// Waits until one more request may be under way.
    async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let closed = |_| Error::io(self.place(""), std::io::Error::other("the store is closed"));
        self.permits.acquire().await.map_err(closed)
    }

    async fn get(&self, key: &str, range: ByteRange, limit: u64) -> Result<Option<Vec<u8>>> {
        let wanted = Wanted { path: self.path(key)?, range, limit, place: self.place(key) };
        let _permit = self.permit().await?;
        fetch::fetch(self.store.as_ref(), &wanted, &self.options).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.path(key)?;
        let _permit = self.permit().await?;
        fetch::size(self.store.as_ref(), &path, &self.place(key)).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(key)?;
        let _permit = self.permit().await?;
        let uploaded = upload::upload(self.store.as_ref(), &path, bytes).await;
        uploaded.map_err(|e| failed(&self.place(key), &e))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        let _permit = self.permit().await?;
        match self.store.delete(&path).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map_err(|e| failed(&self.place(key), &e)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let path = if prefix.is_empty() { Path::default() } else { self.path(prefix)? };
        let _permit = self.permit().await?;
        let listed = self.store.list_with_delimiter(Some(&path)).await;
        let listed = listed.map_err(|e| failed(&self.place(prefix), &e))?;
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let name = |path: &Path| path.as_ref().strip_prefix(&start).map(str::to_owned);
        let objects = listed.objects.iter().filter_map(|object| name(&object.location));
        let directories = listed.common_prefixes.iter().filter_map(name).map(|n| format!("{n}/"));
        let mut names: Vec<String> = objects.chain(directories).collect();
        names.sort();
        Ok(names)
    }
}

impl Store for RemoteStore {
    fn location(&self) -> &str {
        &self.client.location
    }

    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool> {
        let Request { key, range, limit } = request;
        let owned = key.to_owned();
        let found =
            self.run(key, |client| async move { client.get(&owned, range, limit).await })?;
        let is_there = found.is_some();
        *out = found.unwrap_or_default();
        Ok(is_there)
    }

    fn get_many(&self, requests: &[Request<'_>]) -> Vec<Result<Option<Vec<u8>>>> {
        let merged = coalesce::coalesce(requests);
        let answers =
            self.run("", |client| async move { Ok(many::get_many(client, merged).await) });
        answers.unwrap_or_else(|error| {
            requests.iter().map(|r| Err(failure::again(&error, self.place(r.key)))).collect()
        })
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        let owned = key.to_owned();
        self.run(key, |client| async move { client.size(&owned).await })
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        check_key(self.location(), key)?;
        self.check_writable(key)?;
        let (owned, bytes) = (key.to_owned(), bytes.to_vec());
        self.run(key, |client| async move { client.put(&owned, bytes).await })
    }

    fn delete(&self, key: &str) -> Result<()> {
        check_key(self.location(), key)?;
        self.check_writable(key)?;
        let owned = key.to_owned();
        self.run(key, |client| async move { client.delete(&owned).await })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        if self.client.is_read_only {
            let message = "listing over HTTP";
            return Err(Error::unsupported(self.client.place(prefix), message));
        }
        let owned = prefix.to_owned();
        self.run(prefix, |client| async move { client.list(&owned).await })
    }

    fn is_remote(&self) -> bool {
        true
    }
}
