//! The chain of pages of a file, sorted into those of full size and the reduced ones.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tiff::tags::Tag;

use super::directory::{Directory, DirectoryReader};
use super::order::Description;
use super::page::{Form, Page, PageName, PageParser, Role};
use crate::error::{Error, Place, Result};
use crate::geometry::VoxelSize;

/// A page with its place in the file.
pub(super) struct NamedPage {
    pub(super) name: PageName,
    pub(super) page: Page,
}

/// The directories of a file.
pub(super) struct Chain<'a> {
    pub(super) reader: &'a DirectoryReader<'a>,
    pub(super) path: &'a Path,
    pub(super) directories: Vec<Directory>,
    /// Numbers of the pages of full size; at least one.
    pub(super) full: Vec<usize>,
    /// Numbers of the reduced pages: scales and thumbnails.
    pub(super) reduced: Vec<usize>,
}

impl<'a> Chain<'a> {
    /// Reads the directories of all pages.
    ///
    /// # Errors
    /// [`Error::Format`] if the chain is damaged or has no page of full size.
    pub(super) fn read(reader: &'a DirectoryReader<'a>, path: &'a Path) -> Result<Self> {
        let directories = reader.chain()?;
        let (mut full, mut reduced) = (Vec::new(), Vec::new());
        for (number, directory) in directories.iter().enumerate() {
            let name = PageName::of(number);
            match (PageParser { reader, path, name }).role(directory)? {
                Role::Full => full.push(number),
                Role::Reduced => reduced.push(number),
                Role::Mask => {}
            }
        }
        if full.is_empty() {
            return Err(Error::format(Place::path(path), "no page of full size"));
        }
        Ok(Self { reader, path, directories, full, reduced })
    }

    /// Reads the tags of a page with one of its directories.
    pub(super) fn parser(&self, name: PageName) -> PageParser<'_> {
        PageParser { reader: self.reader, path: self.path, name }
    }

    /// A page of the chain; `previous` lends its form where the new one is equal.
    pub(super) fn page(&self, number: usize, previous: Option<&Arc<Form>>) -> Result<Page> {
        self.parser(PageName::of(number)).page(&self.directories[number], previous)
    }

    /// Pages of the chain, which must be of one shape and type.
    ///
    /// # Errors
    /// [`Error::Format`] for the first one that differs.
    pub(super) fn pages(&self, numbers: &[usize]) -> Result<Vec<NamedPage>> {
        let mut planes: Vec<NamedPage> = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let page = self.page(number, planes.last().map(|p| &p.page.form))?;
            push_equal(&mut planes, NamedPage { name: PageName::of(number), page }, self.path)?;
        }
        Ok(planes)
    }

    /// Places of all directories, which no SubIFD may have too.
    pub(super) fn offsets(&self) -> HashSet<u64> {
        self.directories.iter().map(|d| d.offset).collect()
    }

    /// What the first page says of the others.
    pub(super) fn description(&self, limit: u64) -> Result<Description> {
        let Some(entry) = self.directories[0].find(Tag::ImageDescription) else {
            return Ok(Description::Plain);
        };
        let mut bytes = self.reader.bytes(entry, limit)?;
        if let Some(end) = bytes.iter().position(|b| *b == 0) {
            bytes.truncate(end);
        }
        // ImageJ writes Latin-1, whose letters are the first of Unicode.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|e| e.as_bytes().iter().map(|b| char::from(*b)).collect());
        Description::parse(&text).map_err(|e| self.damaged(format!("OME-XML: {e}")))
    }

    /// Edge lengths of a voxel of full size.
    pub(super) fn voxel_size(&self, description: &Description) -> Result<Option<VoxelSize>> {
        match description {
            Description::Ome(ome) => Ok(ome.voxel_size),
            Description::ImageJ(imagej) => {
                let page = &self.directories[self.full[0]];
                let resolution = |tag| page.find(tag).map(|e| self.reader.rational(e)).transpose();
                let y = resolution(Tag::YResolution)?;
                let x = resolution(Tag::XResolution)?;
                Ok(imagej.voxel_size(y.zip(x).map(|(y, x)| [y, x])))
            }
            // Bare TIFF says nothing of the distance of planes.
            Description::Plain => Ok(None),
        }
    }

    pub(super) fn damaged(&self, message: String) -> Error {
        Error::format(Place::path(self.path), message)
    }
}

/// Adds a plane if its shape and type are those of the planes before.
///
/// # Errors
/// [`Error::Format`] with the page and what was expected.
pub(super) fn push_equal(planes: &mut Vec<NamedPage>, plane: NamedPage, path: &Path) -> Result<()> {
    let key = |f: &Form| (f.width, f.height, f.dtype, f.samples);
    if let Some(first) = planes.first().map(|p| &p.page.form)
        && key(first) != key(&plane.page.form)
    {
        let message = format!(
            "expected {} as in the pages before, found {}",
            first.describe(),
            plane.page.form.describe()
        );
        return Err(Error::format(Place::path(path).with_key(plane.name.to_string()), message));
    }
    planes.push(plane);
    Ok(())
}
