//! The pages of a file put in order: channels, planes along z, one time point.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tiff::tags::Tag;

use super::directory::{Directory, DirectoryReader};
use super::order::{Description, PageOrder};
use super::page::{Chunks, Form, Page, PageParser};
use crate::error::{Error, Place, Result};
use crate::geometry::VoxelSize;
use crate::metadata::{Metadata, numbered_channels};
use crate::volume::OpenOptions;

/// Planes that ImageJ may put behind one page.
const MAX_PLANES: u64 = 1 << 20;

/// A page with its number in the file.
pub(super) struct NumberedPage {
    pub(super) number: usize,
    pub(super) page: Page,
}

/// The pages of one time point, in order, with what the file says of them.
pub(super) struct Stack {
    /// For each (channel with pages of its own, z), z fastest.
    pub(super) planes: Vec<NumberedPage>,
    channels: u64,
    slices: u64,
    description: Description,
    voxel_size: Option<VoxelSize>,
    form: Arc<Form>,
}

impl Stack {
    /// Reads the directories of a file.
    ///
    /// # Errors
    /// [`Error::Format`] if it is damaged or its pages differ; [`Error::Usage`] if the time point
    /// does not exist.
    pub(super) fn read(file: &File, path: &Path, options: &OpenOptions) -> Result<Self> {
        let reader = DirectoryReader::new(file, path)?;
        let chain = Chain::read(&reader, path)?;
        let first = chain.page(chain.full[0], None)?;
        let description = chain.description(options.limits.max_metadata_bytes)?;
        let frame = options.time as u64;
        if frame >= description.frames() {
            let frames = description.frames();
            let message = format!("time point {frame} does not exist, there are {frames}");
            return Err(Error::usage(Place::path(path), message));
        }
        let voxel_size = chain.voxel_size(&description)?;
        let hidden = hidden_planes(&description, &chain.full, &first, reader.length);
        let numbers: Vec<usize> =
            if hidden > 1 { (0..hidden).collect() } else { chain.full.clone() };
        let order = description
            .order(&numbers, chain.directories.len(), first.form.samples, frame)
            .map_err(|message| chain.damaged(message))?;
        let planes = if hidden > 1 {
            order.pages.iter().map(|n| hidden_plane(&first, *n)).collect()
        } else {
            chain.pages(&order)?
        };
        let form = planes.first().map_or(first.form, |p: &NumberedPage| p.page.form.clone());
        let (channels, slices) = (order.channels, order.slices);
        let stack = Self { planes, channels, slices, description, voxel_size, form };
        stack.check_shape(path)?;
        Ok(stack)
    }

    fn check_shape(&self, path: &Path) -> Result<()> {
        let Description::Ome(ome) = &self.description else { return Ok(()) };
        let found = [self.form.width, self.form.height];
        if ome.size_xy == found {
            return Ok(());
        }
        let message =
            format!("OME-XML has planes of {:?} (x, y), the pages have {found:?}", ome.size_xy);
        Err(Error::format(Place::path(path), message))
    }

    /// What the file says of itself.
    pub(super) fn metadata(&self) -> Metadata {
        let form = &*self.form;
        let shape = [self.slices, form.height, form.width];
        let name = match self.description {
            Description::Ome(_) => "ome-tiff",
            Description::ImageJ(_) => "imagej-tiff",
            Description::Plain => "tiff",
        };
        let mut metadata = Metadata::new(name, form.dtype, shape);
        metadata.channels = self.channel_names();
        metadata.voxel_size = self.voxel_size;
        metadata.stored_axes = self.description.stored_axes();
        if form.samples > 1 {
            let at = metadata.stored_axes.len() - if form.interleaved { 0 } else { 2 };
            metadata.stored_axes.insert(at, 'c');
        }
        metadata.chunk_shape =
            [1, form.chunk_rows.min(form.height), form.chunk_columns.min(form.width)];
        metadata.codecs = codecs(form);
        metadata
    }

