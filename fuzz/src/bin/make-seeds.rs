//! Writes small valid volumes of every format as seeds: `make-seeds CORPUS`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use exavox_fuzz::{N5, PRECOMPUTED, ZARR, pack};
use exavox_io::location::ArrayFormat;
use exavox_io::store::{ByteRange, Directory, MemoryStore};
use exavox_io::volume::{Codec, Encoding, OmeVersion};
use exavox_io::{DataType, VolumeWriter, VoxelSize, Voxels, WriteOptions};

const SHAPE: [usize; 3] = [8, 8, 13];

fn options(dtype: DataType) -> WriteOptions {
    let mut options = WriteOptions::new(dtype, SHAPE.map(|v| v as u64));
    options.chunk_shape = Some([8; 3]);
    options.voxel_size = VoxelSize::from_nm_zyx([8.0; 3]);
    options
}

fn voxels(dtype: DataType) -> Result<Voxels, exavox_io::Error> {
    let count = SHAPE.iter().product::<usize>();
    match dtype {
        DataType::U8 => Voxels::from_vec(SHAPE, (0..count).map(|i| (i % 7) as u8 + 1).collect()),
        DataType::F32 => Voxels::from_vec(SHAPE, (0..count).map(|i| i as f32 / 7.0).collect()),
        _ => Voxels::from_vec(SHAPE, (0..count).map(|i| (i / 100) as u64 + 1).collect()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".to_owned());
    let corpus = Path::new(&corpus);
    for (format, folder, keys) in [
        (ArrayFormat::Zarr, "zarr", ZARR),
        (ArrayFormat::N5, "n5", N5),
        (ArrayFormat::Precomputed, "precomputed", PRECOMPUTED),
    ] {
        fs::create_dir_all(corpus.join(folder))?;
        for (number, options) in variants().into_iter().enumerate() {
            if let Err(error) = seed(format, keys, &options, &corpus.join(folder), number) {
                eprintln!("{folder} {number}: {error}");
            }
        }
    }
    for (folder, extension) in
        [("tiff", "tif"), ("npy", "npy"), ("png", "png"), ("nrrd", "nrrd"), ("mrc", "mrc")]
    {
        fs::create_dir_all(corpus.join(folder))?;
        for dtype in [DataType::U8, DataType::F32] {
            for codec in [Codec::Raw, Codec::Gzip(6)] {
                let name = corpus.join(folder).join(format!("{dtype}-{codec:?}.{extension}"));
                let mut options = options(dtype);
                options.codec = codec;
                if let Err(error) = file(&name.display().to_string(), &options) {
                    eprintln!("{}: {error}", name.display());
                }
            }
        }
    }
    fs::create_dir_all(corpus.join("names"))?;
    for (number, name) in NAMES.iter().enumerate() {
        fs::write(corpus.join("names").join(number.to_string()), name)?;
    }
    Ok(())
}

const NAMES: &[&str] = &[
    "v.zarr",
    "v.h5:raw",
    "v.raw:uint8:1,2,3",
    "a_{channel}_z{z}.tif",
    "precomputed://gs://b/v",
    "s3://b/v.zarr",
    "0:5,:,3:",
    "regex:a/(?P<channel>.)_(?P<z>\\d+)\\.tif",
];

fn variants() -> Vec<WriteOptions> {
    let mut variants = Vec::new();
    for dtype in [DataType::U8, DataType::U64] {
        for codec in [Codec::Raw, Codec::Zstd(3), Codec::Gzip(6), Codec::Blosc(5)] {
            for (ome, shard) in [
                (OmeVersion::V04, None),
                (OmeVersion::V05, None),
                (OmeVersion::V05, Some([8, 8, 16])),
            ] {
                let mut options = options(dtype);
                (options.codec, options.ome, options.shard_shape) = (codec, ome, shard);
                variants.push(options.clone());
                options.encoding = if dtype == DataType::U8 {
                    Encoding::Png
                } else {
                    Encoding::CompressedSegmentation
                };
                variants.push(options);
            }
        }
    }
    variants
}

fn seed(
    format: ArrayFormat,
    keys: &[&str],
    options: &WriteOptions,
    folder: &Path,
    number: usize,
) -> Result<(), Box<dyn Error>> {
    let directory = Directory::new(Arc::new(MemoryStore::new()), "");
    let writer = VolumeWriter::create_in(&directory, format, options)?;
    writer.write(0, [0; 3], &voxels(options.dtype)?)?;
    writer.finish()?;
    let object = |key: &&str| directory.get(key, ByteRange::All, 1 << 20);
    let objects: Vec<Option<Vec<u8>>> = keys.iter().map(object).collect::<Result<_, _>>()?;
    let packed = pack(objects.iter().map(|object| object.as_deref().unwrap_or_default()));
    fs::write(folder.join(number.to_string()), packed)?;
    Ok(())
}

fn file(name: &str, options: &WriteOptions) -> Result<(), Box<dyn Error>> {
    let mut options = options.clone();
    options.chunk_shape = None;
    if name.ends_with("png") {
        options.shape[0] = 1;
    }
    let writer = VolumeWriter::create(name, &options)?;
    let all = voxels(options.dtype)?;
    if name.ends_with("png") {
        let plane = all.as_slice::<u8>()?[..SHAPE[1] * SHAPE[2]].to_vec();
        writer.write(0, [0; 3], &Voxels::from_vec([1, SHAPE[1], SHAPE[2]], plane)?)?;
    } else {
        writer.write(0, [0; 3], &all)?;
    }
    Ok(writer.finish()?)
}
