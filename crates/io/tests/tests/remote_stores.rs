//! Stores behind URLs do what all stores do; and what only they do.

use std::sync::Arc;

use exavox_io::store::remote::{RemoteOptions, RemoteStore, open_url};
use exavox_io::store::{ByteRange, Request, Store};
use exavox_io::{BoundingBox, DataType, Error, OpenOptions, Volume, VolumeWriter, WriteOptions};

use crate::pattern;
use crate::range_server::{Fault, RangeServer};
use crate::s3_server::{self, BUCKET};
use crate::stores::{bytes, conforms, get, has_directories, reads};

#[test]
fn http_is_read_like_every_store() {
    let server = RangeServer::start();
    let store = RemoteStore::open(&server.url("/ignored"), &RemoteOptions::default()).unwrap();
    reads(&store, &|key, bytes| server.put(key, bytes));
    assert!(store.is_remote());
    assert_eq!(store.location(), server.url(""));
}

#[test]
fn http_is_only_read() {
    let server = RangeServer::start();
    let store = RemoteStore::open(&server.url(""), &RemoteOptions::default()).unwrap();
    let errors = [
        store.put("k", b"x").unwrap_err(),
        store.delete("k").unwrap_err(),
        store.list("k").unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("HTTP"), "{error}");
    }
    assert!(server.take_log().is_empty());
}

#[test]
fn s3_conforms() {
    let Some(endpoint) = s3_server::endpoint() else { return };
    let options = s3_server::options(endpoint);
    // The suite lists the top of the store, so that it has one of its own.
    let bucket = own_bucket(endpoint, "conformance-s3");
    conforms(&RemoteStore::open(&bucket, &options).unwrap());
    has_directories(&open_url(&format!("{bucket}/dirs/"), &options).unwrap());
}

/// A server that stands for Google's: paths are `/bucket/key`.
fn gcs() -> (RangeServer, RemoteStore) {
    let server = RangeServer::start();
    server.send_etags();
    let variables = [("STORAGE_EMULATOR_HOST", server.url(""))];
    let options = RemoteOptions::default().with_variables(variables);
    (server, RemoteStore::open("gs://bucket", &options).unwrap())
}

#[test]
fn gcs_is_read_like_every_store() {
    let (server, store) = gcs();
    reads(&store, &|key, bytes| server.put(&format!("bucket/{key}"), bytes));
    server.take_log();
    server.fail_next(&[Fault::Status(404)]);
    store.delete("read/empty").unwrap();
    assert_eq!(server.take_log(), ["DELETE /bucket/read/empty"]);
}

/// The XML interface of Google Cloud Storage lists as S3 does.
#[test]
fn gcs_is_listed() {
    let Some(endpoint) = s3_server::endpoint() else { return };
    let bucket = own_bucket(endpoint, "listed");
    let writer = RemoteStore::open(&bucket, &s3_server::options(endpoint)).unwrap();
    for key in ["a/b/c", "a/d e", "f"] {
        writer.put(key, b"x").unwrap();
    }
    let options = RemoteOptions::default().with_variables([("STORAGE_EMULATOR_HOST", endpoint)]);
    let top = open_url("gs://listed", &options).unwrap();
    assert_eq!(top.list().unwrap(), ["a/", "f"]);
    assert_eq!(top.join("a").list().unwrap(), ["b/", "d e"]);
    let (above, name) = top.join("a/b").parent().unwrap();
    assert_eq!((above.list().unwrap().len(), name.as_str()), (2, "b"));
}

#[test]
fn gcs_is_not_written_without_credentials() {
    let (server, store) = gcs();
    server.fail_always(Fault::Status(401));
    let error = store.put("k", b"x").unwrap_err().to_string();
    assert!(error.contains("gs://bucket (k): access denied (401)"), "{error}");
}

