//! Masks with their volumes open, and what they are in a region.

use exavox_compute::ffn::ModelConfig;
use exavox_compute::ffn::restrictor::{Expression, Mask, Restrictor, ShiftMask};
use exavox_io::{BoundingBox, DataType, Element, Volume, Voxels, match_dtype};

use super::{MaskChannelTable, MaskTable, ShiftMaskTable};
use crate::error::{Error, Result};
use crate::label_volume::check_shape;
use crate::segment::SegmentSettings;
use crate::segment::slabs::slabs;

/// All masks of a segmentation.
pub(crate) struct OpenMasks {
    masks: Vec<OpenMask>,
    seed_masks: Vec<OpenMask>,
    shift_mask: Option<Shifts>,
}

struct OpenMask {
    source: Source,
    invert: bool,
}

enum Source {
    Volume(Volume, Vec<MaskChannelTable>),
    Image(Vec<MaskChannelTable>),
    Coordinates(Expression),
}

struct Shifts {
    volume: Volume,
    table: ShiftMaskTable,
    around: [[i64; 3]; 2],
}

impl OpenMasks {
    /// Opens the volumes.
    ///
    /// # Errors
    /// [`Error::Settings`] if one has not the shape of the image, or lacks a channel.
    pub(crate) fn open(settings: &SegmentSettings, image: &Volume) -> Result<Self> {
        let open = |tables: &[MaskTable], place: &str| -> Result<Vec<OpenMask>> {
            tables.iter().map(|table| OpenMask::open(table, image, place)).collect()
        };
        let shift_mask = settings.shift_mask.as_ref();
        Ok(Self {
            masks: open(&settings.masks, "masks")?,
            seed_masks: open(&settings.seed_masks, "seed_masks")?,
            shift_mask: shift_mask
                .map(|table| Shifts::open(table, image, &settings.model))
                .transpose()?,
        })
    }

    /// What is masked in a region of the image. Volumes are read by slabs.
    ///
    /// # Errors
    /// If a volume cannot be read.
    pub(crate) fn restrictor(&self, image: &Volume, region: &BoundingBox) -> Result<Restrictor> {
        let any = |masks: &[OpenMask]| -> Result<Option<Mask>> {
            let mut all: Option<Mask> = None;
            for mask in masks {
                let mask = mask.in_region(image, region)?;
                match &mut all {
                    Some(all) => all.add(&mask),
                    None => all = Some(mask),
                }
            }
            Ok(all)
        };
        let shifts = self.shift_mask.as_ref();
        Ok(Restrictor {
            mask: any(&self.masks)?,
            seed_mask: any(&self.seed_masks)?,
            shift_mask: shifts.map(|shifts| shifts.in_region(region)).transpose()?,
        })
    }
}

impl OpenMask {
    fn open(table: &MaskTable, image: &Volume, place: &str) -> Result<Self> {
        table.check(place)?;
        let channels = || {
            let not_zero =
                MaskChannelTable { values: vec![0], invert: true, ..MaskChannelTable::default() };
            table.channels.clone().unwrap_or_else(|| vec![not_zero])
        };
        let source = match (&table.volume, &table.expression) {
            (Some(name), _) => {
                let volume = Volume::open(name)?;
                check_shape((volume.name(), volume.shape()), (image.name(), image.shape()))?;
                check_channels(&volume, &channels())?;
                Source::Volume(volume, channels())
            }
            (None, Some(text)) => Source::Coordinates(Expression::parse(text)?),
            (None, None) => {
                check_channels(image, &channels())?;
                Source::Image(channels())
            }
        };
        Ok(Self { source, invert: table.invert })
    }

    fn in_region(&self, image: &Volume, region: &BoundingBox) -> Result<Mask> {
        let mut mask = Mask::empty(region.shape().map(|s| s as usize));
        match &self.source {
            Source::Volume(volume, channels) => add_channels(&mut mask, volume, channels, region)?,
            Source::Image(channels) => add_channels(&mut mask, image, channels, region)?,
            Source::Coordinates(expression) => {
                let start = region.start.map(|v| v as i64);
                mask.add_planes(0, mask.shape()[0], |z, y, row| {
                    for (x, bit) in row.iter_mut().enumerate() {
                        let [z, y, x] = [z, y, x].map(|v| v as i64);
                        *bit = expression.holds([start[0] + z, start[1] + y, start[2] + x]);
                    }
                });
            }
        }
        if self.invert {
            mask.invert();
        }
        Ok(mask)
    }
}

