//! Whole volumes on remote stores: written, read back, and exchanged with another program.

use exavox_io::location::ArrayFormat;
use exavox_io::store::Directory;
use exavox_io::store::remote::{RemoteOptions, open_url};
use exavox_io::volume::{OmeVersion, WriteMode};
use exavox_io::{
    BoundingBox, DataType, Error, Limits, OpenOptions, Volume, VolumeWriter, WriteOptions,
};

use crate::range_server::{Fault, RangeServer};
use crate::s3_server::{self, BUCKET};
use crate::{pattern, peers};

/// Those of the peer's script, after the channels.
const SHAPE: [u64; 3] = [9, 21, 33];

fn sharded() -> WriteOptions {
    let mut options = WriteOptions::new(DataType::U16, SHAPE);
    options = options.with_channels(vec!["a".into(), "b".into()]);
    options.ome = OmeVersion::V05;
    (options.chunk_shape, options.shard_shape) = (Some([4, 8, 8]), Some([8, 16, 32]));
    options
}

fn write(directory: &Directory, options: &WriteOptions) {
    let writer = VolumeWriter::create_in(directory, ArrayFormat::Zarr, options).unwrap();
    pattern::write(&writer, options.dtype, SHAPE, 2, 0);
    writer.finish().unwrap();
}

fn on_s3(endpoint: &str, key: &str) -> Directory {
    open_url(&format!("s3://{BUCKET}/{key}"), &s3_server::options(endpoint)).unwrap()
}

/// Serves all objects of a directory over HTTP.
fn serve(directory: &Directory, key: &str, server: &RangeServer) {
    for name in directory.list().unwrap() {
        match name.strip_suffix('/') {
            Some(inner) => serve(&directory.join(inner), &format!("{key}/{inner}"), server),
            None => {
                let all = exavox_io::store::ByteRange::All;
                let bytes = directory.get(&name, all, 1 << 20).unwrap().unwrap();
                server.put(&format!("{key}/{name}"), &bytes);
            }
        }
    }
}

#[test]
fn zarr_on_s3_is_read_back_and_by_tensorstore() {
    let Some(endpoint) = s3_server::endpoint() else { return };
    let server = RangeServer::start();
    for (name, options) in [
        ("v05.zarr", sharded()),
        ("v04.zarr", {
            let mut options = sharded();
            (options.ome, options.shard_shape) = (OmeVersion::V04, None);
            options
        }),
    ] {
        let directory = on_s3(endpoint, &format!("ours/{name}"));
        write(&directory, &options);
        let volume = Volume::open_in(&directory, &OpenOptions::default()).unwrap();
        assert_eq!(volume.metadata().channels, ["a", "b"]);
        pattern::check_all(&volume);
        // An array inside finds the group above it.
        let inside = Volume::open_in(&directory.join("0"), &OpenOptions::default()).unwrap();
        assert_eq!(inside.metadata().channels, ["a", "b"]);
        serve(&directory, &format!("ours/{name}"), &server);
        let url = server.url(&format!("/ours/{name}"));
        pattern::check_all(&Volume::open(&url).unwrap());
        pattern::check_all(&Volume::open(&format!("zarr://{url}/")).unwrap());
    }
    let Some(python) = peers::python() else { return };
    let (key, url) = ("ours/v05.zarr/0/", server.url("/"));
    let found = peers::run(&python, "remote_peers.py", &["check", endpoint, BUCKET, key, &url]);
    assert_eq!(found, "s3 (2, 9, 21, 33)\nhttp (2, 9, 21, 33)\n");
}

#[test]
fn what_tensorstore_writes_to_s3_is_read() {
    let (Some(endpoint), Some(python)) = (s3_server::endpoint(), peers::python()) else { return };
    peers::run(&python, "remote_peers.py", &["write", endpoint, BUCKET, "theirs/v.zarr/"]);
    let directory = on_s3(endpoint, "theirs/v.zarr");
    pattern::check_all(&Volume::open_in(&directory, &OpenOptions::default()).unwrap());
}

