//! Servers that fail, lie or say nothing: the right bytes or an error in time, and bounded memory.

use std::io::Write;
use std::time::{Duration, Instant};

use exavox_io::Error;
use exavox_io::store::remote::{MAX_GAP_BYTES, RemoteOptions, RemoteStore};
use exavox_io::store::{ByteRange, Request, Store};

use crate::range_server::{Fault, RangeServer};
use crate::stores::{bytes, get};

const SPAN: ByteRange = ByteRange::Span { start: 10, length: 100 };

fn impatient() -> RemoteOptions {
    let mut options = RemoteOptions::default().with_variables::<&str, &str>([]);
    options.connect_timeout = Duration::from_secs(1);
    options.silence_timeout = Duration::from_millis(300);
    options.retries = 2;
    options.retry_time = Duration::from_secs(10);
    options
}

/// A server with the object `dir/v` of 1000 bytes.
fn server() -> (RangeServer, RemoteStore) {
    let server = RangeServer::start();
    server.put("dir/v", &bytes(1000));
    let store = RemoteStore::open(&server.url(""), &impatient()).unwrap();
    (server, store)
}

/// All, and a part; both must be right.
fn reads_well(store: &RemoteStore) {
    assert_eq!(get(store, "dir/v", ByteRange::All, 1000).unwrap().unwrap(), bytes(1000));
    assert_eq!(get(store, "dir/v", SPAN, 100).unwrap().unwrap(), &bytes(1000)[10..110]);
}

/// The error of one read, which names the store and the key in one line.
fn error(store: &RemoteStore, range: ByteRange, limit: u64) -> Error {
    let error = get(store, "dir/v", range, limit).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(store.location()) && text.contains("dir/v"), "{text}");
    assert!(!text.contains('\n') && text.len() < 1000, "{text}");
    error
}

#[test]
fn a_server_that_fails_twice_and_then_works_is_asked_again() {
    let (server, store) = server();
    for fault in [Fault::Status(503), Fault::Status(429), Fault::Close, Fault::Silence] {
        server.fail_next(&[fault.clone(), fault.clone()]);
        assert_eq!(get(&store, "dir/v", SPAN, 100).unwrap().unwrap(), &bytes(1000)[10..110]);
        let log = server.take_log();
        assert_eq!(log, ["GET /dir/v bytes=10-109"; 3], "{fault:?}");
    }
    server.fail_next(&[Fault::Status(500)]);
    assert_eq!(store.size("dir/v").unwrap(), Some(1000));
}

#[test]
fn retries_have_a_limit() {
    let (server, store) = server();
    server.fail_always(Fault::Status(503));
    let error = error(&store, ByteRange::All, 1000);
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(server.take_log().len(), 3);
}

