//! Volumes of many files: a folder or a pattern of TIFF or PNG planes, one file per plane or one
//! multi-page file per channel.

use std::path::{Path, PathBuf};

use crate::error::{Error, Place, Result};
use crate::format::extension;
use crate::volume::{OpenOptions, Reader, WriteOptions, Writer};

mod expression;
mod listing;
mod natural;
mod pattern;
mod reader;
mod sink;
mod writer;

use listing::{ChannelFiles, Listing};
use pattern::Pattern;
use reader::{Grouping, PlanesReader};

/// Name of a plane of the MERSCOPE microscope: a folder of such files is taken as channels.
const MERSCOPE: [&str; 2] = ["mosaic_{channel}_z{z}.tif", "mosaic_{channel}_z{z}.tiff"];

/// Opens a folder of planes: its TIFF or PNG files in natural order, or MERSCOPE's channels.
pub(crate) fn open_folder(path: &Path, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let names = image_names(path)?;
    for text in MERSCOPE {
        let pattern = Pattern::in_folder(path, text)?;
        let matching = names.iter().filter(|n| pattern.matches_name(n)).count();
        if matching == names.len() {
            return open_listing(&pattern, options);
        }
        if matching > 0 {
            let message = format!(
                "{matching} of {} images are named like {text}, the others are not; give the pattern",
                names.len()
            );
            return Err(Error::usage(Place::path(path), message));
        }
    }
    let files = names.iter().map(|name| path.join(name)).collect();
    let channels = vec![ChannelFiles { name: "0".to_owned(), files: Ok(files) }];
    Ok(Box::new(PlanesReader::open(path, channels, Grouping::FilePerPlane, options)?))
}

/// Opens a pattern with `{channel}`, `{z}` and `{t}`, or an expression with groups of these names.
pub(crate) fn open_pattern(text: &str, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    open_listing(&Pattern::parse(text)?, options)
}

/// Creates a file for each channel, or for each plane if the pattern has `{z}`.
pub(crate) fn create_pattern(text: &str, options: &WriteOptions) -> Result<Box<dyn Writer>> {
    Ok(Box::new(writer::PatternWriter::create(&Pattern::parse(text)?, options)?))
}

fn open_listing(pattern: &Pattern, options: &OpenOptions) -> Result<Box<dyn Reader>> {
    let listing = Listing::read(pattern)?;
    let mut options = options.clone();
    let channels = listing.channels(pattern, options.time)?;
    if pattern.has_time() {
        options.time = 0;
    }
    let grouping = if pattern.has_z() { Grouping::FilePerPlane } else { Grouping::FilePerChannel };
    Ok(Box::new(PlanesReader::open(Path::new(pattern.text()), channels, grouping, &options)?))
}

/// Names of the images directly in a folder, in natural order, all of one format.
fn image_names(path: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = listing::names(path)?;
    names.retain(|name| !name.starts_with('.') && format_of(name).is_some());
    names.sort_by(|a, b| natural::compare(a, b));
    let other = |name: &&String| format_of(name) != format_of(&names[0]);
    if let Some(other) = names.iter().find(other) {
        let message =
            format!("mixed formats, {} and {other}; expected all TIFF or all PNG", names[0]);
        return Err(Error::usage(Place::path(path), message));
    }
    if names.is_empty() {
        let message = "a folder without TIFF or PNG files and without Zarr metadata";
        return Err(Error::unsupported(Place::path(path), message));
    }
    Ok(names)
}

/// `tiff` or `png` for a name that ends so.
fn format_of(name: &str) -> Option<&'static str> {
    match extension(&PathBuf::from(name)).as_str() {
        "tif" | "tiff" => Some("tiff"),
        "png" => Some("png"),
        _ => None,
    }
}
