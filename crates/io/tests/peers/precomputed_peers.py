"""Peers of precomputed (tensorstore, cloud-volume): `write DIR` makes volumes, each with what it holds as
(c, z, y, x) in an NPY beside it; `check DIR` reads ours."""

import gzip
import json
import pathlib
import sys

import numpy
import tensorstore
from cloudvolume import CloudVolume

from pattern import pattern

TYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "float32"]
SHAPE = (21, 37, 45)
RESOLUTION = [4, 8, 40]


def noise(shape, dtype):
    """Values (c, z, y, x) that use all bits, in runs, some of zeros."""
    random = numpy.random.default_rng(1)
    dtype = numpy.dtype(dtype)
    if dtype.kind == "f":
        values = random.normal(size=shape).astype(dtype)
    else:
        info = numpy.iinfo(dtype)
        values = random.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)
    values = numpy.repeat(values, 3, axis=-1)[..., : shape[-1]]
    values[:, :8, :16, :16] = 0
    return values


def smooth(channels):
    """Grey waves that JPEG keeps nearly as they are."""
    c, z, y, x = numpy.indices((channels, *SHAPE))
    return (128 + 60 * numpy.sin(x / 9 + c) + 50 * numpy.cos((y + 3 * z) / 11)).astype("u1")


def save(folder, name, values):
    numpy.save(folder / f"{name}.npy", values)


def write_tensorstore(folder, name, values, encoding="raw", offset=(0, 0, 0), **scale):
    scale = {"size": list(values.shape[:0:-1]), "resolution": RESOLUTION, "encoding": encoding,
             "chunk_size": [16, 11, 8], "voxel_offset": list(offset), **scale}
    kind = "segmentation" if encoding == "compressed_segmentation" else "image"
    spec = {"driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{folder / name}/"},
            "multiscale_metadata": {"type": kind, "data_type": str(values.dtype),
                                    "num_channels": values.shape[0]},
            "scale_metadata": scale}
    array = tensorstore.open(spec, create=True).result()
    array.write(values.transpose(3, 2, 1, 0)).result()
    save(folder, name, values)


def sharding(hash, preshift, minishard, shard, encoding):
    return {"@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": preshift, "hash": hash,
            "minishard_bits": minishard, "shard_bits": shard, "minishard_index_encoding": encoding,
            "data_encoding": encoding}


def write_with_tensorstore(folder):
    labels = {"compressed_segmentation_block_size": [8, 8, 8]}
    flat = {"compressed_segmentation_block_size": [8, 8, 1]}
    for dtype in TYPES:
        write_tensorstore(folder, f"ts_{dtype}", noise((1, *SHAPE), dtype))
        shards = sharding("identity", 1, 2, 2, "gzip")
        write_tensorstore(folder, f"ts_sharded_{dtype}", noise((1, *SHAPE), dtype), sharding=shards)
    for dtype in ["uint32", "uint64"]:
        values = noise((1, *SHAPE), dtype)
        few = values % 5 * (2**31 + 7)
        write_tensorstore(folder, f"ts_labels_{dtype}", values, "compressed_segmentation", **labels)
        write_tensorstore(folder, f"ts_few_{dtype}", few, "compressed_segmentation", **labels)
        write_tensorstore(folder, f"ts_flat_{dtype}", few, "compressed_segmentation", **flat)
        two = noise((2, *SHAPE), dtype)
        write_tensorstore(folder, f"ts_two_{dtype}", two, "compressed_segmentation", **labels)
    for name, shards in {
        "murmur": sharding("murmurhash3_x86_128", 0, 3, 2, "raw"),
        "murmur_gzip": sharding("murmurhash3_x86_128", 2, 0, 3, "gzip"),
        "one": sharding("identity", 0, 0, 0, "raw"),
        "wide": sharding("identity", 3, 1, 9, "gzip"),
    }.items():
        write_tensorstore(folder, f"ts_{name}", noise((1, *SHAPE), "uint16"), sharding=shards)
        values = noise((1, *SHAPE), "uint64") % 9
        write_tensorstore(folder, f"ts_{name}_labels", values, "compressed_segmentation",
                          sharding=shards, **labels)
    write_tensorstore(folder, "ts_offset", noise((1, *SHAPE), "uint8"), offset=(1000, -20, 7))
    write_tensorstore(folder, "ts_channels", noise((3, *SHAPE), "float32"))
    for channels in [1, 3]:
        for dtype in ["uint8", "uint16"]:
            name = f"ts_png_{dtype}_{channels}"
            write_tensorstore(folder, name, noise((channels, *SHAPE), dtype), "png")
        write_tensorstore(folder, f"jpeg_ts_{channels}", smooth(channels), "jpeg", jpeg_quality=95)