#[test]
fn volumes_on_s3_are_replaced_only_when_asked() {
    let Some(endpoint) = s3_server::endpoint() else { return };
    let directory = on_s3(endpoint, "replaced/v.zarr");
    write(&directory, &sharded());
    let options = sharded();
    let again = VolumeWriter::create_in(&directory, ArrayFormat::Zarr, &options).unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    assert!(again.to_string().contains("s3://volumes (replaced/v.zarr)"), "{again}");
    write(&directory, &options.with_mode(WriteMode::Overwrite));
    pattern::check_all(&Volume::open_in(&directory, &OpenOptions::default()).unwrap());
}

#[test]
fn volumes_are_read_over_http_with_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let local = Directory::local(&folder.path().join("v.zarr"));
    write(&local, &sharded());
    let server = RangeServer::start();
    serve(&local, "data/my volume.zarr", &server);
    let volume = Volume::open(&server.url("/data/my%20volume.zarr")).unwrap();
    server.take_log();
    let region = BoundingBox::whole(SHAPE);
    let read = volume.read(0, &region).unwrap();
    assert_eq!(
        read.as_slice::<u16>().unwrap(),
        pattern::region(DataType::U16, 0, &region).as_slice::<u16>().unwrap()
    );
    let (requests, chunks) = (server.take_log().len(), 3 * 3 * 5);
    // Eight shards of up to 16 chunks: an index and the chunks in one piece, or the object.
    assert!(requests <= 2 * 8, "{requests} requests for {chunks} chunks");
    server.fail_next(&[Fault::Status(503), Fault::Close]);
    let volume = Volume::open(&server.url("/data/my%20volume.zarr")).unwrap();
    pattern::check_all(&volume);
}

#[test]
fn a_volume_whose_server_forbids_chunks_is_an_error_with_chunk_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let local = Directory::local(&folder.path().join("v.zarr"));
    write(&local, &sharded());
    let server = RangeServer::start();
    serve(&local, "v.zarr", &server);
    let options = RemoteOptions::default();
    let directory = open_url(&server.url("/v.zarr"), &options).unwrap();
    let volume = Volume::open_in(&directory, &OpenOptions::default()).unwrap();
    server.fail_always(Fault::Status(403));
    let error = volume.read(0, &BoundingBox::whole([1, 1, 1])).unwrap_err().to_string();
    assert!(error.contains("403") && error.contains("v.zarr/0/c/0/0/0/0"), "{error}");
    assert!(error.contains("chunk [0, 0, 0, 0]"), "{error}");
    // So are documents, which must not be taken for absent.
    let error = Volume::open_in(&directory, &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("403"), "{error}");
    server.fail_always(Fault::Endless);
    let limits = {
        let mut limits = Limits::default();
        limits.max_metadata_bytes = 1 << 16;
        limits
    };
    let mut options = OpenOptions::default();
    options.limits = limits;
    let error = Volume::open_in(&directory, &options).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
}

/// Each format of one file, fetched as a whole; what is left of it goes with the volume.
#[test]
fn single_files_are_read_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let server = RangeServer::start();
    for name in ["v.tif", "v.npy", "v.nrrd", "v.mrc"] {
        let path = folder.path().join(name).display().to_string();
        let options = WriteOptions::new(DataType::U16, SHAPE);
        let writer = VolumeWriter::create(&path, &options).unwrap();
        let block = BoundingBox::whole(SHAPE);
        writer.write(0, [0; 3], &pattern::region(DataType::U16, 0, &block)).unwrap();
        writer.finish().unwrap();
        server.put(&format!("files/{name}"), &std::fs::read(&path).unwrap());
        pattern::check_all(&Volume::open(&server.url(&format!("/files/{name}"))).unwrap());
    }
    let missing = Volume::open(&server.url("/files/w.tif")).unwrap_err().to_string();
    assert!(missing.contains("w.tif"), "{missing}");
    let mut limits = Limits::default();
    limits.max_region_bytes = 1000;
    let options = OpenOptions::default().with_limits(limits);
    let large = Volume::open_with(&server.url("/files/v.npy"), &options).unwrap_err();
    assert!(matches!(large, Error::LimitExceeded { .. }), "{large}");
}
