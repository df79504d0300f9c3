//! What every store does, run by every store. Those behind URLs are in `remote_stores`.

use exavox_io::store::{ByteRange, Directory, LocalStore, MemoryStore, Request, Store};
use exavox_io::{Error, Limits};
use serde_json::json;

/// Keys that URLs, XML and shells would change if they were not encoded.
pub(crate) const KEYS: [&str; 12] = [
    "plain",
    "a/b/c.0.1",
    "with space/and more",
    "a%20b",
    "100%",
    "question?x=1&y=2",
    "hash#part",
    "plus+equals=",
    "brackets[1]{z}~^`|",
    "quote'\"<>&amp;",
    "ümläut/日本",
    "colon:semi;comma,@!$*()",
];

/// Values that differ from place to place.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + i / 256 * 7) as u8).collect()
}

pub(crate) fn get(
    store: &dyn Store,
    key: &str,
    range: ByteRange,
    limit: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let mut out = vec![9; 3];
    let found = store.get(Request { key, range, limit }, &mut out)?;
    Ok(found.then_some(out))
}

/// Reading, of a store that `put` fills.
pub(crate) fn reads(store: &dyn Store, put: &dyn Fn(&str, &[u8])) {
    let object = bytes(1000);
    put("read/object", &object);
    put("read/empty", b"");
    let span = |start, length| ByteRange::Span { start, length };
    let get = |key: &str, range, limit| get(store, key, range, limit);

    assert_eq!(get("read/object", ByteRange::All, 1000).unwrap().unwrap(), object);
    assert_eq!(get("read/object", span(10, 20), 20).unwrap().unwrap(), &object[10..30]);
    assert_eq!(get("read/object", span(999, 1), 20).unwrap().unwrap(), &object[999..]);
    assert_eq!(get("read/object", span(5, 0), 20).unwrap().unwrap(), b"");
    assert_eq!(get("read/object", ByteRange::Last(7), 7).unwrap().unwrap(), &object[993..]);
    assert_eq!(get("read/object", ByteRange::Last(1000), 1000).unwrap().unwrap(), object);
    assert_eq!(get("read/empty", ByteRange::All, 10).unwrap().unwrap(), b"");
    assert_eq!(store.size("read/object").unwrap(), Some(1000));
    assert_eq!(store.size("read/empty").unwrap(), Some(0));

    for range in [ByteRange::All, span(0, 5), span(0, 0), ByteRange::Last(5)] {
        assert_eq!(get("read/absent", range, 10).unwrap(), None, "{range:?}");
    }
    assert_eq!(store.size("read/absent").unwrap(), None);
    // A directory is no object.
    assert_eq!(get("read", ByteRange::All, 10).unwrap(), None);
    assert_eq!(store.size("read").unwrap(), None);

    for range in [span(990, 11), span(1000, 1), span(5000, 10), ByteRange::Last(1001)] {
        let error = get("read/object", range, 10_000).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{range:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("truncated") && text.contains("read/object"), "{text}");
        assert!(text.starts_with(store.location()) && text.contains("1000"), "{text}");
    }
    for range in [ByteRange::All, span(0, 1000), ByteRange::Last(1000), span(3, u64::MAX)] {
        let error = get("read/object", range, 999).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { limit: 999, .. }), "{range:?}: {error}");
        assert!(error.to_string().contains("read/object"), "{error}");
    }
    for key in ["", "/read/object", "../x", "read/../read/object", "read//object", "read/./object"]
    {
        let error = get(key, ByteRange::All, 10_000).unwrap_err().to_string();
        assert!(error.contains("not a valid key"), "{key}: {error}");
        assert!(store.size(key).unwrap_err().to_string().contains("not a valid key"), "{key}");
    }
    for (number, key) in KEYS.iter().enumerate() {
        put(key, &bytes(number + 1));
    }
    for (number, key) in KEYS.iter().enumerate() {
        let found = get(key, ByteRange::All, 100).unwrap();
        assert_eq!(found, Some(bytes(number + 1)), "{key}");
    }
    reads_many(store, put);
}