/// Makes a bucket: S3's `PUT /bucket`.
fn own_bucket(endpoint: &str, name: &str) -> String {
    use std::io::{Read, Write};
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let close = "Connection: close\r\nContent-Length: 0";
    write!(stream, "PUT /{name} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    format!("s3://{name}")
}

#[test]
fn objects_are_written_in_parts_where_they_are_large() {
    let Some(endpoint) = s3_server::endpoint() else { return };
    let url = format!("s3://{BUCKET}");
    let store = RemoteStore::open(&url, &s3_server::options(endpoint)).unwrap();
    let object = bytes((20 << 20) + 13);
    store.put("large", b"old").unwrap();
    store.put("large", &object).unwrap();
    assert_eq!(store.size("large").unwrap(), Some(object.len() as u64));
    assert!(get(&store, "large", ByteRange::All, 1 << 30).unwrap().unwrap() == object);
    let end = ByteRange::Span { start: 20 << 20, length: 13 };
    assert_eq!(get(&store, "large", end, 13).unwrap().unwrap(), &object[20 << 20..]);
}

#[test]
fn a_bucket_that_is_not_there_is_an_error_for_writing() {
    let Some(endpoint) = s3_server::endpoint() else { return };
    let store = RemoteStore::open("s3://absent-bucket", &s3_server::options(endpoint)).unwrap();
    let error = store.put("k", b"x").unwrap_err().to_string();
    assert!(
        error.starts_with("s3://absent-bucket (k)") && error.contains("NoSuchBucket"),
        "{error}"
    );
}

#[test]
fn uploads_are_repeated() {
    let server = RangeServer::start();
    let variables = [("AWS_ENDPOINT_URL_S3", server.url("")), ("AWS_ENDPOINT_URL", "x".to_owned())];
    let mut options = RemoteOptions::default().with_variables(variables);
    options.retries = 2;
    let store = RemoteStore::open("s3://b", &options).unwrap();
    server.fail_next(&[Fault::Status(503), Fault::Status(503), Fault::Status(403)]);
    let error = store.put("k", b"").unwrap_err().to_string();
    assert!(error.contains("403"), "{error}");
    assert_eq!(server.take_log(), ["PUT /b/k"; 3]);
}

#[test]
fn credentials_that_are_not_whole_are_an_error() {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        let options = RemoteOptions::default().with_variables([(name, "hidden")]);
        let error = RemoteStore::open("s3://b", &options).unwrap_err();
        assert!(matches!(error, Error::Usage { .. }), "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", "/absent/credentials.json")];
    let options = RemoteOptions::default().with_variables(variables);
    assert!(matches!(RemoteStore::open("gs://b", &options).unwrap_err(), Error::Usage { .. }));
}

#[test]
fn objects_are_read_from_any_runtime() {
    let server = RangeServer::start();
    server.put("v", &bytes(100));
    let store = RemoteStore::open(&server.url(""), &RemoteOptions::default()).unwrap();
    let request = Request { key: "v", range: ByteRange::Last(9), limit: 9 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(async {
        // The blocking call may be made on a thread of a runtime, too.
        assert_eq!(store.size("v").unwrap(), Some(100));
        store.get_async(request).await
    });
    assert_eq!(found.unwrap().unwrap(), &bytes(100)[91..]);
}

#[test]
fn regions_are_read_from_any_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("{}/v.zarr", folder.path().display());
    let shape = [5, 6, 7];
    let writer = VolumeWriter::create(&name, &WriteOptions::new(DataType::U16, shape)).unwrap();
    pattern::write(&writer, DataType::U16, shape, 1, 0);
    writer.finish().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let region = BoundingBox::from_start_shape([1, 2, 3], [2, 3, 4]);
    let (read, expected) = runtime.block_on(async {
        let volume = Arc::new(Volume::open_async(&name, &OpenOptions::default()).await.unwrap());
        let expected = volume.read(0, &region).unwrap();
        (volume.read_async(0, region).await.unwrap(), expected)
    });
    assert_eq!(read.as_slice::<u16>().unwrap(), expected.as_slice::<u16>().unwrap());
}
