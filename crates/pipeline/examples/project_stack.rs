//! Projects every channel of a stack along z and says how fast.
//!
//! ```sh
//! cargo run --release --example project_stack -- 'images/mosaic_{channel}_z{z}.tif' 'max_{channel}.tif'
//! ```
#![recursion_limit = "256"]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;

use exavox_io::Volume;
use exavox_pipeline::project::{ProjectOptions, project};
use exavox_pipeline::{Event, Observer};

/// Prints channels as they finish.
struct Printer;

impl Observer for Printer {
    fn notify(&self, event: &Event<'_>) {
        if let Event::Item { name, error } = event {
            eprintln!("{name}: {}", error.unwrap_or("done"));
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [source, target] = &args[..] else {
        return Err("usage: project_stack SOURCE TARGET".into());
    };
    let source = Volume::open(source)?;
    let report = project(&source, target, &ProjectOptions::default(), &Printer)?;
    let gigabytes = report.bytes_per_second / 1e9;
    println!("{target}: {} channels, {gigabytes:.2} GB/s of input", report.channels.len());
    Ok(())
}
