//! Centres from a file of google/ffn's `build_coordinates.py`: a TFRecord file, usually gzip, of
//! `tf.train.Example` with `center` (x, y, z) and `label_volume_name`.

use std::path::Path;

use exavox_io::BoundingBox;

use crate::error::{Error, Result};

mod masked;
mod proto;
mod records;
mod rounds;

use records::Records;
pub(super) use rounds::Rounds;

/// Records at most.
const MAX_RECORDS: u64 = 1 << 27;
/// Bytes of memory of a record, while their list grows.
const RECORD_BYTES: u64 = 40;

/// Centres in the order of a file, and how many of it are not among them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Coordinates {
    /// Volume and voxel `[z, y, x]`.
    centres: Vec<(u32, [u32; 3])>,
    /// Those where no example fits.
    too_near: u64,
    /// Those in masked voxels.
    masked: u64,
}

/// A volume that coordinates may name, and where centres may lie in it.
#[derive(Debug)]
pub(super) struct Named {
    /// Its name in the file; any name is its, if it has none and is the only one.
    pub(super) name: Option<String>,
    /// Voxels that may be centres; those of the file that may not are left out.
    pub(super) centres: BoundingBox,
}

impl Coordinates {
    /// Reads a file, in so many bytes of memory.
    ///
    /// # Errors
    /// [`Error::Settings`] with the record: damaged, cut off, too large, of a volume that is not named,
    /// without a centre; if there are too many of them.
    pub(super) fn open(path: &Path, volumes: &[Named], memory: u64) -> Result<Self> {
        let place = path.display().to_string();
        let mut records = Records::open(path)?;
        let most = MAX_RECORDS.min(memory / RECORD_BYTES);
        let (mut found, mut number) = (Self::default(), 0_u64);
        let wrong = |number: u64, message: String| {
            Error::settings(format!("{place} record {number}"), message)
        };
        while let Some(record) = records.next().map_err(|message| wrong(number, message))? {
            let example = proto::Example::parse(&record).map_err(|e| wrong(number, e))?;
            match place_of(&example, volumes).map_err(|e| wrong(number, e))? {
                Some(centre) => found.centres.push(centre),
                None => found.too_near += 1,
            }
            if found.centres.len() as u64 > most {
                let why = match most {
                    MAX_RECORDS => String::new(),
                    _ => format!(": {} MiB of memory may be used", memory >> 20),
                };
                let message = format!("expected at most {most} coordinates{why}");
                return Err(wrong(number, message));
            }
            number += 1;
        }
        Ok(found)
    }

    /// Bytes of memory, with those of a random order.
    pub(super) fn bytes(&self) -> u64 {
        20 * self.centres.len() as u64
    }

    /// How many of the file are left out and why; nothing if none is.
    ///
    /// # Errors
    /// What is to be said if none is left.
    pub(super) fn left_out(&self) -> std::result::Result<Option<String>, String> {
        let (left_out, there) = (self.too_near + self.masked, self.centres.len() as u64);
        let all = left_out + there;
        let why = format!("{} too near to the border, {} masked", self.too_near, self.masked);
        match (there, left_out) {
            (0, _) => Err(format!("none of {all} coordinates lies where an example fits: {why}")),
            (_, 0) => Ok(None),
            _ => Ok(Some(format!("{left_out} of {all} coordinates are left out: {why}"))),
        }
    }
}

