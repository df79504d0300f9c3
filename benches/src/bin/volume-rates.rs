//! Reads and writes volumes when told to, and says how long each took: the side of exavox in
//! `benches/peers/zarr_rates.py`, which alternates with the peers.
//!
//! One command a line on standard input, words separated by tabs; one line with seconds as the answer:
//! `read VOLUME`, `chunk VOLUME Z Y X EDGE`, `write SOURCE TARGET CODEC CHUNK SHARD SYNC`.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, bail};
use exavox_io::store::Durability;
use exavox_io::volume::{Codec, OmeVersion, WriteMode};
use exavox_io::{BoundingBox, OpenOptions, Volume, VolumeWriter, Voxels, WriteOptions};

fn main() -> anyhow::Result<()> {
    let mut source: Option<(String, Voxels)> = None;
    let mut open: Option<Volume> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        let seconds = match words[..] {
            ["read", volume] => read(volume)?,
            ["chunk", name, z, y, x, edge] => {
                if open.as_ref().is_none_or(|volume| volume.name() != name) {
                    open =
                        Some(Volume::open_with(name, &OpenOptions::default().with_cache_bytes(0))?);
                }
                let start = [z.parse()?, y.parse()?, x.parse()?];
                chunk(open.as_ref().context("nothing is open")?, start, edge.parse()?)?
            }
            ["write", from, to, codec, chunk, shard, sync] => {
                if source.as_ref().is_none_or(|(name, _)| name != from) {
                    let volume = Volume::open(from)?;
                    let voxels = volume.read(0, &BoundingBox::whole(volume.shape()))?;
                    source = Some((from.to_owned(), voxels));
                }
                let (_, voxels) = source.as_ref().context("no source")?;
                write(voxels, to, &options(voxels, codec, chunk, shard, sync)?)?
            }
            _ => bail!("unknown command: {line}"),
        };
        writeln!(std::io::stdout().lock(), "{seconds}")?;
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Opens and reads all of a volume into a fresh block.
fn read(name: &str) -> anyhow::Result<f64> {
    let started = Instant::now();
    let volume = Volume::open(name)?;
    let voxels = volume.read(0, &BoundingBox::whole(volume.shape()))?;
    let seconds = started.elapsed().as_secs_f64();
    std::hint::black_box(voxels.bytes()[voxels.bytes().len() / 2]);
    Ok(seconds)
}

/// Reads a cube of a volume that is open, without a cache of voxels.
fn chunk(volume: &Volume, start: [u64; 3], edge: u64) -> anyhow::Result<f64> {
    let started = Instant::now();
    let voxels = volume.read(0, &BoundingBox::from_start_shape(start, [edge; 3]))?;
    let seconds = started.elapsed().as_secs_f64();
    std::hint::black_box(voxels.bytes()[0]);
    Ok(seconds)
}

fn options(
    voxels: &Voxels,
    codec: &str,
    chunk: &str,
    shard: &str,
    sync: &str,
) -> anyhow::Result<WriteOptions> {
    let mut options = WriteOptions::new(voxels.dtype(), voxels.shape().map(|v| v as u64));
    options.codec = match codec {
        "raw" => Codec::Raw,
        "zstd" => Codec::Zstd(3),
        "gzip" => Codec::Gzip(6),
        other => bail!("unknown codec {other}"),
    };
    options.chunk_shape = Some([chunk.parse()?; 3]);
    options.shard_shape = match shard {
        "0" => None,
        edge => Some([edge.parse()?; 3]),
    };
    options.ome = OmeVersion::V05;
    options.durability = if sync == "1" { Durability::Synced } else { Durability::Buffered };
    options.mode = WriteMode::Overwrite;
    Ok(options)
}

fn write(voxels: &Voxels, target: &str, options: &WriteOptions) -> anyhow::Result<f64> {
    let started = Instant::now();
    let writer = VolumeWriter::create(target, options)?;
    writer.write(0, [0; 3], voxels)?;
    writer.finish()?;
    Ok(started.elapsed().as_secs_f64())
}