def write_cloud_volume(folder, name, values, encoding="raw", compress=False, **scale):
    info = CloudVolume.create_new_info(
        num_channels=values.shape[0], layer_type="image" if encoding != "compressed_segmentation" else "segmentation",
        data_type=str(values.dtype), encoding=encoding, resolution=RESOLUTION, voxel_offset=[5, 6, 7],
        chunk_size=[16, 11, 8], volume_size=list(values.shape[:0:-1]))
    info["scales"][0].update(scale)
    volume = CloudVolume(f"file://{folder / name}", info=info, compress=compress, progress=False)
    volume.commit_info()
    volume[:, :, :] = values.transpose(3, 2, 1, 0)
    save(folder, name, values)


def write_with_cloud_volume(folder):
    for compress in [None, "gzip", "zstd"]:
        for dtype in ["uint8", "uint16", "uint32", "uint64", "float32"]:
            write_cloud_volume(folder, f"cv_{compress}_{dtype}", noise((1, *SHAPE), dtype), compress=compress)
        for dtype in ["uint32", "uint64"]:
            values = noise((1, *SHAPE), dtype) % 7
            write_cloud_volume(folder, f"cv_labels_{compress}_{dtype}", values,
                               "compressed_segmentation", compress)
        write_cloud_volume(folder, f"cv_png_{compress}", noise((1, *SHAPE), "uint8"), "png", compress)
    write_cloud_volume(folder, "jpeg_cv", smooth(1), "jpeg")
    write_cloud_volume(folder, "cv_channels", noise((2, *SHAPE), "uint16"), compress="gzip")
    # What a web server would label as compressed, copied without its headers.
    write_cloud_volume(folder, "cv_bare_gzip", noise((1, *SHAPE), "uint8"))
    for path in (folder / "cv_bare_gzip").glob("*/*"):
        path.write_bytes(gzip.compress(path.read_bytes()))


def read_tensorstore(path, scale):
    spec = {"driver": "neuroglancer_precomputed", "scale_index": scale,
            "kvstore": {"driver": "file", "path": f"{path}/"}}
    return tensorstore.open(spec, read=True).result().read().result()


def check(folder):
    """Reads each volume that we wrote with the peers that know its compression."""
    volumes = 0
    for path in sorted(pathlib.Path(folder).glob("*.precomputed")):
        info = json.loads((path / "info").read_text())
        for scale, facts in enumerate(info["scales"]):
            x, y, z = facts["size"]
            expected = pattern((1, z, y, x), info["data_type"])[0].transpose(2, 1, 0)[..., None]
            plain = not any((path / facts["key"]).glob("*.gz"))
            if plain:
                values = read_tensorstore(path, scale)
                assert (values == expected).all(), f"tensorstore: {path} {scale}"
            # cloud-volume takes the samples of any PNG for bytes.
            wide_png = facts["encoding"] == "png" and info["data_type"] == "uint16"
            assert plain or not wide_png, f"no peer reads {path}"
            if not wide_png:
                volume = CloudVolume(f"file://{path}", mip=scale, fill_missing=True, progress=False)
                values = numpy.asarray(volume[:, :, :])
                equal = values.dtype == expected.dtype and (values == expected).all()
                assert equal, f"cloud-volume: {path} {scale}"
            volumes += 1
    print(volumes)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "check":
        check(target)
    else:
        write_with_tensorstore(target)
        write_with_cloud_volume(target)
