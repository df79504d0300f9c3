//! Names of the files of a target with `{channel}`.

use exavox_io::location::Location;
use regex::Regex;

use crate::error::{Error, Result};

/// The name of one channel's file.
///
/// # Errors
/// [`Error::Settings`] if the channel's name, which comes from a file, would lead out of the target's
/// folder or be a pattern itself.
pub(super) fn of_channel(target: &str, channel: &str) -> Result<String> {
    let harmful = |c: char| matches!(c, '/' | '\\' | '{' | '}') || c.is_control();
    let own = target.contains("{channel}");
    if own && (channel.is_empty() || channel == "." || channel == ".." || channel.contains(harmful))
    {
        let message = format!("channel {channel:?} cannot be part of a file name");
        return Err(Error::settings(target, message));
    }
    Ok(target.replace("{channel}", channel))
}

/// `Ok` unless the target has the name of a plane of the source.
pub(super) fn refuse_planes(source: &str, target: &str) -> Result<()> {
    let Location::Pattern(pattern) = source.parse()? else { return Ok(()) };
    if plane_regex(&pattern).is_some_and(|regex| regex.is_match(target)) {
        let message = format!("has the name of a plane of {source}; choose another name");
        return Err(Error::settings(target, message));
    }
    Ok(())
}

/// What the names of planes look like: digits for `{z}` and `{t}`, anything else for others.
fn plane_regex(pattern: &str) -> Option<Regex> {
    let mut text = String::from("^");
    let mut rest = pattern;
    while let Some((literal, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}')?;
        text.push_str(&regex::escape(literal));
        text.push_str(if matches!(field, "z" | "t") { "[0-9]+" } else { ".+" });
        rest = after;
    }
    text.push_str(&regex::escape(rest));
    text.push('$');
    Regex::new(&text).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_the_source_are_not_replaced() {
        let source = "d/mosaic_{channel}_z{z}.tif";
        assert!(refuse_planes(source, "d/mosaic_DAPI_z3.tif").is_err());
        assert!(refuse_planes(source, "d/mosaic_DAPI_zmax.tif").is_ok());
        assert!(refuse_planes(source, "d/mosaic_DAPI_maxproj.tif").is_ok());
        assert!(refuse_planes("d/v.npy", "d/v_z3.tif").is_ok());
    }

    #[test]
    fn names_of_channels_stay_in_the_folder() {
        assert_eq!(of_channel("o/{channel}.tif", "DAPI 1").unwrap(), "o/DAPI 1.tif");
        assert_eq!(of_channel("o/a.tif", "../x").unwrap(), "o/a.tif");
        for name in ["../x", "..", "", "{z}", "a\nb"] {
            let error = of_channel("o/{channel}.tif", name).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")) && !error.contains('\n'), "{error}");
        }
    }
}
