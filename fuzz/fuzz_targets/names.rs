#![no_main]

use exavox_io::BoundingBox;
use exavox_io::location::Location;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = text.parse::<Location>();
    let _ = text.parse::<BoundingBox>();
});
