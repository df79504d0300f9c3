//! A small HTTP server with ranges that can be told to fail in the ways of real servers.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An answer with this status and no object.
    Status(u16),
    /// No answer; the connection stays open.
    Silence,
    /// The connection is closed before anything is sent.
    Close,
    /// The header and half of the body, then the connection is closed.
    Cut,
    /// The header and half of the body, then silence.
    Stall,
    /// All of the object, whatever was asked for.
    IgnoreRange,
    /// The bytes one place further, and the header says so.
    OtherRange,
    /// The header claims this length, and the connection is closed behind the real body.
    Claim(u64),
    /// No length, and the body ends with the connection.
    NoLength,
    /// No length, and the body never ends.
    Endless,
    /// A status of failure, whose page never ends.
    EndlessError,
    /// A header for how the object is stored.
    Encoding(&'static str),
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Faults of the next requests.
    next: VecDeque<Fault>,
    /// Fault of all others.
    always: Option<Fault>,
    etags: bool,
    /// `GET /key bytes=0-9`.
    log: Vec<String>,
}

/// The server; it lives as long as the process.
#[derive(Clone)]
pub(crate) struct RangeServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl RangeServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, state: Arc::default() };
        let state = server.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                // A client that goes away ends the connection, not the test.
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        self.state.lock().unwrap().objects.insert(key.to_owned(), bytes.to_vec());
    }

    pub(crate) fn fail_next(&self, faults: &[Fault]) {
        self.state.lock().unwrap().next.extend(faults.iter().cloned());
    }

    pub(crate) fn fail_always(&self, fault: Fault) {
        self.state.lock().unwrap().always = Some(fault);
    }

    pub(crate) fn send_etags(&self) {
        self.state.lock().unwrap().etags = true;
    }

    /// Requests since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

struct Asked {
    method: String,
    key: String,
    range: Option<String>,
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(asked) = read_request(&mut reader) {
        let (object, fault, etags) = {
            let mut state = state.lock().unwrap();
            let range = asked.range.clone().unwrap_or_default();
            state.log.push(format!("{} /{} {range}", asked.method, asked.key).trim().to_owned());
            let next = state.next.pop_front();
            let fault = next.or_else(|| state.always.clone());
            (state.objects.get(&asked.key).cloned(), fault, state.etags)
        };
        if !answer(&stream, &asked, object, fault, etags) {
            // Dropping the reader alone would leave the connection open.
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let mut range = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                range = Some(value.trim().to_owned());
            }
            Some(_) => {}
        }
    }
    let key = percent_decoded(target.split('?').next()?.trim_start_matches('/'));
    Some(Asked { method, key, range })
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

/// `bytes=a-b` and `bytes=-n`; `None` if it is not in the object.
fn resolve(range: &str, size: u64) -> Option<Range<u64>> {
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    let range = match start {
        "" => size.saturating_sub(end.parse().ok()?)..size,
        _ => start.parse().ok()?..end.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (range.start < range.end).then_some(range)
}

/// Sends an answer; `false` if the connection is to be closed.
fn answer(
    mut stream: &TcpStream,
    asked: &Asked,
    object: Option<Vec<u8>>,
    fault: Option<Fault>,
    etags: bool,
) -> bool {
    let simple = |mut stream: &TcpStream, status: u16, more: &str| {
        let text = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\n{more}\r\n");
        stream.write_all(text.as_bytes()).is_ok()
    };
    match &fault {
        Some(Fault::Status(status)) => return simple(stream, *status, ""),
        Some(Fault::Silence) => return wait_for_end(stream),
        Some(Fault::Close) => return false,
        Some(Fault::EndlessError) => {
            let _ = stream.write_all(b"HTTP/1.1 403 -\r\n\r\n");
            return endless(stream);
        }
        _ => {}
    }
    let Some(object) = object else { return simple(stream, 404, "") };
    let size = object.len() as u64;
    let ignore = matches!(fault, Some(Fault::IgnoreRange));
    let (mut header, range) = match asked.range.as_ref().filter(|_| !ignore) {
        None => ("HTTP/1.1 200 OK\r\n".to_owned(), 0..size),
        Some(text) => {
            let Some(mut range) = resolve(text, size) else {
                return simple(stream, 416, &format!("Content-Range: bytes */{size}\r\n"));
            };
            if matches!(fault, Some(Fault::OtherRange)) {
                range = (range.start + 1).min(size - 1)..(range.end + 1).min(size);
            }
            let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            (format!("HTTP/1.1 206 Partial\r\nContent-Range: {text}\r\n"), range)
        }
    };
    let body = &object[range.start as usize..range.end as usize];
    if etags {
        header += "ETag: \"1\"\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n";
    }
    if let Some(Fault::Encoding(encoding)) = fault {
        header += &format!("Content-Encoding: {encoding}\r\n");
    }
    match fault {
        Some(Fault::NoLength | Fault::Endless) => header += "Connection: close\r\n",
        Some(Fault::Claim(length)) => header += &format!("Content-Length: {length}\r\n"),
        _ => header += &format!("Content-Length: {}\r\n", body.len()),
    }
    header += "\r\n";
    let is_head = asked.method == "HEAD";
    let body = if is_head { &[][..] } else { body };
    let half = &body[..body.len() / 2];
    let mut send =
        |part: &[u8]| stream.write_all(header.as_bytes()).is_ok() && stream.write_all(part).is_ok();
    match fault {
        Some(Fault::Cut) => {
            send(half);
            false
        }
        Some(Fault::Stall) => send(half) && wait_for_end(stream),
        Some(Fault::Endless) if !is_head => send(body) && endless(stream),
        Some(Fault::NoLength | Fault::Claim(_) | Fault::Endless) => {
            send(body);
            false
        }
        _ => send(body),
    }
}

/// Until the client goes away.
fn wait_for_end(mut stream: &TcpStream) -> bool {
    while stream.read(&mut [0; 64]).is_ok_and(|n| n > 0) {}
    false
}

fn endless(mut stream: &TcpStream) -> bool {
    while stream.write_all(&[b'x'; 4096]).is_ok() {}
    false
}
