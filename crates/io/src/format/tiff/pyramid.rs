//! Coarser scales of a stack: SubIFDs of its pages, as OME-TIFF has them, or reduced pages in the chain.

use std::sync::Arc;

use super::chain::{Chain, NamedPage, push_equal};
use super::directory::Directory;
use super::page::{Form, PageName, PageParser, Role};
use crate::error::{Error, Result};
use crate::geometry::VoxelSize;
use crate::metadata::Scale;

/// Scales that a file may have beside the full size.
const MAX_SCALES: usize = 63;

/// The coarser scales of a stack, finest first.
#[derive(Debug, Default)]
pub(super) struct Pyramid {
    levels: Vec<Level>,
}

/// One coarser scale.
#[derive(Debug)]
struct Level {
    form: Form,
    place: LevelPlace,
}

/// Where the planes of a scale are.
#[derive(Debug)]
enum LevelPlace {
    /// In the SubIFD of this number of each page.
    SubDirectory(usize),
    /// In pages of these numbers, one for each page of full size, in their order.
    Pages(Vec<usize>),
}

impl Pyramid {
    /// Finds the scales by the first plane, page `first` of the chain: those of its SubIFDs; where there
    /// are none, shapes that as many reduced pages have as there are pages of full size.
    ///
    /// # Errors
    /// [`Error::Format`] if SubIFDs loop, are too many, or damaged.
    pub(super) fn read(chain: &Chain<'_>, first: usize, full: &Form) -> Result<Self> {
        let mut levels = Self::of_sub_directories(chain, first, full)?;
        if levels.is_empty() {
            levels = Self::of_pages(chain, full)?;
        }
        levels.sort_by_key(|l| std::cmp::Reverse(l.form.width.saturating_mul(l.form.height)));
        Ok(Self { levels })
    }

    fn of_sub_directories(chain: &Chain<'_>, first: usize, full: &Form) -> Result<Vec<Level>> {
        let page = &chain.directories[first];
        let subs = chain.reader.sub_directories(page, first, &mut chain.offsets())?;
        let mut levels = Vec::new();
        for (number, directory) in subs.iter().enumerate() {
            let parser = chain.parser(PageName { number: first, sub: Some(number) });
            let form = smaller_form(&parser, directory, full)?;
            let place = LevelPlace::SubDirectory(number);
            levels.extend(form.map(|form| Level { form, place }));
        }
        Ok(levels)
    }

    fn of_pages(chain: &Chain<'_>, full: &Form) -> Result<Vec<Level>> {
        let mut groups: Vec<(Form, Vec<usize>)> = Vec::new();
        for &number in &chain.reduced {
            let parser = chain.parser(PageName::of(number));
            let Some(form) = smaller_form(&parser, &chain.directories[number], full)? else {
                continue;
            };
            let size = (form.width, form.height);
            match groups.iter().position(|(f, _)| (f.width, f.height) == size) {
                Some(group) => groups[group].1.push(number),
                None if groups.len() < MAX_SCALES => groups.push((form, vec![number])),
                // So many shapes are no pyramid.
                None => return Ok(Vec::new()),
            }
        }
        // A shape with fewer pages is a thumbnail of some of them.
        groups.retain(|(_, pages)| pages.len() == chain.full.len());
        let level = |(form, pages)| Level { form, place: LevelPlace::Pages(pages) };
        Ok(groups.into_iter().map(level).collect())
    }

    /// All scales with the full one first.
    pub(super) fn scales(&self, shape: [u64; 3], voxel_size: Option<VoxelSize>) -> Vec<Scale> {
        let coarser = self.levels.iter().map(|level| {
            let scaled = [shape[0], level.form.height, level.form.width];
            let ratio: [f64; 3] = std::array::from_fn(|a| shape[a] as f64 / scaled[a] as f64);
            let size = |v: VoxelSize| std::array::from_fn(|a| v.nm_zyx[a] * ratio[a]);
            let voxel_size = voxel_size.and_then(|v| VoxelSize::from_nm_zyx(size(v)));
            Scale { shape: scaled, voxel_size }
        });
        std::iter::once(Scale { shape, voxel_size }).chain(coarser).collect()
    }

    /// The planes of a coarser scale, 1 = the first after the full one; `numbers` are the pages of
    /// full size in the order of planes.
    ///
    /// # Errors
    /// [`Error::Format`] if a page lacks the scale or has it in another shape or type.
    pub(super) fn planes(
        &self,
        scale: usize,
        chain: &Chain<'_>,
        numbers: &[usize],
    ) -> Result<Vec<NamedPage>> {
        let missing = |number: usize| chain.damaged(format!("page {number} has no scale {scale}"));
        let level = scale.checked_sub(1).and_then(|s| self.levels.get(s));
        match level.map(|level| &level.place) {
            Some(LevelPlace::SubDirectory(sub)) => sub_planes(chain, *sub, numbers),
            Some(LevelPlace::Pages(pages)) => {
                let page = |number: &usize| {
                    let position = chain.full.binary_search(number).ok();
                    position.and_then(|p| pages.get(p).copied()).ok_or_else(|| missing(*number))
                };
                chain.pages(&numbers.iter().map(page).collect::<Result<Vec<_>>>()?)
            }
            None => Err(missing(numbers.first().copied().unwrap_or(0))),
        }
    }
}

/// The form of a directory if it can be a coarser scale of pages of another form.
fn smaller_form(
    parser: &PageParser<'_>,
    directory: &Directory,
    full: &Form,
) -> Result<Option<Form>> {
    if parser.role(directory)? == Role::Mask {
        return Ok(None);
    }
    let form = match parser.form(directory) {
        Ok(form) => form,
        // Thumbnails are often of another kind, colour JPEG for instance.
        Err(Error::Unsupported { .. }) => return Ok(None),
        Err(other) => return Err(other),
    };
    let same = (form.dtype, form.samples) == (full.dtype, full.samples);
    let smaller = form.width <= full.width
        && form.height <= full.height
        && (form.width, form.height) != (full.width, full.height);
    Ok((same && smaller).then_some(form))
}

fn sub_planes(chain: &Chain<'_>, sub: usize, numbers: &[usize]) -> Result<Vec<NamedPage>> {
    let mut seen = chain.offsets();
    let mut planes: Vec<NamedPage> = Vec::with_capacity(numbers.len());
    for &number in numbers {
        let name = PageName { number, sub: Some(sub) };
        let subs = chain.reader.sub_directories(&chain.directories[number], number, &mut seen)?;
        let Some(directory) = subs.get(sub) else {
            let message =
                format!("page {number} has {} SubIFDs, SubIFD {sub} is needed", subs.len());
            return Err(chain.damaged(message));
        };
        let previous: Option<&Arc<Form>> = planes.last().map(|p| &p.page.form);
        let page = chain.parser(name).page(directory, previous)?;
        push_equal(&mut planes, NamedPage { name, page }, chain.path)?;
    }
    Ok(planes)
}