/// Volume and voxel of a record; nothing if no example fits there.
fn place_of(
    example: &proto::Example,
    volumes: &[Named],
) -> std::result::Result<Option<(u32, [u32; 3])>, String> {
    let name = String::from_utf8_lossy(&example.volume);
    let named = volumes.iter().position(|v| v.name.as_deref() == Some(&*name));
    let only = || (volumes.len() == 1 && volumes[0].name.is_none()).then_some(0);
    let Some(volume) = named.or_else(only) else {
        return Err(format!(
            "label_volume_name: expected the name of a [[volumes]], found '{name}'"
        ));
    };
    let [x, y, z] = example.centre_xyz;
    let voxel =
        |v: i64| u32::try_from(v).map_err(|_| format!("center: expected a voxel, found {v}"));
    let zyx = [voxel(z)?, voxel(y)?, voxel(x)?];
    let inside = BoundingBox::from_start_shape(zyx.map(u64::from), [1; 3]);
    Ok(volumes[volume].centres.contains(&inside).then_some((volume as u32, zyx)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::records::masked_crc;
    use super::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u64).to_le_bytes();
        let mut bytes = length.to_vec();
        bytes.extend(masked_crc(&length).to_le_bytes());
        bytes.extend(body);
        bytes.extend(masked_crc(body).to_le_bytes());
        bytes
    }

    fn file(bytes: &[u8], zipped: bool) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        if zipped {
            let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap();
        } else {
            file.write_all(bytes).unwrap();
        }
        file
    }

    fn named(name: Option<&str>) -> Vec<Named> {
        let centres = BoundingBox::new([2; 3], [100; 3]);
        vec![Named { name: name.map(str::to_owned), centres }]
    }

    fn open(bytes: &[u8], zipped: bool, volumes: &[Named]) -> Result<Coordinates> {
        Coordinates::open(file(bytes, zipped).path(), volumes, 1 << 20)
    }

    #[test]
    fn every_centre_comes_once_in_a_round() {
        let mut bytes = Vec::new();
        for x in 0..20 {
            bytes.extend(record(&proto::tests::example([x, 30, 40], "a")));
        }
        for zipped in [true, false] {
            let coordinates = Arc::new(open(&bytes, zipped, &named(Some("a"))).unwrap());
            assert_eq!(
                coordinates.left_out().unwrap().unwrap(),
                "2 of 20 coordinates are left out: 2 too near to the border, 0 masked"
            );
            let mut rounds = Rounds::new(Arc::clone(&coordinates), 7);
            // 0 and 1 are too near to the border.
            for round in 0..3 {
                let mut xs: Vec<u64> =
                    (0..18).map(|n| rounds.centre(round * 18 + n).zyx[2]).collect();
                xs.sort_unstable();
                assert_eq!(xs, (2..20).collect::<Vec<_>>());
            }
            let centre = rounds.centre(5);
            assert_eq!(centre, Rounds::new(Arc::clone(&coordinates), 7).centre(5));
            assert_eq!(centre.zyx[..2], [40, 30]);
        }
    }

    #[test]
    fn damaged_files_are_errors_with_the_record() {
        let good = record(&proto::tests::example([5, 6, 7], "a"));
        let volumes = named(Some("a"));
        let error = |bytes: &[u8], zipped| open(bytes, zipped, &volumes).unwrap_err().to_string();
        for cut in [3, 13, good.len() - 1] {
            let both = [&good[..], &good[..cut]].concat();
            assert!(error(&both, true).contains("record 1: cut off"), "{cut}");
        }
        let mut flipped = good.clone();
        flipped[20] ^= 1;
        assert!(error(&flipped, false).contains("record 0: checksum of the record"));
        let mut bomb = u64::MAX.to_le_bytes().to_vec();
        bomb.extend(masked_crc(&bomb.clone()).to_le_bytes());
        assert!(error(&bomb, false).contains("expected at most 65536 bytes"));
        assert!(error(b"just some text", false).contains("checksum of the length"));
        let other = record(&proto::tests::example([5, 6, 7], "b"));
        assert!(error(&other, true).contains("found 'b'"));
        let negative = record(&proto::tests::example([-5, 6, 7], "a"));
        assert!(error(&negative, true).contains("found -5"));
        assert!(error(&record(b"\x0a\xff\xff\xff\xff\x0f"), true).contains("record 0: "));
        let outside = record(&proto::tests::example([500, 6, 7], "a"));
        let none = open(&outside, true, &volumes).unwrap().left_out().unwrap_err();
        assert!(none.contains("none of 1 coordinates lies where an example fits: 1 too near"));
    }

    #[test]
    fn more_than_memory_holds_are_refused() {
        let bytes = record(&proto::tests::example([5, 6, 7], "a")).repeat(5);
        let file = file(&bytes, true);
        let open = |memory| Coordinates::open(file.path(), &named(None), memory);
        assert_eq!(open(5 * RECORD_BYTES).unwrap().centres.len(), 5);
        let error = open(4 * RECORD_BYTES).unwrap_err().to_string();
        assert!(error.contains("record 4: expected at most 4 coordinates"), "{error}");
    }

    #[test]
    fn a_cut_gzip_stream_is_an_error() {
        let whole: Vec<u8> =
            (0..500).flat_map(|x| record(&proto::tests::example([x % 90, 6, 7], "a"))).collect();
        let zipped = std::fs::read(file(&whole, true).path()).unwrap();
        let cut = file(&zipped[..zipped.len() / 2], false);
        let error = Coordinates::open(cut.path(), &named(None), 1).unwrap_err().to_string();
        assert!(error.contains("record "), "{error}");
    }
}
