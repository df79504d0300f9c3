//! Which page holds which plane of which channel.

use super::imagej::ImageJ;
use super::ome::Ome;

/// What the first page's description says of the order of pages.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Description {
    Ome(Box<Ome>),
    ImageJ(ImageJ),
    /// Nothing: each page is a plane along z.
    Plain,
}

/// Pages of one time point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PageOrder {
    /// Channels that have pages of their own; each page may hold several samples besides.
    pub(super) channels: u64,
    /// Planes along z.
    pub(super) slices: u64,
    /// Number of the page for each (channel, z), z fastest.
    pub(super) pages: Vec<usize>,
}

impl Description {
    /// Reads a description of either kind.
    ///
    /// # Errors
    /// Says what is wrong with an OME-XML document.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(ome) = Ome::parse(text) {
            return Ok(Self::Ome(Box::new(ome?)));
        }
        Ok(ImageJ::parse(text).map_or(Self::Plain, Self::ImageJ))
    }

    /// Time points.
    pub(super) fn frames(&self) -> u64 {
        match self {
            Self::Ome(ome) => ome.size_czt[2],
            Self::ImageJ(imagej) => imagej.frames,
            Self::Plain => 1,
        }
    }

    /// The pages of a time point, which must be one of [`Description::frames`]. `pages` are the
    /// numbers of the pages of full size, `all` counts the others too, `samples` is per page.
    ///
    /// # Errors
    /// Says what does not fit together.
    pub(super) fn order(
        &self,
        pages: &[usize],
        all: usize,
        samples: u64,
        frame: u64,
    ) -> Result<PageOrder, String> {
        match self {
            Self::Ome(ome) => ome_order(ome, all, samples, frame),
            Self::ImageJ(imagej) => imagej_order(imagej, pages, frame),
            Self::Plain => {
                Ok(PageOrder { channels: 1, slices: pages.len() as u64, pages: pages.to_vec() })
            }
        }
    }

    /// Axes on disk, slowest first; axes of one element are left out.
    pub(super) fn stored_axes(&self) -> String {
        let (slowest_first, czt) = match self {
            Self::Ome(ome) => (ome.fastest.chars().rev().collect::<String>(), ome.size_czt),
            Self::ImageJ(imagej) => {
                ("TZC".to_owned(), [imagej.channels, imagej.slices, imagej.frames])
            }
            Self::Plain => return "zyx".to_owned(),
        };
        let long = |axis: &char| *axis == 'Z' || "CZT".find(*axis).is_some_and(|i| czt[i] > 1);
        slowest_first
            .chars()
            .filter(long)
            .map(|a| a.to_ascii_lowercase())
            .chain("yx".chars())
            .collect()
    }
}

fn imagej_order(imagej: &ImageJ, pages: &[usize], frame: u64) -> Result<PageOrder, String> {
    let (channels, slices) = (imagej.channels, imagej.slices);
    let product = channels.checked_mul(slices).and_then(|n| n.checked_mul(imagej.frames));
    if product != Some(pages.len() as u64) {
        return Err(format!(
            "ImageJ's description has {channels} channels, {slices} slices and {} frames, the file \
             has {} pages",
            imagej.frames,
            pages.len()
        ));
    }
    let at = |c: u64, z: u64| (frame * slices + z) * channels + c;
    let numbers = (0..channels).flat_map(|c| (0..slices).map(move |z| at(c, z)));
    let pages = numbers.filter_map(|n| pages.get(n as usize).copied()).collect();
    Ok(PageOrder { channels, slices, pages })
}