fn add_channels(
    mask: &mut Mask,
    volume: &Volume,
    channels: &[MaskChannelTable],
    region: &BoundingBox,
) -> Result<()> {
    for slab in slabs(region, volume.metadata().chunk_shape[0]) {
        let first = (slab.start[0] - region.start[0]) as usize;
        for channel in channels {
            let voxels = volume.read(channel.channel, &slab)?;
            let selected = selected(&voxels, channel);
            let [count, ny, nx] = voxels.shape();
            mask.add_planes(first, count, |z, y, row| {
                row.copy_from_slice(&selected[((z - first) * ny + y) * nx..][..nx]);
            });
        }
    }
    Ok(())
}

/// Which voxels a channel's table means.
fn selected(voxels: &Voxels, table: &MaskChannelTable) -> Vec<bool> {
    match_dtype!(voxels.dtype(), T => {
        voxels.as_slice::<T>().map_or(Vec::new(), |values| selected_of(values, table))
    })
}

fn selected_of<T: Element>(values: &[T], table: &MaskChannelTable) -> Vec<bool> {
    if table.values.is_empty() {
        let least = table.min_value.unwrap_or(f64::NEG_INFINITY);
        let largest = table.max_value.unwrap_or(f64::INFINITY);
        let is_between = |v: &T| (least..=largest).contains(&v.to_f64()) != table.invert;
        return values.iter().map(is_between).collect();
    }
    // As values of the voxels' own type, so that labels of 64 bits are told apart; those that it has not
    // are in no voxel.
    let listed: Vec<T> = table.values.iter().filter_map(|value| value_of::<T>(*value)).collect();
    let mut listed: Vec<[u8; 8]> = listed.iter().map(bits).collect();
    listed.sort_unstable();
    let is_listed = |v: &T| listed.binary_search(&bits(v)).is_ok();
    // Values of neighbours are often the same.
    let mut last = None;
    let mut selects = |v: &T| match last {
        Some((value, selects)) if value == *v => selects,
        _ => {
            let selects = is_listed(v) != table.invert;
            last = Some((*v, selects));
            selects
        }
    };
    values.iter().map(&mut selects).collect()
}

/// A value as bytes that are equal where values are; 0 and -0 are.
fn bits<T: Element>(value: &T) -> [u8; 8] {
    let mut bits = [0; 8];
    let zero = T::from_f64(0.0);
    let value = if *value == zero { &zero } else { value };
    let bytes = bytemuck::bytes_of(value);
    bits[..bytes.len()].copy_from_slice(bytes);
    bits
}

fn value_of<T: Element>(value: u64) -> Option<T> {
    match T::DTYPE {
        DataType::U64 => bytemuck::try_pod_read_unaligned(&value.to_ne_bytes()).ok(),
        DataType::I64 => {
            let value = i64::try_from(value).ok()?;
            bytemuck::try_pod_read_unaligned(&value.to_ne_bytes()).ok()
        }
        _ => Some(T::from_f64(value as f64)).filter(|of_type| of_type.to_f64() == value as f64),
    }
}

fn check_channels(volume: &Volume, channels: &[MaskChannelTable]) -> Result<()> {
    let count = volume.metadata().channels.len();
    match channels.iter().find(|table| table.channel >= count) {
        Some(table) => {
            let message = format!("channel {}: expected one of {count}", table.channel);
            Err(Error::settings(volume.name(), message))
        }
        None => Ok(()),
    }
}

