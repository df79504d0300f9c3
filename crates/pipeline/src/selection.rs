//! Which part of a volume a job reads: channels by name or number, a region whose ends may be open.

use exavox_io::BoundingBox;

use crate::error::{Error, Result};

/// Names that an error lists.
const LISTED: usize = 16;

/// The region asked for, its open ends (`u64::MAX`) closed at those of a volume of `shape`; without one, the
/// whole volume.
///
/// # Errors
/// If it does not lie inside the volume.
pub(crate) fn region_of(
    volume: &str,
    shape: [u64; 3],
    wanted: Option<BoundingBox>,
) -> Result<BoundingBox> {
    let mut region = wanted.unwrap_or(BoundingBox::whole(shape));
    for (end, size) in region.end.iter_mut().zip(shape) {
        if *end == u64::MAX {
            *end = size;
        }
    }
    region.check_inside(shape, volume)?;
    Ok(region)
}

/// The channel of a name or else a number; without one, the only channel.
pub(crate) fn channel_of(volume: &str, names: &[String], wanted: Option<&str>) -> Result<usize> {
    match (wanted, names) {
        (Some(wanted), _) => named(volume, names, wanted),
        (None, [_]) => Ok(0),
        (None, _) => {
            let (count, listed) = (names.len(), listed(names));
            let message = format!("there are {count} channels: {listed}; choose one (--channel)");
            Err(Error::settings(volume, message))
        }
    }
}

/// The channels asked for, in this order; all if none is asked for.
pub(crate) fn channels_of(volume: &str, names: &[String], wanted: &[String]) -> Result<Vec<usize>> {
    if wanted.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut chosen = Vec::new();
    for name in wanted {
        let channel = named(volume, names, name)?;
        if chosen.contains(&channel) {
            let message = format!("channel '{name}' is asked for twice");
            return Err(Error::settings(volume, message));
        }
        chosen.push(channel);
    }
    Ok(chosen)
}

fn named(volume: &str, names: &[String], wanted: &str) -> Result<usize> {
    let by_number = || wanted.parse().ok().filter(|channel| *channel < names.len());
    names.iter().position(|name| name == wanted).or_else(by_number).ok_or_else(|| {
        let (count, listed) = (names.len(), listed(names));
        let message = format!("no channel '{wanted}', there are {count}: {listed}");
        Error::settings(volume, message)
    })
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    let first: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    format!("{}{more}", first.join(", "))
}
