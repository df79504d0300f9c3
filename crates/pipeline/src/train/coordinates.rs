//! Centres from a file of google/ffn's `build_coordinates.py`: a TFRecord file, usually gzip, of
//! `tf.train.Example` with `center` (x, y, z) and `label_volume_name`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use exavox_io::BoundingBox;
use flate2::bufread::MultiGzDecoder;

use super::positions::{CENTRES, Centre, random};
use crate::error::{Error, Result};

mod proto;

/// Bytes of a record at most; those of google/ffn have about 70.
const MAX_RECORD: u64 = 1 << 16;
/// Records at most: 16 bytes of memory each.
const MAX_RECORDS: usize = 1 << 27;

/// Centres in the order of a file; drawn anew, each once, in every round.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coordinates {
    centres: Vec<(u32, [u32; 3])>,
    seed: u64,
    round: u64,
    order: Vec<u32>,
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
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Settings`] with the record: damaged, cut off, too large, of a volume that is not named,
    /// without a centre; if no record is left.
    pub(super) fn open(path: &Path, volumes: &[Named], seed: u64) -> Result<Self> {
        let place = path.display().to_string();
        let file = File::open(path).map_err(exavox_io::Error::at(path))?;
        let mut reader = BufReader::new(file);
        let zipped = std::io::BufRead::fill_buf(&mut reader)
            .map_err(exavox_io::Error::at(path))?
            .starts_with(&[0x1f, 0x8b]);
        let mut stream: Box<dyn Read> = if zipped {
            Box::new(BufReader::new(MultiGzDecoder::new(reader)))
        } else {
            Box::new(reader)
        };
        let mut centres = Vec::new();
        let mut number = 0;
        while let Some(record) = next_record(&mut stream)
            .map_err(|message| Error::settings(format!("{place} record {number}"), message))?
        {
            let wrong =
                |message: String| Error::settings(format!("{place} record {number}"), message);
            let example = proto::Example::parse(&record).map_err(wrong)?;
            if let Some(centre) = place_of(&example, volumes).map_err(wrong)? {
                centres.push(centre);
            }
            if centres.len() > MAX_RECORDS {
                return Err(wrong(format!("more than {MAX_RECORDS} coordinates")));
            }
            number += 1;
        }
        if centres.is_empty() {
            let message = format!("none of {number} coordinates lies where an example fits");
            return Err(Error::settings(place, message));
        }
        let order = shuffled(centres.len(), seed, 0);
        Ok(Self { centres, seed, round: 0, order })
    }

    /// The centre of an example.
    pub(super) fn centre(&mut self, example: u64) -> Centre {
        let count = self.centres.len() as u64;
        let round = example / count;
        if round != self.round {
            self.order = shuffled(self.centres.len(), self.seed, round);
            self.round = round;
        }
        let (volume, zyx) = self.centres[self.order[(example % count) as usize] as usize];
        Centre { volume: volume as usize, zyx: zyx.map(u64::from) }
    }
}

/// Numbers up to `count` in the random order of a round (Fisher and Yates).
fn shuffled(count: usize, seed: u64, round: u64) -> Vec<u32> {
    let mut random = random(seed, CENTRES, round);
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..count).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
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

/// A record: its length, the length's checksum, its bytes, their checksum. Nothing at the end.
fn next_record(stream: &mut dyn Read) -> std::result::Result<Option<Vec<u8>>, String> {
    let mut head = Vec::with_capacity(12);
    (&mut *stream).take(12).read_to_end(&mut head).map_err(|e| e.to_string())?;
    if head.is_empty() {
        return Ok(None);
    }
    let Ok([length, check]) = split(&head) else {
        return Err(format!("cut off: expected 12 bytes, found {}", head.len()));
    };
    check_crc(&length, &check, "length")?;
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
    if length > MAX_RECORD {
        return Err(format!("expected at most {MAX_RECORD} bytes, found {length}"));
    }
    let mut body = Vec::with_capacity(length as usize + 4);
    (&mut *stream).take(length + 4).read_to_end(&mut body).map_err(|e| e.to_string())?;
    if body.len() as u64 != length + 4 {
        return Err(format!("cut off: expected {} bytes, found {}", length + 4, body.len()));
    }
    let check = body.split_off(length as usize);
    check_crc(&body, &check, "record")?;
    Ok(Some(body))
}

fn split(head: &[u8]) -> std::result::Result<[Vec<u8>; 2], ()> {
    if head.len() == 12 { Ok([head[..8].to_vec(), head[8..].to_vec()]) } else { Err(()) }
}

/// Checksums of TFRecord: crc32c, rotated, plus a constant.
fn check_crc(bytes: &[u8], check: &[u8], what: &str) -> std::result::Result<(), String> {
    if masked_crc(bytes).to_le_bytes() == check {
        return Ok(());
    }
    Err(format!("checksum of the {what} is wrong: not a TFRecord file, or damaged"))
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

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
        Coordinates::open(file(bytes, zipped).path(), volumes, 7)
    }

    #[test]
    fn every_centre_comes_once_in_a_round() {
        let mut bytes = Vec::new();
        for x in 0..20 {
            bytes.extend(record(&proto::tests::example([x, 30, 40], "a")));
        }
        for zipped in [true, false] {
            let mut coordinates = open(&bytes, zipped, &named(Some("a"))).unwrap();
            // 0 and 1 are too near to the border.
            for round in 0..3 {
                let mut xs: Vec<u64> =
                    (0..18).map(|n| coordinates.centre(round * 18 + n).zyx[2]).collect();
                xs.sort_unstable();
                assert_eq!(xs, (2..20).collect::<Vec<_>>());
            }
            assert_eq!(coordinates.centre(5), coordinates.clone().centre(5));
            assert_eq!(coordinates.centre(5).zyx[..2], [40, 30]);
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
        assert!(error(&outside, true).contains("none of 1 coordinates"));
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