    fn channel_names(&self) -> Vec<String> {
        let numbers = numbered_channels((self.channels * self.form.samples) as usize);
        match &self.description {
            Description::Ome(ome) if ome.channels.len() == numbers.len() => {
                let names = ome.channels.iter().zip(numbers);
                names.map(|(name, number)| name.clone().unwrap_or(number)).collect()
            }
            _ => numbers,
        }
    }
}

/// The directories of a file.
struct Chain<'a> {
    reader: &'a DirectoryReader<'a>,
    path: &'a Path,
    directories: Vec<Directory>,
    /// Numbers of the pages of full size; at least one.
    full: Vec<usize>,
}

impl<'a> Chain<'a> {
    fn read(reader: &'a DirectoryReader<'a>, path: &'a Path) -> Result<Self> {
        let directories = reader.chain()?;
        let mut full = Vec::new();
        for (number, directory) in directories.iter().enumerate() {
            if !(PageParser { reader, path, number }).is_auxiliary(directory)? {
                full.push(number);
            }
        }
        if full.is_empty() {
            return Err(Error::format(Place::path(path), "no page of full size"));
        }
        Ok(Self { reader, path, directories, full })
    }

    fn page(&self, number: usize, previous: Option<&Arc<Form>>) -> Result<Page> {
        let parser = PageParser { reader: self.reader, path: self.path, number };
        parser.page(&self.directories[number], previous)
    }

    fn pages(&self, order: &PageOrder) -> Result<Vec<NumberedPage>> {
        let mut planes: Vec<NumberedPage> = Vec::with_capacity(order.pages.len());
        for &number in &order.pages {
            let page = self.page(number, planes.last().map(|p| &p.page.form))?;
            if let Some(first) = planes.first() {
                check_equal(&first.page.form, &page.form, self.path, number)?;
            }
            planes.push(NumberedPage { number, page });
        }
        Ok(planes)
    }

    fn description(&self, limit: u64) -> Result<Description> {
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

    fn voxel_size(&self, description: &Description) -> Result<Option<VoxelSize>> {
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

    fn damaged(&self, message: String) -> Error {
        Error::format(Place::path(self.path), message)
    }
}

fn check_equal(expected: &Form, found: &Form, path: &Path, number: usize) -> Result<()> {
    let key = |f: &Form| (f.width, f.height, f.dtype, f.samples);
    if key(expected) == key(found) {
        return Ok(());
    }
    let message = format!(
        "expected {} as in the pages before, found {}",
        expected.describe(),
        found.describe()
    );
    Err(Error::format(Place::path(path).with_key(format!("page {number}")), message))
}

fn codecs(form: &Form) -> Vec<String> {
    let predictor = match form.predictor {
        2 => Some("delta"),
        3 => Some("float delta"),
        _ => None,
    };
    let compression = match form.compression {
        5 => Some("lzw"),
        7 => Some("jpeg"),
        8 | 32946 => Some("deflate"),
        32773 => Some("packbits"),
        50000 => Some("zstd"),
        _ => None,
    };
    predictor.into_iter().chain(compression).map(str::to_owned).collect()
}

/// Planes that follow one another behind the only page: ImageJ writes stacks above 4 GiB so. 1 where
/// this is not such a file.
fn hidden_planes(description: &Description, full: &[usize], page: &Page, length: u64) -> usize {
    let (Description::ImageJ(imagej), [_], Chunks::Contiguous { offset }) =
        (description, full, &page.chunks)
    else {
        return 1;
    };
    let needed = imagej.images.saturating_mul(page.form.page_bytes()).saturating_add(*offset);
    if needed > length || imagej.images > MAX_PLANES { 1 } else { imagej.images as usize }
}

fn hidden_plane(page: &Page, number: usize) -> NumberedPage {
    let mut page = page.clone();
    if let Chunks::Contiguous { offset } = &mut page.chunks {
        *offset += number as u64 * page.form.page_bytes();
    }
    NumberedPage { number, page }
}
