"""tifffile: `write DIR` makes TIFF files, each with what it holds as (c, z, y, x) in an NPY beside it;
`check DIR` reads ours."""

import pathlib
import sys

import numpy
import tifffile

from pattern import pattern


def noise(shape, dtype, seed=1):
    """Values that use all bits, smooth enough to compress."""
    random = numpy.random.default_rng(seed)
    dtype = numpy.dtype(dtype)
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    info = numpy.iinfo(dtype)
    return random.integers(info.min, info.max, size=shape, dtype=dtype.newbyteorder("="), endpoint=True).astype(dtype)


def plain(folder, name, dtype, shape=(7, 37, 45), **options):
    values = noise(shape, dtype)
    tifffile.imwrite(folder / f"{name}.tif", values, photometric="minisblack", metadata=None, **options)
    save(folder, name, values[None])


def save(folder, name, values):
    numpy.save(folder / f"{name}.npy", values.astype(values.dtype.newbyteorder("=")))


def write_layouts(folder):
    for dtype in ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]:
        for order in "<>":
            kind = f"{dtype}_{'be' if order == '>' else 'le'}"
            values = {"dtype": order + dtype, "byteorder": order}
            plain(folder, f"raw_{kind}", **values)
            predictor = 3 if dtype[0] == "f" else 2
            plain(folder, f"deflate_{kind}", compression="zlib", predictor=predictor, **values)
            plain(folder, f"tiled_{kind}", tile=(16, 32), **values)
    for codec in ["lzw", "packbits", "zstd", "zlib"]:
        plain(folder, f"{codec}_strips", dtype="u2", compression=codec, rowsperstrip=5)
        plain(folder, f"{codec}_tiles", dtype="u2", compression=codec, tile=(32, 16))
    plain(folder, "lzw_delta", dtype="i2", compression="lzw", predictor=2)
    plain(folder, "float_delta_tiles", dtype="f4", compression="zstd", predictor=3, tile=(16, 32))
    plain(folder, "rows", dtype="u2", rowsperstrip=1)
    plain(folder, "bigtiff", dtype="u2", bigtiff=True)
    plain(folder, "bigtiff_be", dtype=">u2", byteorder=">", bigtiff=True, tile=(16, 16))
    plain(folder, "one_pixel", dtype="u2", shape=(1, 1, 1))


def write_samples(folder):
    for name, options in {
        "rgb": {},
        "rgb_lzw": {"compression": "lzw", "predictor": 2, "rowsperstrip": 7},
        "rgb_tiles": {"tile": (16, 16)},
    }.items():
        values = noise((4, 37, 45, 3), "u2")
        tifffile.imwrite(folder / f"{name}.tif", values, photometric="rgb", metadata=None, **options)
        save(folder, name, numpy.moveaxis(values, 3, 0))
    for name, options in {"planar": {}, "planar_zlib": {"compression": "zlib", "rowsperstrip": 7}}.items():
        values = noise((4, 3, 37, 45), "u2")
        options |= {"photometric": "rgb", "planarconfig": "separate", "metadata": None}
        tifffile.imwrite(folder / f"{name}.tif", values, **options)
        save(folder, name, numpy.moveaxis(values, 1, 0))
    values = noise((37, 45, 6), "f4")
    tifffile.imwrite(folder / "six.tif", values, photometric="minisblack", planarconfig="contig", metadata=None)
    save(folder, "six", numpy.moveaxis(values, 2, 0)[:, None])


def write_described(folder):
    size = {"PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.2, "PhysicalSizeYUnit": "µm",
            "PhysicalSizeZ": 1500.0, "PhysicalSizeZUnit": "nm"}
    values = noise((2, 3, 5, 37, 45), "u2")  # t c z y x
    for axes in ["TCZYX", "TZCYX", "ZCTYX", "CZTYX"]:
        stored = numpy.transpose(values, ["TCZYX".index(a) for a in axes])
        metadata = {"axes": axes, "Channel": {"Name": ["DAPI", "Cy5 <α>", "PolyT"]}, **size}
        tifffile.imwrite(folder / f"ome_{axes}.ome.tif", stored, ome=True, photometric="minisblack", metadata=metadata)
        save(folder, f"ome_{axes}.ome", values[1])
    metadata = {"axes": "TZCYX", "spacing": 1.5, "unit": "um"}
    stored = numpy.transpose(values, (0, 2, 1, 3, 4))
    tifffile.imwrite(folder / "imagej.tif", stored, imagej=True, resolution=(10, 5), metadata=metadata)
    save(folder, "imagej", values[1])
    tifffile.imwrite(folder / "imagej_hidden.tif", stored, imagej=True, truncate=True, metadata=metadata,
                     resolution=(10, 5))
    save(folder, "imagej_hidden", values[1])
    pyramid(folder, values[0])


