//! A local S3 server, one for all tests of this process.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use exavox_io::store::remote::RemoteOptions;

use crate::peers;

/// The bucket that is there.
pub(crate) const BUCKET: &str = "volumes";

/// The server ends with this process, whose end closes its standard input.
struct S3Server {
    endpoint: String,
    _process: Child,
    _input: Option<ChildStdin>,
}

/// URL of the server, or `None` with a message.
pub(crate) fn endpoint() -> Option<&'static str> {
    static SERVER: OnceLock<Option<S3Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let python = peers::python()?;
        let script = peers::script("s3_server.py");
        let mut process = Command::new(python)
            .arg(script)
            .arg(BUCKET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().expect("the S3 server did not start");
        let endpoint = format!("http://127.0.0.1:{port}");
        Some(S3Server { endpoint, _process: process, _input: input })
    });
    server.as_ref().map(|server| server.endpoint.as_str())
}

/// Options whose S3 is a server, with credentials.
pub(crate) fn options(endpoint: &str) -> RemoteOptions {
    let mut options = RemoteOptions::default().with_variables([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
    ]);
    options.silence_timeout = Duration::from_secs(20);
    options
}
