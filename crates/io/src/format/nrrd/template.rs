//! The header of a new file.

use std::fmt::Write;

use crate::volume::{Codec, WriteOptions};

/// Header of a file of `xyz`, or for several channels `xyzc`, with the empty line at its end.
pub(super) fn header(options: &WriteOptions) -> Vec<u8> {
    let [z, y, x] = options.shape;
    let channels = options.channels.len();
    let is_list = channels > 1;
    let mut sizes = vec![x, y, z];
    sizes.extend(is_list.then_some(channels as u64));
    let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
    let (dimension, list) = (sizes.len(), if is_list { " list" } else { "" });
    let encoding = if matches!(options.codec, Codec::Gzip(_)) { "gzip" } else { "raw" };
    let mut text = format!(
        "NRRD0004\ntype: {}\ndimension: {dimension}\nsizes: {}\nkinds: domain domain domain{list}\n",
        type_name(options),
        sizes.join(" "),
    );
    if options.dtype.size() > 1 {
        text.push_str("endian: little\n");
    }
    if let Some(size) = options.voxel_size {
        let [z, y, x] = size.nm_zyx;
        let none = if is_list { " none" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "space dimension: 3\nspace directions: ({x},0,0) (0,{y},0) (0,0,{z}){none}\n\
             space units: \"nm\" \"nm\" \"nm\"\n"
        );
    }
    let _ = write!(text, "encoding: {encoding}\n\n");
    text.into_bytes()
}

/// The names that all readers know: those of 8-bit types of C differ between machines.
fn type_name(options: &WriteOptions) -> &'static str {
    match options.dtype.name() {
        "float32" => "float",
        "float64" => "double",
        name => name,
    }
}