def pyramid(folder, values):
    """Smaller scales in sub-directories, and once more as thumbnails in the chain of pages."""
    with tifffile.TiffWriter(folder / "pyramid.ome.tif", ome=True) as tif:
        tif.write(values, subifds=1, tile=(16, 16), photometric="minisblack", metadata={"axes": "CZYX"})
        tif.write(values[..., ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    save(folder, "pyramid.ome", values)
    with tifffile.TiffWriter(folder / "thumbnails.tif") as tif:
        for plane in values[0]:
            tif.write(plane, photometric="minisblack", metadata=None)
            tif.write(plane[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    save(folder, "thumbnails", values[:1])


def write_bad(folder):
    folder.mkdir()
    values = noise((37, 45), "u2")
    tifffile.imwrite(folder / "lzma.tif", values, compression="lzma")
    tifffile.imwrite(folder / "bits.tif", values > 100, photometric="minisblack")
    tifffile.imwrite(folder / "half.tif", values.astype("f2"), photometric="minisblack")
    tifffile.imwrite(folder / "complex.tif", values.astype("c8"), photometric="minisblack")
    with tifffile.TiffWriter(folder / "shapes.tif") as tif:
        tif.write(values, metadata=None)
        tif.write(values[:30], metadata=None)
    with tifffile.TiffWriter(folder / "types.tif") as tif:
        tif.write(values, metadata=None)
        tif.write(values.astype("u1"), metadata=None)


def write(folder):
    write_layouts(folder)
    write_samples(folder)
    write_described(folder)
    write_bad(folder / "bad")
    smooth = numpy.add.outer(numpy.arange(64), numpy.arange(80)).astype("u1")
    tifffile.imwrite(folder / "bad/jpeg.tif", smooth, compression="jpeg", tile=(32, 32), photometric="minisblack")
    numpy.save(folder / "bad/jpeg.npy", smooth[None])


def check(folder):
    paths = sorted(folder.glob("*.tif"))
    assert paths
    for path in paths:
        with tifffile.TiffFile(path) as tif:
            series = tif.series[0]
            values = series.asarray()
            shape = tuple({"C": 1, "Z": 1, **dict(zip(series.axes, series.shape))}[a] for a in "CZYX")
            assert (values.reshape(shape) == pattern(shape, values.dtype)).all(), path
            assert values.dtype.name in path.stem, (path, values.dtype)
            assert all(page.compression == tif.pages[0].compression for page in tif.pages)
            assert len(tif.pages) == shape[0] * shape[1], path
            check_ome(tif, path, shape)


def check_ome(tif, path, shape):
    assert tif.is_ome == ("ome" in path.stem), path
    if "ome" not in path.stem:
        return
    pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["SizeC"], pixels["SizeZ"], pixels["SizeY"], pixels["SizeX"]) == shape, pixels
    channels = pixels["Channel"] if shape[0] > 1 else [pixels["Channel"]]
    assert [c["Name"] for c in channels] == ["DAPI", "a<b>&\"é", "c"][: shape[0]], channels
    size = {axis: (pixels[f"PhysicalSize{axis}"], pixels[f"PhysicalSize{axis}Unit"]) for axis in "XYZ"}
    assert size == {"X": (4.13, "nm"), "Y": (8, "nm"), "Z": (1500.5, "nm")}, size
    assert tif.series[0].axes == {(True, True): "CZYX", (False, True): "ZYX", (False, False): "YX"}[
        (shape[0] > 1, shape[1] > 1)], tif.series[0].axes


def planes(path):
    """Each value of our large file is the index of its plane."""
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff and len(tif.pages) == 70
        for z in [0, 35, 69]:
            assert (tif.pages[z].asarray() == z).all(), z


if __name__ == "__main__":
    {"write": write, "check": check, "planes": planes}[sys.argv[1]](pathlib.Path(sys.argv[2]))