impl Shifts {
    fn open(table: &ShiftMaskTable, image: &Volume, model: &ModelConfig) -> Result<Self> {
        table.check("settings")?;
        let volume = Volume::open(&table.volume)?;
        let [nz, ny, nx] = image.shape();
        for (a, (axis, size)) in [("z", nz), ("y", ny), ("x", nx)].into_iter().enumerate() {
            let scale = if a == 0 { 1 } else { table.scale };
            let (expected, found) = (size.div_ceil(scale), volume.shape()[a]);
            // Whoever made it may have left out a last cell that is not whole.
            if found != expected && found != size / scale {
                let message = format!("expected {expected} cells along {axis}, found {found}");
                return Err(Error::settings(volume.name(), message));
            }
        }
        if volume.metadata().channels.len() < 2 {
            let message = "expected 2 channels, shifts along x and y, found 1";
            return Err(Error::settings(volume.name(), message));
        }
        let fov = model.fov_zyx.map(|fov| fov as i64);
        let start = table.fov_start_zyx.unwrap_or(fov.map(|fov| -(fov / 2)));
        let size = table.fov_size_zyx.map_or(fov, |size| size.map(|v| v as i64));
        let end = [0, 1, 2].map(|a| start[a] + size[a]);
        Ok(Self { volume, table: table.clone(), around: [start, end] })
    }

    fn in_region(&self, region: &BoundingBox) -> Result<ShiftMask> {
        let (scale, shape) = (self.table.scale, self.volume.shape());
        let mut cells = *region;
        for (a, cells_along) in shape.iter().enumerate().skip(1) {
            cells.start[a] = (region.start[a] / scale).min(*cells_along);
            cells.end[a] = region.end[a].div_ceil(scale).min(*cells_along);
        }
        let mut flagged = Mask::empty(cells.shape().map(|s| s as usize));
        if !cells.is_empty() {
            self.flag(&mut flagged, &cells)?;
        }
        let phase = [1, 2].map(|a| (region.start[a] % scale) as usize);
        Ok(ShiftMask::new(flagged, scale as usize, phase, self.around))
    }

    fn flag(&self, flagged: &mut Mask, cells: &BoundingBox) -> Result<()> {
        for slab in slabs(cells, self.volume.metadata().chunk_shape[0]) {
            let first = (slab.start[0] - cells.start[0]) as usize;
            for channel in 0..2 {
                let shifts = self.volume.read(channel, &slab)?.to_f32();
                let [count, ny, nx] = slab.shape().map(|s| s as usize);
                let is_large = |shift: &f32| f64::from(shift.abs()) >= self.table.threshold;
                flagged.add_planes(first, count, |z, y, row| {
                    let shifts = &shifts[((z - first) * ny + y) * nx..][..nx];
                    row.iter_mut().zip(shifts).for_each(|(bit, shift)| *bit = is_large(shift));
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule as it is said.
    fn naive<T: Element>(values: &[T], table: &MaskChannelTable) -> Vec<bool> {
        let is = |v: &T, listed: u64| value_of::<T>(listed).is_some_and(|listed| listed == *v);
        let selects = |v: &T| table.values.iter().any(|l| is(v, *l)) != table.invert;
        values.iter().map(selects).collect()
    }

    proptest! {
        #[test]
        fn listed_values_are_those_of_the_list(
            values in proptest::collection::vec(prop_oneof![0u64..6, u64::MAX - 2..=u64::MAX], 0..60),
            listed in proptest::collection::vec(
                prop_oneof![0u64..6, 250u64..260, u64::MAX - 2..=u64::MAX], 1..9),
            invert: bool,
        ) {
            let table = MaskChannelTable { values: listed, invert, ..MaskChannelTable::default() };
            prop_assert_eq!(selected_of(&values, &table), naive(&values, &table));
            let bytes: Vec<u8> = values.iter().map(|v| *v as u8).collect();
            prop_assert_eq!(selected_of(&bytes, &table), naive(&bytes, &table));
            let signed: Vec<i64> = values.iter().map(|v| *v as i64).collect();
            prop_assert_eq!(selected_of(&signed, &table), naive(&signed, &table));
            let floats = values.iter().map(|v| if *v == 0 { -0.0 } else { *v as f32 });
            let floats: Vec<f32> = floats.chain([f32::NAN]).collect();
            prop_assert_eq!(selected_of(&floats, &table), naive(&floats, &table));
        }
    }
}