#[test]
fn retries_have_a_time_limit() {
    let server = RangeServer::start();
    server.fail_always(Fault::Status(503));
    let mut options = impatient();
    (options.retries, options.retry_time) = (1000, Duration::from_secs(1));
    let store = RemoteStore::open(&server.url(""), &options).unwrap();
    let begin = Instant::now();
    error(&store, ByteRange::All, 1000);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let (server, store) = server();
    for fault in [Fault::Silence, Fault::Stall] {
        server.fail_always(fault);
        let begin = Instant::now();
        let error = error(&store, ByteRange::All, 1000);
        assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
        assert!(
            matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
            "{error:?}"
        );
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let store = RemoteStore::open("http://127.0.0.1:1", &impatient()).unwrap();
    let error = error(&store, ByteRange::All, 1000);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_body_that_is_cut_is_fetched_again() {
    for etags in [false, true] {
        let (server, store) = server();
        if etags {
            server.send_etags();
        }
        server.fail_next(&[Fault::Cut]);
        reads_well(&store);
        server.fail_next(&[Fault::Cut, Fault::Cut]);
        assert_eq!(get(&store, "dir/v", SPAN, 100).unwrap().unwrap(), &bytes(1000)[10..110]);
        server.fail_always(Fault::Cut);
        let error = error(&store, SPAN, 100);
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}

#[test]
fn another_range_than_asked_for_is_never_taken() {
    let (server, store) = server();
    server.fail_always(Fault::IgnoreRange);
    let found = error(&store, SPAN, 100);
    assert!(matches!(found, Error::Unsupported { .. }), "{found}");
    assert!(matches!(error(&store, ByteRange::Last(9), 100), Error::Unsupported { .. }));
    assert_eq!(get(&store, "dir/v", ByteRange::All, 1000).unwrap().unwrap(), bytes(1000));
    server.fail_always(Fault::OtherRange);
    error(&store, SPAN, 100);
    error(&store, ByteRange::Last(9), 100);
}

#[test]
fn lengths_are_not_trusted() {
    let (server, store) = server();
    // More than there is.
    for claim in [2000, 1 << 60] {
        server.fail_always(Fault::Claim(claim));
        error(&store, ByteRange::All, u64::MAX);
        error(&store, SPAN, 100);
    }
    let limit = error(&store, ByteRange::All, 1000);
    assert!(matches!(limit, Error::LimitExceeded { needed, .. } if needed == 1 << 60), "{limit}");
    // Less than there is.
    server.fail_always(Fault::Claim(50));
    error(&store, SPAN, 100);
}

#[test]
fn objects_without_a_length_are_read_up_to_the_limit() {
    let (server, store) = server();
    server.fail_always(Fault::NoLength);
    assert_eq!(get(&store, "dir/v", ByteRange::All, 1000).unwrap().unwrap(), bytes(1000));
    assert_eq!(store.size("dir/v").unwrap(), Some(1000));
    assert!(matches!(error(&store, ByteRange::All, 999), Error::LimitExceeded { .. }));
    server.fail_always(Fault::Endless);
    assert!(matches!(error(&store, ByteRange::All, 1 << 20), Error::LimitExceeded { .. }));
}

#[test]
fn objects_over_the_limit_are_refused_before_their_body() {
    let (_server, store) = server();
    let error = error(&store, ByteRange::All, 999);
    assert!(matches!(error, Error::LimitExceeded { needed: 1000, limit: 999, .. }), "{error}");
}

#[test]
fn forbidden_is_an_error_and_not_absent() {
    let (server, store) = server();
    for status in [401, 403] {
        server.fail_always(Fault::Status(status));
        let error = error(&store, ByteRange::All, 1000);
        assert!(error.to_string().contains(&format!("access denied ({status})")), "{error}");
        assert!(store.size("dir/v").is_err());
    }
    // The page of the error is not read to its end.
    server.fail_always(Fault::EndlessError);
    error(&store, ByteRange::All, 1000);
    server.fail_always(Fault::Status(404));
    assert_eq!(get(&store, "dir/v", ByteRange::All, 1000).unwrap(), None);
}

#[test]
fn objects_stored_with_gzip_are_decoded_up_to_the_limit() {
    let (server, store) = server();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&bytes(5000)).unwrap();
    let packed = encoder.finish().unwrap();
    server.put("dir/v", &packed);
    server.fail_always(Fault::Encoding("gzip"));
    assert_eq!(get(&store, "dir/v", ByteRange::All, 5000).unwrap().unwrap(), bytes(5000));
    assert!(matches!(error(&store, ByteRange::All, 4999), Error::LimitExceeded { .. }));
    let part = error(&store, ByteRange::Last(8), 1000);
    assert!(matches!(part, Error::Unsupported { .. }), "{part}");
    server.put("dir/v", &packed[..packed.len() - 9]);
    assert!(matches!(error(&store, ByteRange::All, 5000), Error::Format { .. }));
    server.fail_always(Fault::Encoding("br"));
    assert!(matches!(error(&store, ByteRange::All, 5000), Error::Unsupported { .. }));
}

#[test]
fn near_parts_are_one_request_and_far_ones_their_own() {
    let (server, store) = server();
    let far = MAX_GAP_BYTES * 3;
    let object = bytes(far as usize + 100);
    server.put("big", &object);
    let starts = [0, 500, 200, 1000, far, far + 50];
    let request = |start: &u64| {
        let range = ByteRange::Span { start: *start, length: 50 };
        Request { key: "big", range, limit: 50 }
    };
    let requests: Vec<_> = starts.iter().map(request).collect();
    for (start, answer) in starts.iter().zip(store.get_many(&requests)) {
        let expected = &object[*start as usize..*start as usize + 50];
        assert_eq!(answer.unwrap().unwrap(), expected, "{start}");
    }
    let mut log = server.take_log();
    log.sort();
    let expected =
        ["GET /big bytes=0-1049".to_owned(), format!("GET /big bytes={far}-{}", far + 99)];
    assert_eq!(log, expected);
}

#[test]
fn a_merged_request_that_fails_fails_its_parts_with_their_keys() {
    let (server, store) = server();
    server.fail_always(Fault::Status(403));
    let range = |start| ByteRange::Span { start, length: 10 };
    let request = |start| Request { key: "dir/v", range: range(start), limit: 10 };
    for answer in store.get_many(&[request(0), request(20), request(40)]) {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("403") && error.contains("dir/v"), "{error}");
    }
    assert_eq!(server.take_log().len(), 1);
}

#[test]
fn many_requests_are_under_way_at_once() {
    let server = RangeServer::start();
    let mut options = impatient();
    (options.silence_timeout, options.retries) = (Duration::from_millis(1000), 0);
    let store = RemoteStore::open(&server.url(""), &options).unwrap();
    server.fail_always(Fault::Silence);
    let keys: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    let requests: Vec<_> =
        keys.iter().map(|key| Request { key, range: ByteRange::All, limit: 10 }).collect();
    let begin = Instant::now();
    assert!(store.get_many(&requests).iter().all(Result::is_err));
    // One after the other, they would take 40 s.
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let mut log = server.take_log();
    log.sort();
    log.dedup();
    assert_eq!(log.len(), 40);
}
