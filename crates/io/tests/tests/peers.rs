//! Runs the Python peers that read what we write and write what we read.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Path of a peer's interpreter, or `None` with a message.
pub(crate) fn python() -> Option<PathBuf> {
    let python = std::env::var_os("EXAVOX_PEERS_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: EXAVOX_PEERS_PYTHON is not set");
    }
    python
}

/// Directory of the real data, or `None` with a message.
pub(crate) fn data() -> Option<PathBuf> {
    let data = std::env::var_os("EXAVOX_DATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("skipped: EXAVOX_DATA is not set");
    }
    data
}

/// Runs a script of `tests/peers`; its standard output. Fails the test if the script fails.
pub(crate) fn run(python: &Path, script: &str, arguments: &[&str]) -> String {
    let script = self::script(script);
    let output = Command::new(python).arg(&script).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {errors}", script.display());
    String::from_utf8(output.stdout).unwrap()
}

/// Path of a script of `tests/peers`.
pub(crate) fn script(name: &str) -> PathBuf {
    package().join("tests/peers").join(name)
}

/// Directory of this package, asked at run time: a build folder can be shared between checkouts.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}
