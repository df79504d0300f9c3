//! A directory in a store: where a volume lies.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Place, Result};
use crate::limits::Limits;

use super::{ByteRange, Durability, LocalStore, Request, Store};

/// A store and a prefix of keys in it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
    prefix: String,
}

impl Directory {
    /// The directory with this prefix, empty for the top of the store.
    pub fn new(store: Arc<dyn Store>, prefix: &str) -> Self {
        Self { store, prefix: prefix.trim_matches('/').to_owned() }
    }

    /// A directory of the local file system.
    pub fn local(path: &Path) -> Self {
        Self::new(Arc::new(LocalStore::new(path)), "")
    }

    /// The same directory, with written data safe when that is asked for; a remote store writes as it does.
    #[must_use]
    pub(crate) fn with_durability(&self, durability: Durability) -> Self {
        let Some(path) = self.store.local_path("") else { return self.clone() };
        let store =
            LocalStore::new(&path).with_name(self.store.location()).with_durability(durability);
        Self::new(Arc::new(store), &self.prefix)
    }

    /// The store that it is in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// A directory inside.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self { store: self.store.clone(), prefix: self.key(name) }
    }

    /// The directory above and the name of this one in it; `None` at the top of a store that is not
    /// local.
    pub fn parent(&self) -> Option<(Self, String)> {
        if let Some((above, name)) = self.prefix.rsplit_once('/') {
            return Some((Self::new(self.store.clone(), above), name.to_owned()));
        }
        if !self.prefix.is_empty() {
            return Some((Self::new(self.store.clone(), ""), self.prefix.clone()));
        }
        let path = self.store.local_path("")?.canonicalize().ok()?;
        let name = path.file_name()?.to_str()?.to_owned();
        Some((Self::local(path.parent()?), name))
    }

    /// The key of an object in this directory; of the directory itself for an empty name.
    pub fn key(&self, name: &str) -> String {
        match (self.prefix.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => self.prefix.clone(),
            _ => format!("{}/{name}", self.prefix),
        }
    }

    /// The place of an object in this directory, for errors.
    pub fn place(&self, name: &str) -> Place {
        self.store.place(&self.key(name))
    }

    /// An object or a part of it, see [`Store::get`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self, name: &str, range: ByteRange, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let key = self.key(name);
        let found = self.store.get(Request { key: &key, range, limit }, &mut out)?;
        Ok(found.then_some(out))
    }

    /// A JSON document, read within the limit for metadata; `None` if it is not there, or if a remote
    /// store denies access to it, which is what a public bucket says of objects that are not there.
    ///
    /// # Errors
    /// As [`Store::get`]; [`Error::Format`] if it is not JSON.
    pub fn get_json(&self, name: &str, limits: &Limits) -> Result<Option<Value>> {
        let text = self.get(name, ByteRange::All, limits.max_metadata_bytes);
        let text = match text {
            Err(error) if self.hides(&error) => None,
            other => other?,
        };
        let Some(text) = text else { return Ok(None) };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| Error::format(self.place(name), format!("not valid JSON: {e}")))
    }

    /// Writes an object, see [`Store::put`].
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.store.put(&self.key(name), bytes)
    }

    /// Writes a JSON document with indentation.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_json(&self, name: &str, document: &Value) -> Result<()> {
        let text = serde_json::to_vec_pretty(document)
            .map_err(|e| Error::usage(self.place(name), e.to_string()))?;
        self.put(name, &text)
    }

    /// Removes everything inside: objects first, so that documents are gone before chunks.
    ///
    /// # Errors
    /// [`Error::Usage`] for the top of a store, which holds more than one volume; as [`Store::list`] and
    /// [`Store::delete`].
    pub fn clear(&self) -> Result<()> {
        if self.prefix.is_empty() {
            let message = "the top of a store is not replaced; name a directory in it";
            return Err(Error::usage(self.place(""), message));
        }
        let names = self.list()?;
        let (directories, objects): (Vec<_>, Vec<_>) =
            names.iter().partition(|name| name.ends_with('/'));
        objects.iter().try_for_each(|name| self.store.delete(&self.key(name)))?;
        directories.iter().try_for_each(|name| self.join(name.trim_end_matches('/')).clear())
    }

    /// Whether there is an object of this name.
    ///
    /// # Errors
    /// As [`Store::size`].
    pub fn contains(&self, name: &str) -> Result<bool> {
        Ok(self.store.size(&self.key(name))?.is_some())
    }

    /// The first of some names that is there. A public bucket that cannot be listed says "access denied"
    /// of objects that are not there: that is an error only if none of them is.
    ///
    /// # Errors
    /// As [`Store::size`].
    pub fn first_of<'n>(&self, names: &[&'n str]) -> Result<Option<&'n str>> {
        let mut denied = None;
        for name in names {
            match self.contains(name) {
                Ok(true) => return Ok(Some(name)),
                Ok(false) => {}
                Err(error) if self.hides(&error) => denied = Some(error),
                Err(error) => return Err(error),
            }
        }
        denied.map_or(Ok(None), Err)
    }

    /// Whether an error can mean that the object is not there.
    fn hides(&self, error: &Error) -> bool {
        let denied = |source: &std::io::Error| source.kind() == ErrorKind::PermissionDenied;
        self.store.is_remote() && matches!(error, Error::Io { source, .. } if denied(source))
    }

    /// Names directly inside, see [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub fn list(&self) -> Result<Vec<String>> {
        self.store.list(&self.prefix)
    }
}
