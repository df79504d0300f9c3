//! Readers for values of flags that several commands share.

use exavox_compute::Precision;
use std::ops::Range;

use exavox_io::volume::{Codec, Encoding, OmeVersion};
use exavox_io::{Axis, VoxelSize};
use exavox_pipeline::job::steps::CodecName;

/// `64,64,64`: voxels along z, y and x, each above 0.
pub(crate) fn shape_zyx(text: &str) -> Result<[u64; 3], String> {
    let shape: [u64; 3] = triple(text)?;
    if shape.contains(&0) { Err("a size of 0 voxels".to_owned()) } else { Ok(shape) }
}

/// `10,200,300`: a voxel along z, y and x.
pub(crate) fn position_zyx(text: &str) -> Result<[u64; 3], String> {
    triple(text)
}

/// `33,33,33`: voxels along z, y and x; may be 0.
pub(crate) fn sizes_zyx(text: &str) -> Result<[usize; 3], String> {
    triple(text)
}

/// `40,4,4`: edge lengths in nanometres along z, y and x.
pub(crate) fn voxel_size(text: &str) -> Result<VoxelSize, String> {
    VoxelSize::from_nm_zyx(triple(text)?)
        .ok_or_else(|| "a voxel size must be finite and above 0".to_owned())
}

/// `1,2.5,2.5`: standard deviations in voxels along z, y and x; may be 0.
pub(crate) fn sigma_zyx(text: &str) -> Result<[f64; 3], String> {
    let sigma: [f64; 3] = triple(text)?;
    let good = sigma.iter().all(|s| s.is_finite() && *s >= 0.0);
    if good { Ok(sigma) } else { Err("a sigma must be finite and at least 0".to_owned()) }
}

/// `1,99`: two numbers, the first below the second.
pub(crate) fn pair(text: &str) -> Result<[f64; 2], String> {
    let wrong = || format!("expected LOW,HIGH with LOW below HIGH, found '{text}'");
    let (low, high) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let (low, high) = number(low).zip(number(high)).ok_or_else(wrong)?;
    if low < high { Ok([low, high]) } else { Err(wrong()) }
}

/// `2,2,2`: how many voxels along z, y and x become one; each at least 1, not all 1.
pub(crate) fn factor_zyx(text: &str) -> Result<[u64; 3], String> {
    let factor = shape_zyx(text).map_err(|e| e.replace("a size of 0 voxels", "a factor of 0"))?;
    if factor == [1; 3] { Err("1,1,1 changes nothing".to_owned()) } else { Ok(factor) }
}

/// `raw`, `zstd`, `zstd:7`, `blosc`, `blosc:5`, `gzip`, `gzip:5`.
pub(crate) fn codec(text: &str) -> Result<Codec, String> {
    text.parse().map(|CodecName(codec)| codec)
}

/// `raw`, `compressed_segmentation` or `png`.
pub(crate) fn encoding(text: &str) -> Result<Encoding, String> {
    match text {
        "raw" => Ok(Encoding::Raw),
        "compressed_segmentation" => Ok(Encoding::CompressedSegmentation),
        "png" => Ok(Encoding::Png),
        _ => Err("expected raw, compressed_segmentation or png".to_owned()),
    }
}

/// `0.4` or `0.5`.
pub(crate) fn ome_version(text: &str) -> Result<OmeVersion, String> {
    match text {
        "0.4" => Ok(OmeVersion::V04),
        "0.5" => Ok(OmeVersion::V05),
        _ => Err("expected 0.4 or 0.5".to_owned()),
    }
}

/// `z`, `y` or `x`.
pub(crate) fn axis(text: &str) -> Result<Axis, String> {
    let axis = Axis::from_name(text).filter(|axis| axis.zyx_index().is_some());
    axis.ok_or_else(|| "expected z, y or x".to_owned())
}

/// `100,4000`: two values, the first below the second.
pub(crate) fn bounds(text: &str) -> Result<[f64; 2], String> {
    let wrong = || format!("expected LOW,HIGH with LOW below HIGH, found '{text}'");
    let (low, high) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    let (low, high) = (number(low)?, number(high)?);
    let good = low < high && low.is_finite() && high.is_finite();
    if good { Ok([low, high]) } else { Err(wrong()) }
}

/// `10:20`, half open; without an end up to `u64::MAX`, without a start from 0.
pub(crate) fn range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("expected A:B with A below B, found '{text}'");
    let (start, end) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, default| match text.trim() {
        "" => Ok(default),
        text => text.parse().map_err(|_| wrong()),
    };
    let range = number(start, 0)?..number(end, u64::MAX)?;
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

fn triple<T: std::str::FromStr>(text: &str) -> Result<[T; 3], String> {
    let wrong = || format!("expected three numbers z,y,x, found '{text}'");
    let values: Vec<T> = text
        .split(',')
        .map(|v| v.trim().parse().map_err(|_| wrong()))
        .collect::<Result<_, String>>()?;
    values.try_into().map_err(|_| wrong())
}

/// `exact` or `fast`.
pub(crate) fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "exact" => Ok(Precision::Exact),
        "fast" => Ok(Precision::Fast),
        _ => Err("expected exact or fast".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_three_numbers_above_zero() {
        assert_eq!(shape_zyx("1, 2,3"), Ok([1, 2, 3]));
        for text in ["", "1,2", "1,2,3,4", "1,2,0", "1,2,-3", "a,b,c"] {
            assert!(shape_zyx(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_are_half_open_and_not_empty() {
        assert_eq!(range("2:5"), Ok(2..5));
        assert_eq!(range(":"), Ok(0..u64::MAX));
        for text in ["", "3", "5:5", "6:5", "a:b", "-1:2", "1:2:3"] {
            assert!(range(text).is_err(), "{text}");
        }
        assert_eq!(axis("Y"), Ok(Axis::Y));
        assert!(axis("c").is_err() && axis("zy").is_err());
    }

    #[test]
    fn bounds_are_finite_and_in_order() {
        assert_eq!(bounds("-1.5, 3"), Ok([-1.5, 3.0]));
        for text in ["", "1", "3,3", "4,3", "nan,1", "0,inf", "a,b", "1,2,3"] {
            assert!(bounds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn factors_change_something() {
        assert_eq!(factor_zyx("1,2,2"), Ok([1, 2, 2]));
        for text in ["1,1,1", "0,2,2", "2", "2,2,-2"] {
            assert!(factor_zyx(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_go_up_and_sigmas_are_not_negative() {
        assert_eq!(pair("-1, 2.5"), Ok([-1.0, 2.5]));
        for text in ["", "1", "2,1", "1,1", "1,2,3", "nan,1", "0,inf"] {
            assert!(pair(text).is_err(), "{text}");
        }
        assert_eq!(sigma_zyx("0,1.5,2"), Ok([0.0, 1.5, 2.0]));
        for text in ["1", "-1,0,0", "nan,0,0", "inf,0,0"] {
            assert!(sigma_zyx(text).is_err(), "{text}");
        }
    }

    #[test]
    fn voxel_sizes_are_lengths() {
        assert!(voxel_size("40,4,4.5").is_ok());
        for text in ["0,4,4", "-1,4,4", "nan,4,4", "inf,4,4"] {
            assert!(voxel_size(text).is_err(), "{text}");
        }
    }
}
