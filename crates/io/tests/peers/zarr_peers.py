"""Zarr peers (zarr-python, tensorstore, numcodecs): `write DIR` or `check DIR`."""

import json
import pathlib
import sys

import numcodecs
import numpy
import tensorstore
import zarr

from pattern import pattern

SHAPE = (2, 9, 21, 33)


def write_v2(folder):
    zyx, czyx = SHAPE[1:], SHAPE
    blosc = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE)
    variants = {
        "dots_zstd": dict(compressor=numcodecs.Zstd(3)),
        "slash_zstd": dict(compressor=numcodecs.Zstd(3), dimension_separator="/"),
        "blosc": dict(compressor=blosc),
        "blosc_zstd": dict(compressor=numcodecs.Blosc(cname="zstd", clevel=3)),
        "gzip": dict(compressor=numcodecs.GZip(5)),
        "raw_fill_null": dict(compressor=None, fill_value=None),
        "fortran": dict(compressor=numcodecs.Zstd(1), order="F"),
        "fortran_raw": dict(compressor=None, order="F"),
        "shuffle_filter": dict(compressor=numcodecs.Zstd(1), filters=[numcodecs.Shuffle(2)]),
    }
    for name, options in variants.items():
        for dtype in ["<u2", ">u2"]:
            path = folder / f"{name}_{'be' if dtype[0] == '>' else 'le'}.zarr"
            array = zarr.create(store=str(path), shape=zyx, chunks=(4, 8, 16), dtype=dtype,
                                zarr_format=2, **options)
            array[...] = pattern((1, *zyx), dtype)[0]
    array = zarr.create(store=str(folder / "channels.zarr"), shape=czyx, chunks=(2, 5, 7, 11),
                        dtype="<f4", zarr_format=2, fill_value=numpy.nan)
    array[...] = pattern(czyx, "f4")
    array = zarr.create(store=str(folder / "plane.zarr"), shape=zyx[1:], chunks=(5, 7),
                        dtype="|u1", zarr_format=2)
    array[...] = pattern((1, 1, *zyx[1:]), "u1")[0, 0]


def write_v3(folder):
    values = pattern(SHAPE, "u4")
    variants = {
        "v3_zstd": dict(chunks=(1, 4, 8, 16)),
        "v3_gzip": dict(chunks=(2, 4, 8, 16), compressors=zarr.codecs.GzipCodec()),
        "v3_blosc": dict(chunks=(2, 4, 8, 16), compressors=zarr.codecs.BloscCodec(typesize=4)),
        "v3_raw": dict(chunks=(2, 9, 8, 16), compressors=None),
        "v3_sharded": dict(chunks=(1, 3, 7, 11), shards=(2, 9, 14, 22)),
    }
    for name, options in variants.items():
        array = zarr.create_array(str(folder / f"{name}.zarr"), shape=SHAPE, dtype="u4",
                                  dimension_names=["c", "z", "y", "x"], **options)
        array[...] = values
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder / "ts.zarr")},
            "metadata": {"shape": list(SHAPE), "data_type": "uint32", "chunk_grid": {
                "name": "regular", "configuration": {"chunk_shape": [1, 8, 16, 16]}},
                "codecs": [{"name": "sharding_indexed", "configuration": {
                    "chunk_shape": [1, 4, 4, 8], "index_location": "start", "codecs": [
                        {"name": "bytes", "configuration": {"endian": "big"}},
                        {"name": "zstd", "configuration": {"level": 1}}]}}]}}
    tensorstore.open(spec, create=True).result()[...] = values


def write_ome(folder):
    group = zarr.open_group(str(folder / "pyramid.zarr"), mode="w", zarr_format=2)
    times = numpy.stack([numpy.zeros(SHAPE, "u1"), pattern(SHAPE, "u1")])
    for scale, step in enumerate([1, 2]):
        part = times[:, :, :, ::step, ::step]
        group.create_array(str(scale), shape=part.shape, chunks=(1, 1, 4, 8, 8), dtype="u1",
                           chunk_key_encoding={"name": "v2", "separator": "/"})[...] = part
    axes = [dict(name="t", type="time"), dict(name="c", type="channel"),
            *(dict(name=n, type="space", unit="micrometer") for n in "zyx")]
    scales = [[1, 1, 0.04, 0.5 * 2**s, 0.5 * 2**s] for s in range(2)]
    group.attrs["multiscales"] = [dict(
        version="0.4", axes=axes,
        coordinateTransformations=[dict(type="scale", scale=[1, 1, 1, 0.016, 0.008])],
        datasets=[dict(path=str(i), coordinateTransformations=[dict(type="scale", scale=s)])
                  for i, s in enumerate(scales)])]
    group.attrs["omero"] = {"channels": [{"label": "DAPI"}, {"label": "CD8"}]}


def check(folder):
    """Reads each volume that we wrote with both peers; prints what the group says."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.zarr")):
        array = zarr.open_array(str(path / "0"), mode="r")
        values = array[...]
        expected = pattern(values.shape if values.ndim == 4 else (1, *values.shape), values.dtype)
        expected = expected if values.ndim == 4 else expected[0]
        assert (values == expected).all(), f"zarr-python: {path}"
        driver = "zarr" if array.metadata.zarr_format == 2 else "zarr3"
        kvstore = {"driver": "file", "path": str(path / "0")}
        other = tensorstore.open({"driver": driver, "kvstore": kvstore}, read=True).result()
        assert (other.read().result() == expected).all(), f"tensorstore: {path}"
        found[path.stem] = dict(zarr.open_group(str(path), mode="r").attrs)
    print(json.dumps(found))


def check_pyramids(folder):
    """Reads the pyramids that we wrote with ome-zarr-py: both scales, and how they lie to each other."""
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    names = sorted(pathlib.Path(folder).glob("*.zarr"))
    assert len(names) == 4, names
    for path in names:
        node = next(iter(Reader(parse_url(str(path)))()))
        assert len(node.data) == 2, f"{path}: {len(node.data)} scales"
        for data in node.data:
            values = data.compute()
            shape = values.shape if values.ndim == 4 else (1, *values.shape)
            assert (values.reshape(shape) == pattern(shape, values.dtype)).all(), path
        fine, coarse = node.metadata["coordinateTransformations"]
        assert fine[0]["scale"][-3:] == [40.0, 8.0, 4.0], fine
        assert coarse[0]["scale"][-3:] == [40.0, 16.0, 8.0], coarse
        assert coarse[1]["translation"][-3:] == [0.0, 4.0, 2.0], coarse


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "pyramids":
        check_pyramids(target)
        sys.exit()
    if sys.argv[1] == "check":
        check(target)
    else:
        write_v2(target)
        write_v3(target)
        write_ome(target)