fn reads_many(store: &dyn Store, put: &dyn Fn(&str, &[u8])) {
    let object = bytes(300_000);
    put("many/object", &object);
    let request = |key, range, limit| Request { key, range, limit };
    let span = |start, length| ByteRange::Span { start, length };
    let requests = [
        request("many/object", span(100, 50), 50),
        request("many/absent", span(0, 10), 10),
        request("many/object", span(0, 100), 100),
        request("many/object", span(100, 50), 50),
        request("many/object", span(120, 100), 100),
        request("many/object", span(299_990, 10), 10),
        request("many/object", span(299_990, 11), 11),
        request("many/object", ByteRange::Last(3), 3),
        request("many/object", ByteRange::All, 10),
        request("many/object", span(7, 8), 7),
        request("../outside", ByteRange::All, 10),
    ];
    let answers = store.get_many(&requests);
    assert_eq!(answers.len(), requests.len());
    let bytes = |i: usize| answers[i].as_ref().unwrap().as_deref().unwrap();
    assert_eq!(bytes(0), &object[100..150]);
    assert!(answers[1].as_ref().unwrap().is_none());
    assert_eq!(bytes(2), &object[..100]);
    assert_eq!(bytes(3), &object[100..150]);
    assert_eq!(bytes(4), &object[120..220]);
    assert_eq!(bytes(5), &object[299_990..]);
    assert!(matches!(&answers[6], Err(Error::Format { .. })), "{:?}", answers[6]);
    assert_eq!(bytes(7), &object[299_997..]);
    for i in [8, 9] {
        assert!(matches!(&answers[i], Err(Error::LimitExceeded { .. })), "{:?}", answers[i]);
    }
    let error = answers[10].as_ref().unwrap_err().to_string();
    assert!(error.contains("not a valid key"), "{error}");
    assert!(store.get_many(&[]).is_empty());
}

/// Writing, and reading what was written.
pub(crate) fn conforms(store: &dyn Store) {
    reads(store, &|key, bytes| store.put(key, bytes).unwrap());
    let read = |key: &str| get(store, key, ByteRange::All, 1000).unwrap();

    store.put("write/one", b"first").unwrap();
    store.put("write/one", b"second, longer").unwrap();
    assert_eq!(read("write/one").unwrap(), b"second, longer");
    store.put("write/one", b"3").unwrap();
    assert_eq!(read("write/one").unwrap(), b"3");
    store.put("write/below/two", b"2").unwrap();
    store.put("writer", b"not below").unwrap();
    assert_eq!(store.list("write").unwrap(), ["below/", "one"]);
    assert_eq!(store.list("write/below").unwrap(), ["two"]);
    assert!(store.list("absent").unwrap().is_empty());
    let top = store.list("").unwrap();
    assert!(top.contains(&"writer".to_owned()) && top.contains(&"write/".to_owned()), "{top:?}");
    assert!(top.is_sorted(), "{top:?}");
    for key in KEYS.iter().filter(|key| !key.contains('/')) {
        assert!(top.contains(&(*key).to_owned()), "{key}: {top:?}");
    }

    store.delete("write/one").unwrap();
    assert_eq!(read("write/one"), None);
    store.delete("write/one").unwrap();
    store.delete("never/there").unwrap();
    assert_eq!(store.list("write").unwrap(), ["below/"]);
    for key in ["", "..", "a/../../b", "/a"] {
        assert!(store.put(key, b"x").unwrap_err().to_string().contains("not a valid key"), "{key}");
        assert!(store.delete(key).unwrap_err().to_string().contains("not a valid key"), "{key}");
    }
    assert!(store.list("..").unwrap_err().to_string().contains("not a valid key"));
}

/// Directories of a store that `conforms`.
pub(crate) fn has_directories(top: &Directory) {
    let limits = Limits::default();
    let inside = top.join("volumes").join("v.zarr");
    inside.put_json("attributes.json", &json!({"a": [1, 2]})).unwrap();
    assert_eq!(inside.get_json("attributes.json", &limits).unwrap(), Some(json!({"a": [1, 2]})));
    assert!(inside.contains("attributes.json").unwrap());
    assert!(!inside.contains("absent.json").unwrap());
    assert_eq!(inside.list().unwrap(), ["attributes.json"]);
    let (above, name) = inside.parent().unwrap();
    assert_eq!(name, "v.zarr");
    assert_eq!(above.list().unwrap(), ["v.zarr/"]);
    assert!(above.join("v.zarr").contains("attributes.json").unwrap());
}

#[test]
fn a_local_directory_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&LocalStore::new(folder.path()));
    has_directories(&Directory::local(folder.path()));
}

#[test]
fn memory_conforms() {
    conforms(&MemoryStore::new());
    has_directories(&Directory::new(std::sync::Arc::new(MemoryStore::new()), ""));
}

#[cfg(not(feature = "remote"))]
#[test]
fn remote_addresses_name_the_feature() {
    for address in ["http://h/v", "https://h/v", "s3://b/v", "gs://b/v"] {
        let error = exavox_io::store::open_address(address).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("feature `remote`"), "{error}");
    }
}

#[test]
fn unknown_schemes_are_refused() {
    let error = exavox_io::store::open_address("ftp://h/v").unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("known are file, http, https, s3, gs"), "{error}");
}