fn ome_order(ome: &Ome, all: usize, samples: u64, frame: u64) -> Result<PageOrder, String> {
    let [size_c, slices, frames] = ome.size_czt;
    if ome.files.len() > 1 {
        return Err(format!("its planes lie in {} files; open them by a pattern", ome.files.len()));
    }
    if !size_c.is_multiple_of(samples) {
        return Err(format!("SizeC is {size_c}, pages have {samples} samples"));
    }
    let channels = size_c / samples;
    let total = channels.checked_mul(slices).and_then(|n| n.checked_mul(frames));
    let total = total.filter(|n| *n <= all as u64).ok_or_else(|| {
        format!("OME-XML has {channels} x {slices} x {frames} planes (c, z, t), the file has {all} pages")
    })?;
    let planes = ome_pages(ome, [channels, slices, frames], total)?;
    let wanted = (0..channels).flat_map(|c| (0..slices).map(move |z| [c, z, frame]));
    let pages = wanted.map(|czt| {
        let page = planes[linear(&ome.fastest, czt, [channels, slices, frames]) as usize];
        let missing = || format!("OME-XML gives no page for plane {czt:?} (c, z, t)");
        let page = page.ok_or_else(missing)?;
        let found = usize::try_from(page).ok().filter(|p| *p < all);
        found.ok_or_else(|| format!("plane {czt:?} (c, z, t) is page {page}, the file has {all}"))
    });
    Ok(PageOrder { channels, slices, pages: pages.collect::<Result<_, _>>()? })
}

/// Page of each plane in the document's order of planes.
fn ome_pages(ome: &Ome, czt: [u64; 3], total: u64) -> Result<Vec<Option<u64>>, String> {
    let whole = [super::ome::TiffData::default()];
    let blocks = if ome.blocks.is_empty() { &whole[..] } else { &ome.blocks[..] };
    let mut planes = vec![None; total as usize];
    for block in blocks {
        if (0..3).any(|a| block.first_czt[a] >= czt[a]) {
            return Err(format!(
                "TiffData begins at plane {:?} of {czt:?} (c, z, t)",
                block.first_czt
            ));
        }
        let start = linear(&ome.fastest, block.first_czt, czt);
        let default = if block.page.is_some() { 1 } else { total };
        let end = start.saturating_add(block.count.unwrap_or(default)).min(total);
        for (i, plane) in planes[start as usize..end as usize].iter_mut().enumerate() {
            *plane = block.page.unwrap_or(0).checked_add(i as u64);
        }
    }
    Ok(planes)
}

/// Position of a plane in an order of axes, fastest first.
fn linear(fastest: &str, at_czt: [u64; 3], size_czt: [u64; 3]) -> u64 {
    let axes = fastest.chars().rev().filter_map(|axis| "CZT".find(axis));
    axes.fold(0, |position, a| position * size_czt[a] + at_czt[a])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::tiff::ome::TiffData;

    #[test]
    fn ome_orders_pages_by_its_dimension_order() {
        let mut ome = Ome { size_czt: [2, 3, 2], fastest: "CZT".into(), ..Ome::default() };
        let order = ome_order(&ome, 12, 1, 1).unwrap();
        assert_eq!(order.pages, [6, 8, 10, 7, 9, 11]);
        ome.fastest = "ZCT".into();
        assert_eq!(ome_order(&ome, 12, 1, 0).unwrap().pages, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn tiff_data_moves_planes_to_pages() {
        let block = |page, c| TiffData { page: Some(page), first_czt: [c, 0, 0], count: Some(2) };
        let blocks = vec![block(2, 0), block(0, 1)];
        let mut ome = Ome { size_czt: [2, 2, 1], fastest: "ZCT".into(), blocks, ..Ome::default() };
        assert_eq!(ome_order(&ome, 4, 1, 0).unwrap().pages, [2, 3, 0, 1]);
        ome.blocks.pop();
        assert!(ome_order(&ome, 4, 1, 0).unwrap_err().contains("no page for plane [1, 0, 0]"));
    }

    #[test]
    fn too_few_pages_are_named() {
        let ome = Ome { size_czt: [2, 3, 1], fastest: "ZCT".into(), ..Ome::default() };
        assert!(ome_order(&ome, 5, 1, 0).unwrap_err().contains("the file has 5 pages"));
    }
}
