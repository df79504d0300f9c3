//! Size of a voxel as N5 Viewer, BigDataViewer, Paintera and COSEM write it.

use serde_json::Value;

use crate::geometry::{Axis, VoxelSize};

use super::axes::StoredAxes;

/// Size of the voxels of a dataset; `group` holds the attributes of the pyramid that it is scale `index`
/// of, `null` for none.
pub(super) fn voxel_size(
    dataset: &Value,
    group: &Value,
    index: usize,
    axes: &StoredAxes,
) -> Option<VoxelSize> {
    let cosem = transform(&dataset["transform"])
        .or_else(|| transform(&group["multiscales"][0]["datasets"][index]["transform"]));
    if cosem.is_some() {
        return cosem;
    }
    let base = spatial(&pixel_resolution(dataset).or_else(|| pixel_resolution(group))?, axes);
    let factors = factors(dataset, group, index, axes)?;
    VoxelSize::from_nm_zyx(std::array::from_fn(|a| base[a] * factors[a]))
}

/// How many voxels of the finest scale make one of this scale, `[z, y, x]`; 1 for scale 0 if nothing is
/// written.
pub(super) fn factors(
    dataset: &Value,
    group: &Value,
    index: usize,
    axes: &StoredAxes,
) -> Option<[f64; 3]> {
    let written = [
        &dataset["downsamplingFactors"],
        &group["scales"][index],
        &group["downsamplingFactors"][index],
    ];
    let factors = written.into_iter().find_map(numbers);
    factors.map(|f| spatial(&f, axes)).or((index == 0).then_some([1.0; 3]))
}

/// Nanometres along the axes on disk: `pixelResolution {unit, dimensions}`, or `resolution` with `units`.
/// Paintera's `resolution` has no units and is in nanometres.
fn pixel_resolution(attributes: &Value) -> Option<Vec<f64>> {
    let pixel = &attributes["pixelResolution"];
    if let Some(sizes) = numbers(&pixel["dimensions"]) {
        let nm = VoxelSize::nm_per_unit(pixel["unit"].as_str()?)?;
        return Some(sizes.iter().map(|size| size * nm).collect());
    }
    let sizes = numbers(pixel).or_else(|| numbers(&attributes["resolution"]))?;
    let units = match &attributes["units"] {
        Value::Null => return Some(sizes),
        units => units,
    };
    // A channel has no unit and no size.
    let nm = |axis: usize| match units[axis].as_str().or(units.as_str()) {
        None | Some("") => Some(1.0),
        Some(unit) => VoxelSize::nm_per_unit(unit),
    };
    sizes.iter().enumerate().map(|(axis, size)| Some(size * nm(axis)?)).collect()
}

/// COSEM's `transform {axes, scale, units}`; its axes are named, so that their order does not matter.
fn transform(transform: &Value) -> Option<VoxelSize> {
    let (axes, units) = (transform["axes"].as_array()?, transform["units"].as_array()?);
    let scale = numbers(&transform["scale"])?;
    let mut nm_zyx = [0.0; 3];
    for ((axis, unit), size) in axes.iter().zip(units).zip(scale) {
        let Some(a) = axis.as_str().and_then(Axis::from_name).and_then(Axis::zyx_index) else {
            continue;
        };
        nm_zyx[a] = size * VoxelSize::nm_per_unit(unit.as_str()?)?;
    }
    VoxelSize::from_nm_zyx(nm_zyx)
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

/// Entries for `[z, y, x]` of a list in the order on disk. A list of three is `x, y, z` whatever axes
/// there are beside; 1 where there is no such axis.
fn spatial(stored: &[f64], axes: &StoredAxes) -> [f64; 3] {
    let mut zyx = [1.0; 3];
    let names = axes.names();
    let names = if stored.len() == 3 { vec!["x", "y", "z"] } else { names };
    for (name, value) in names.iter().zip(stored) {
        if let Some(a) = Axis::from_name(name).and_then(Axis::zyx_index) {
            zyx[a] = *value;
        }
    }
    // A plane has voxels as thick as they are high.
    if !names.contains(&"z") {
        zyx[0] = zyx[1];
    }
    zyx
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn size(dataset: &Value, group: &Value, index: usize) -> Option<[f64; 3]> {
        let axes = StoredAxes::for_channels(1);
        voxel_size(dataset, group, index, &axes).map(|size| size.nm_zyx)
    }

    #[test]
    fn all_conventions_are_understood() {
        let none = Value::Null;
        let pixel =
            json!({ "pixelResolution": { "unit": "um", "dimensions": [0.004, 0.008, 0.04] } });
        assert_eq!(size(&pixel, &none, 0), Some([40.0, 8.0, 4.0]));
        let coarse = json!({ "downsamplingFactors": [2, 2, 1] });
        assert_eq!(size(&coarse, &pixel, 1), Some([40.0, 16.0, 8.0]));
        let listed =
            json!({ "resolution": [4, 8, 40], "downsamplingFactors": [[1, 1, 1], [2, 2, 1]] });
        assert_eq!(size(&none, &listed, 1), Some([40.0, 16.0, 8.0]));
        let scales = json!({
            "pixelResolution": [4, 8, 40], "units": ["nm", "nm", "nm"], "scales": [[1, 1, 1], [4, 4, 2]],
        });
        assert_eq!(size(&none, &scales, 1), Some([80.0, 32.0, 16.0]));
        let cosem = json!({
            "transform": { "axes": ["z", "y", "x"], "scale": [3.5, 4, 5], "units": ["nm", "nm", "nm"] },
        });
        assert_eq!(size(&cosem, &pixel, 3), Some([3.5, 4.0, 5.0]));
    }

    #[test]
    fn what_is_not_known_is_not_invented() {
        let none = Value::Null;
        assert_eq!(size(&none, &none, 0), None);
        let pixel = json!({ "pixelResolution": { "unit": "pixel", "dimensions": [1, 1, 1] } });
        assert_eq!(size(&pixel, &none, 0), None);
        assert_eq!(size(&none, &json!({ "resolution": [4, 8, 40] }), 2), None);
        assert_eq!(size(&json!({ "resolution": [0, 8, 40] }), &none, 0), None);
        assert_eq!(size(&json!({ "resolution": ["a", 8] }), &none, 0), None);
    }
}
