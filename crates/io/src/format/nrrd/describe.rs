//! Type, shape and voxel size from the fields of a header.

use crate::dtype::DataType;
use crate::error::Result;
use crate::geometry::VoxelSize;
use crate::metadata::{Metadata, numbered_channels};

use super::fields::{Encoding, Header};

/// Most channels of a volume.
const MAX_CHANNELS: u64 = 1 << 16;
/// Kinds of axes along which nothing is sampled in space.
const NOT_SPACE: [&str; 3] = ["list", "point", "time"];

/// Describes the volume.
///
/// # Errors
/// Names the field that is missing or wrong, or what is not supported.
pub(super) fn metadata(header: &Header) -> Result<Metadata> {
    let dtype = dtype(header)?;
    let sizes = sizes(header)?;
    check_kinds(header, sizes.len())?;
    let (channels, zyx, axes) = match sizes[..] {
        [x, y] => (1, [1, y, x], "yx"),
        [x, y, z] => (1, [z, y, x], "zyx"),
        [x, y, z, c] => (c, [z, y, x], "czyx"),
        _ => {
            return Err(
                header.unsupported(&format!("of {} axes; expected 2 to 4 (xyzc)", sizes.len()))
            );
        }
    };
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(header.damaged(&format!("{channels} channels; expected 1 to {MAX_CHANNELS}")));
    }
    let mut metadata = Metadata::new("nrrd", dtype, zyx);
    metadata.channels = numbered_channels(channels as usize);
    metadata.stored_axes = axes.to_owned();
    metadata.voxel_size = voxel_size(header);
    if header.encoding()? == Encoding::Gzip {
        metadata.codecs = vec!["gzip".to_owned()];
        metadata.chunk_shape = zyx;
    }
    Ok(metadata)
}

fn dtype(header: &Header) -> Result<DataType> {
    let name = header.need("type")?.to_ascii_lowercase();
    let words: Vec<&str> = name.split_whitespace().collect();
    Ok(match words.join(" ").as_str() {
        "signed char" | "int8" | "int8_t" => DataType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => DataType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
            DataType::I16
        }
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => DataType::U16,
        "int" | "signed int" | "int32" | "int32_t" => DataType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => DataType::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => DataType::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            DataType::U64
        }
        "float" => DataType::F32,
        "double" => DataType::F64,
        other => return Err(header.unsupported(&format!("type '{other}'"))),
    })
}

fn sizes(header: &Header) -> Result<Vec<u64>> {
    let text = header.need("sizes")?;
    let sizes: Option<Vec<u64>> =
        text.split_whitespace().map(|size| size.parse().ok().filter(|s| *s > 0)).collect();
    let sizes = sizes
        .ok_or_else(|| header.damaged(&format!("sizes '{text}'; expected numbers above 0")))?;
    let dimension = header.need("dimension")?;
    if dimension.parse() != Ok(sizes.len()) {
        let message = format!("dimension {dimension}, but {} sizes", sizes.len());
        return Err(header.damaged(&message));
    }
    Ok(sizes)
}

/// Refuses files whose fastest axis is not along x: colours and vectors.
fn check_kinds(header: &Header, axes: usize) -> Result<()> {
    let Some(kinds) = header.get("kinds") else { return Ok(()) };
    let is_space = |kind: &str| {
        matches!(kind.to_ascii_lowercase().as_str(), "domain" | "space" | "???" | "none")
    };
    let kinds: Vec<&str> = kinds.split_whitespace().collect();
    let is_channel = |kind: &str| {
        NOT_SPACE.contains(&kind.to_ascii_lowercase().as_str())
            || kind.eq_ignore_ascii_case("vector")
    };
    let fits = kinds.len() == axes
        && kinds.iter().take(3).all(|kind| is_space(kind))
        && kinds.iter().skip(3).all(|kind| is_space(kind) || is_channel(kind));
    if fits {
        return Ok(());
    }
    Err(header.unsupported(&format!(
        "kinds '{}'; expected domain for x, y and z, and channels slowest",
        kinds.join(" ")
    )))
}

fn voxel_size(header: &Header) -> Option<VoxelSize> {
    let lengths = directions(header).or_else(|| spacings(header))?;
    let units = header.get("space units").or(header.get("units"));
    let units: Vec<&str> = units.map(|text| quoted(text).collect()).unwrap_or_default();
    let nm = |axis: usize| {
        let length = *lengths.get(axis)?;
        let nm = match units.get(axis) {
            Some(unit) => VoxelSize::nm_per_unit(unit)?,
            // Medical spaces are in millimetres.
            None => header.get("space").filter(|s| s.contains('-')).and(Some(1e6))?,
        };
        Some(length * nm)
    };
    let (x, y) = (nm(0)?, nm(1)?);
    let z = if lengths.len() > 2 { nm(2)? } else { y };
    VoxelSize::from_nm_zyx([z, y, x])
}

/// Lengths of the vectors from one voxel to the next along each axis in space.
fn directions(header: &Header) -> Option<Vec<f64>> {
    let text = header.get("space directions")?;
    let vectors = text.split(['(', ')']).map(str::trim).filter(|part| part.contains(','));
    let length = |vector: &str| {
        let parts: Option<Vec<f64>> = vector.split(',').map(|v| v.trim().parse().ok()).collect();
        Some(parts?.iter().map(|v| v * v).sum::<f64>().sqrt())
    };
    vectors.map(length).collect()
}

fn spacings(header: &Header) -> Option<Vec<f64>> {
    let spacings: Option<Vec<f64>> =
        header.get("spacings")?.split_whitespace().map(|v| v.parse().ok()).collect();
    Some(spacings?.into_iter().filter(|v| !v.is_nan()).collect())
}

/// The parts of `"nm" "nm" "nm"`.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}
