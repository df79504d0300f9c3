//! Keys in a volume: directories of scales, objects of chunks.

use super::scale::Scale;

/// The directory that the `key` of a scale names, inside the directory of `info`. `..` is allowed by the
/// specification; it must not lead out.
pub(super) fn scale_directory(key: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in key.split('/') {
        match part {
            "" if !key.starts_with('/') => {}
            "." => {}
            ".." if parts.pop().is_some() => {}
            ".." | "" => return Err(format!("scale key '{key}' leads out of the volume")),
            name if name.contains(['\\', '\0']) => {
                return Err(format!("scale key '{}' is not a path", key.escape_default()));
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}

/// A file name for the scale of a resolution in nanometres, as others name it: `x_y_z`.
pub(super) fn resolution_key(nm_zyx: [f64; 3]) -> String {
    let [z, y, x] = nm_zyx;
    format!("{x}_{y}_{z}")
}

/// Name of the object of a chunk that starts at a voxel `[z, y, x]` of the scale: the ranges along x, y
/// and z that it holds, in voxels of the global frame.
pub(super) fn chunk_name(scale: &Scale, start: [u64; 3]) -> String {
    let range = |a: usize| {
        let end = start[a].saturating_add(scale.chunk[a]).min(scale.shape[a]);
        // `Scale` has checked that its end can be counted.
        let global = |voxel: u64| i128::from(scale.offset[a]) + i128::from(voxel);
        format!("{}-{}", global(start[a]), global(end))
    };
    format!("{}_{}_{}", range(2), range(1), range(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_inside() {
        for (key, directory) in
            [("8_8_40", "8_8_40"), ("a/b", "a/b"), ("a/../b", "b"), ("./a/", "a"), ("a//b", "a/b")]
        {
            assert_eq!(scale_directory(key).unwrap(), directory);
        }
        for key in ["..", "../..", "../x", "a/../../x", "/etc", "a\\b", "a\0"] {
            scale_directory(key).unwrap_err();
        }
    }

    #[test]
    fn resolutions_are_named_as_others_do() {
        assert_eq!(resolution_key([40.0, 8.0, 4.5]), "4.5_8_40");
    }
}
