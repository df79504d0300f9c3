//! The OME-XML document of a stack that we write.

use std::fmt::Write;

use quick_xml::escape::escape;

use crate::dtype::DataType;
use crate::volume::WriteOptions;

const NAMESPACE: &str = "http://www.openmicroscopy.org/Schemas/OME/2016-06";

/// The document of a stack of one page per plane, z fastest; `None` if OME-XML has no word for the
/// type (64-bit integers). All characters are ASCII, as TIFF wants it.
pub(in crate::format::tiff) fn document(options: &WriteOptions) -> Option<String> {
    let kind = type_name(options.dtype)?;
    let [z, y, x] = options.shape;
    let channels = options.channels.len() as u64;
    let big_endian = cfg!(target_endian = "big");
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OME xmlns=\"{NAMESPACE}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"{NAMESPACE} {NAMESPACE}/ome.xsd\" \
         Creator=\"exavox {}\"><Image ID=\"Image:0\" Name=\"Image0\"><Pixels ID=\"Pixels:0\" \
         DimensionOrder=\"XYZCT\" Type=\"{kind}\" BigEndian=\"{big_endian}\" SizeX=\"{x}\" \
         SizeY=\"{y}\" SizeZ=\"{z}\" SizeC=\"{channels}\" SizeT=\"1\"{}>",
        env!("CARGO_PKG_VERSION"),
        physical_size(options),
    );
    for (c, name) in options.channels.iter().enumerate() {
        let name = ascii(name);
        let _ = write!(
            text,
            "<Channel ID=\"Channel:0:{c}\" Name=\"{name}\" SamplesPerPixel=\"1\"><LightPath/></Channel>"
        );
    }
    let planes = channels.saturating_mul(z);
    let _ = write!(text, "<TiffData IFD=\"0\" PlaneCount=\"{planes}\"/></Pixels></Image></OME>");
    Some(text)
}

/// Name of a type in OME-XML; `None` for 64-bit integers, which it does not know.
pub(in crate::format::tiff) fn type_name(dtype: DataType) -> Option<&'static str> {
    match dtype {
        DataType::F32 => Some("float"),
        DataType::F64 => Some("double"),
        DataType::U64 | DataType::I64 => None,
        integer => Some(integer.name()),
    }
}

fn physical_size(options: &WriteOptions) -> String {
    let Some(size) = options.voxel_size else { return String::new() };
    let [z, y, x] = size.nm_zyx;
    format!(
        " PhysicalSizeX=\"{x}\" PhysicalSizeXUnit=\"nm\" PhysicalSizeY=\"{y}\" \
         PhysicalSizeYUnit=\"nm\" PhysicalSizeZ=\"{z}\" PhysicalSizeZUnit=\"nm\""
    )
}

/// Text for an attribute: other letters become references, control characters a question mark,
/// because XML 1.0 has no way to write them.
fn ascii(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let mut out = String::new();
    for letter in escape(plain.as_str()).chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            let _ = write!(out, "&#x{:X};", u32::from(letter));
        }
    }
    out
}
