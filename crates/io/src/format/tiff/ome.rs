//! OME-XML, the description in the first page of an OME-TIFF:
//! <https://docs.openmicroscopy.org/ome-model/6.3.1/ome-tiff/specification.html>.

use std::collections::BTreeSet;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::geometry::VoxelSize;

mod document;

pub(super) use document::{document, type_name};

/// The first image of an OME-XML document.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ome {
    /// Columns and rows.
    pub(super) size_xy: [u64; 2],
    /// Planes along channel, z and time; the samples of a page are counted in the channels.
    pub(super) size_czt: [u64; 3],
    /// Axes of the planes, the one that changes fastest first: `ZCT` for instance.
    pub(super) fastest: String,
    /// Names of the channels, where they have one.
    pub(super) channels: Vec<Option<String>>,
    pub(super) voxel_size: Option<VoxelSize>,
    pub(super) blocks: Vec<TiffData>,
    /// Names of the files that the planes are in, as far as the document tells.
    pub(super) files: BTreeSet<String>,
}

/// A run of pages that hold a run of planes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TiffData {
    /// First page.
    pub(super) page: Option<u64>,
    /// Index of the first plane along channel, z and time.
    pub(super) first_czt: [u64; 3],
    /// Number of pages.
    pub(super) count: Option<u64>,
}

impl Ome {
    /// Reads a document; `None` if the text is not OME-XML.
    ///
    /// # Errors
    /// Says what is wrong with the document.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let is_ome = text.trim_start().starts_with('<') && text.trim_end().ends_with("OME>");
        is_ome.then(|| Self::parse_document(text))
    }

    fn parse_document(text: &str) -> Result<Self, String> {
        let mut reader = quick_xml::Reader::from_str(text);
        let (mut ome, mut images) = (None, 0);
        loop {
            match reader.read_event().map_err(|e| e.to_string())? {
                Event::Start(element) | Event::Empty(element) => {
                    images += usize::from(is(&element, "Image"));
                    if images == 1 {
                        Self::take(&mut ome, &element)?;
                    }
                }
                Event::Eof => return ome.ok_or_else(|| "no Pixels element".to_owned()),
                _ => {}
            }
        }
    }

    fn take(ome: &mut Option<Self>, element: &BytesStart<'_>) -> Result<(), String> {
        if is(element, "Pixels") {
            *ome = Some(Self::from_pixels(element)?);
        }
        let Some(this) = ome else { return Ok(()) };
        if is(element, "Channel") {
            let name = attribute(element, "Name")?.filter(|n| !n.is_empty());
            this.channels.push(name);
        } else if is(element, "TiffData") {
            this.blocks.push(TiffData::from_element(element)?);
        } else if is(element, "UUID") {
            this.files.extend(attribute(element, "FileName")?);
        }
        Ok(())
    }

    fn from_pixels(element: &BytesStart<'_>) -> Result<Self, String> {
        let size = |axis: char| {
            let name = format!("Size{axis}");
            let value = number(element, &name)?.filter(|v| *v > 0);
            value.ok_or_else(|| format!("Pixels has no {name} above 0"))
        };
        let order = attribute(element, "DimensionOrder")?.unwrap_or_default();
        let mut axes: Vec<char> = order.chars().collect();
        axes.sort_unstable();
        if axes != ['C', 'T', 'X', 'Y', 'Z'] || !order.starts_with("XY") {
            return Err(format!("DimensionOrder is '{order}', expected 'XYZCT' or alike"));
        }
        Ok(Self {
            size_xy: [size('X')?, size('Y')?],
            size_czt: [size('C')?, size('Z')?, size('T')?],
            fastest: order[2..].to_owned(),
            voxel_size: voxel_size(element)?,
            ..Self::default()
        })
    }
}

impl TiffData {
    fn from_element(element: &BytesStart<'_>) -> Result<Self, String> {
        let first = |name: &str| Ok::<_, String>(number(element, name)?.unwrap_or(0));
        Ok(Self {
            page: number(element, "IFD")?,
            first_czt: [first("FirstC")?, first("FirstZ")?, first("FirstT")?],
            count: number(element, "PlaneCount")?,
        })
    }
}

fn voxel_size(pixels: &BytesStart<'_>) -> Result<Option<VoxelSize>, String> {
    let mut nm_zyx = [0.0; 3];
    for (nm, axis) in nm_zyx.iter_mut().zip(['Z', 'Y', 'X']) {
        let Some(value) = attribute(pixels, &format!("PhysicalSize{axis}"))? else {
            return Ok(None);
        };
        let unit = attribute(pixels, &format!("PhysicalSize{axis}Unit"))?;
        let Some(per_unit) = VoxelSize::nm_per_unit(unit.as_deref().unwrap_or("µm")) else {
            return Ok(None);
        };
        *nm = value.trim().parse::<f64>().map_or(0.0, |v| v * per_unit);
    }
    Ok(VoxelSize::from_nm_zyx(nm_zyx))
}

fn is(element: &BytesStart<'_>, name: &str) -> bool {
    element.local_name().as_ref() == name
}

fn number(element: &BytesStart<'_>, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = attribute(element, name)? else { return Ok(None) };
    let value =
        text.trim().parse().map_err(|_| format!("{name} is '{text}', expected a number"))?;
    Ok(Some(value))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        if attribute.key.as_ref() == name {
            let value = attribute.normalized_value(XmlVersion::Explicit1_0);
            return Ok(Some(value.map_err(|e| e.to_string())?.into_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_image_counts() {
        let text = r#"<?xml version="1.0"?><OME:OME xmlns:OME="x"><OME:Image ID="a">
            <OME:Pixels DimensionOrder="XYCZT" SizeX="4" SizeY="3" SizeC="2" SizeZ="5" SizeT="1"
             PhysicalSizeX="0.1" PhysicalSizeY="0.2" PhysicalSizeZ="1" PhysicalSizeZUnit="nm">
            <OME:Channel ID="c" Name="&lt;DAPI&gt;"/><OME:Channel ID="d"/>
            <OME:TiffData IFD="3" FirstC="1"/></OME:Pixels></OME:Image>
            <OME:Image ID="b"><OME:Pixels SizeX="99"/></OME:Image></OME:OME>"#;
        let ome = Ome::parse(text).unwrap().unwrap();
        assert_eq!((ome.size_xy, ome.size_czt), ([4, 3], [2, 5, 1]));
        assert_eq!(ome.fastest, "CZT");
        assert_eq!(ome.channels, [Some("<DAPI>".to_owned()), None]);
        assert_eq!(ome.voxel_size.unwrap().nm_zyx, [1.0, 200.0, 100.0]);
        assert_eq!(ome.blocks, [TiffData { page: Some(3), first_czt: [1, 0, 0], count: None }]);
    }

    #[test]
    fn damaged_documents_are_errors_and_other_text_is_none() {
        assert_eq!(Ome::parse("ImageJ=1.0"), None);
        assert!(Ome::parse("<OME><Image><Pixels SizeX='1'></Image></OME>").unwrap().is_err());
        assert!(Ome::parse("<OME></OME>").unwrap().is_err());
    }
}
