//! The pages of a file put in order: channels, planes along z, one time point.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::chain::{Chain, NamedPage};
use super::directory::DirectoryReader;
use super::order::Description;
use super::page::{Chunks, Form, Page, PageName};
use super::pyramid::Pyramid;
use crate::error::{Error, Place, Result};
use crate::geometry::VoxelSize;
use crate::metadata::{Metadata, Scale, numbered_channels};
use crate::volume::OpenOptions;

/// Planes that ImageJ may put behind one page.
const MAX_PLANES: u64 = 1 << 20;

/// The pages of one time point, in order, with what the file says of them.
pub(super) struct Stack {
    /// For each (channel with pages of its own, z), z fastest.
    pub(super) planes: Vec<NamedPage>,
    channels: u64,
    slices: u64,
    description: Description,
    voxel_size: Option<VoxelSize>,
    form: Arc<Form>,
    scales: Vec<Scale>,
}

impl Stack {
    /// Reads the directories of a file.
    ///
    /// # Errors
    /// [`Error::Format`] if it is damaged or its pages differ; [`Error::Usage`] if the time point
    /// or the scale does not exist.
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
            chain.pages(&order.pages)?
        };
        let form = planes.first().map_or(first.form, |p: &NamedPage| p.page.form.clone());
        let (channels, slices) = (order.channels, order.slices);
        let scales = Vec::new();
        let mut stack = Self { planes, channels, slices, description, voxel_size, form, scales };
        stack.check_shape(path)?;
        let pyramid = match order.pages.first() {
            Some(&page) if hidden <= 1 => Pyramid::read(&chain, page, &stack.form)?,
            _ => Pyramid::default(),
        };
        stack.choose_scale(&pyramid, &chain, &order.pages, options)?;
        Ok(stack)
    }

    /// Lists the scales, and takes the planes of another one if one is asked for.
    fn choose_scale(
        &mut self,
        pyramid: &Pyramid,
        chain: &Chain<'_>,
        pages: &[usize],
        options: &OpenOptions,
    ) -> Result<()> {
        let shape = [self.slices, self.form.height, self.form.width];
        self.scales = pyramid.scales(shape, self.voxel_size);
        let index = options.scale.index_in(&self.scales, &Place::path(chain.path))?;
        if index > 0 {
            self.planes = pyramid.planes(index, chain, pages)?;
            self.voxel_size = self.scales[index].voxel_size;
            if let Some(plane) = self.planes.first() {
                self.form = plane.page.form.clone();
            }
        }
        Ok(())
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
        metadata.scales.clone_from(&self.scales);
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

fn hidden_plane(page: &Page, number: usize) -> NamedPage {
    let mut page = page.clone();
    if let Chunks::Contiguous { offset } = &mut page.chunks {
        *offset += number as u64 * page.form.page_bytes();
    }
    NamedPage { name: PageName::of(number), page }
}
