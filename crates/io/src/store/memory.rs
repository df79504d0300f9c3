//! Objects in memory: for tests, and for programs that embed this crate.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::error::Result;

use super::{Request, Store, check_key};

/// A store that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: RwLock<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn location(&self) -> &str {
        "memory"
    }

    fn get(&self, request: Request<'_>, out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        check_key(self.location(), request.key)?;
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let Some(object) = objects.get(request.key) else { return Ok(false) };
        let place = self.place(request.key);
        let (start, length) = request.range.within(object.len() as u64, request.limit, &place)?;
        out.extend_from_slice(&object[start as usize..start as usize + length]);
        Ok(true)
    }

    fn size(&self, key: &str) -> Result<Option<u64>> {
        check_key(self.location(), key)?;
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        Ok(objects.get(key).map(|object| object.len() as u64))
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        check_key(self.location(), key)?;
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.insert(key.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<()> {
        check_key(self.location(), key)?;
        self.objects.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        if !prefix.is_empty() {
            check_key(self.location(), prefix)?;
        }
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = objects
            .range(start.clone()..)
            .map_while(|(key, _)| key.strip_prefix(&start))
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None => rest.to_owned(),
            })
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}
