"""tifffile: `write DIR` makes pyramids; each scale as (c, z, y, x) in NAME.SCALE.npy beside NAME.tif."""

import pathlib
import sys

import numpy
import tifffile

from tiff_peers import noise

SIZE = {"PhysicalSizeX": 4.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 4.0, "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 30.0, "PhysicalSizeZUnit": "nm"}


def scales(values, count=3):
    return [values[..., :: 2**s, :: 2**s] for s in range(count)]


def save(folder, name, levels):
    for scale, values in enumerate(levels):
        numpy.save(folder / f"{name}.{scale}.npy", values.astype(values.dtype.newbyteorder("=")))


def ome(folder, name, dtype, shape=(2, 3, 75, 90), axes="CZYX", **options):
    """SubIFDs, as OME-TIFF 6 has them."""
    levels = scales(noise(shape, dtype))
    path = folder / f"{name}.tif"
    file_options = {k: options.pop(k) for k in ["bigtiff", "byteorder"] if k in options}
    options |= {"tile": (32, 16), "photometric": "minisblack"}
    with tifffile.TiffWriter(path, ome=True, **file_options) as tif:
        for scale, values in enumerate(levels):
            stored = numpy.transpose(values, ["CZYX".index(a) for a in axes])
            first = {"subifds": len(levels) - 1, "metadata": {"axes": axes, **SIZE}}
            tif.write(stored, **(first if scale == 0 else {"subfiletype": 1}), **options)
    save(folder, name, levels)


def reduced(folder, name, order):
    """Reduced pages in the chain: by scale behind the stack, or behind each page."""
    levels = scales(noise((1, 3, 75, 90), "u2"))
    number = range(3)
    chain = [(s, z) for s in number for z in number] if order == "scales" else [(s, z) for z in number for s in number]
    with tifffile.TiffWriter(folder / f"{name}.tif") as tif:
        for scale, z in chain:
            kind = {"subfiletype": 1} if scale else {}
            tif.write(levels[scale][0, z], tile=(16, 16), photometric="minisblack", metadata=None, **kind)
    save(folder, name, levels)


def overview(folder):
    """One image with overviews and transparency masks, as GDAL orders them."""
    levels = scales(noise((1, 1, 75, 90), "u1"), 4)
    with tifffile.TiffWriter(folder / "overview.tif") as tif:
        for scale, values in enumerate(levels):
            kind = 1 if scale else 0
            options = {"photometric": "minisblack", "metadata": None}
            tif.write(values[0, 0], subfiletype=kind, tile=(16, 16), compression="zlib", **options)
            tif.write(values[0, 0] > 100, subfiletype=kind | 4, **options)
    save(folder, "overview", levels)


def thumbnail(folder):
    """A colour thumbnail in a SubIFD and one small page for a stack: neither is a scale."""
    values = noise((1, 3, 75, 90), "u2")
    with tifffile.TiffWriter(folder / "thumbnail.tif") as tif:
        tif.write(values[0], subifds=1, photometric="minisblack", metadata=None)
        tif.write(noise((3, 20, 30, 3), "u1"), subfiletype=1, photometric="rgb", metadata=None)
        tif.write(values[0, 0, ::2, ::2], subfiletype=1, photometric="minisblack", metadata=None)
    save(folder, "thumbnail", [values])


def write(folder):
    for dtype in ["u1", "u2", "f4"]:
        for codec in ["zlib", "lzw", "zstd", None]:
            ome(folder, f"ome_{dtype}_{codec}", dtype, compression=codec)
    ome(folder, "ome_big", "u2", bigtiff=True, compression="zlib", predictor=2)
    ome(folder, "ome_big_be", ">u2", bigtiff=True, byteorder=">")
    ome(folder, "ome_zc", "u2", axes="ZCYX", compression="lzw")
    ome(folder, "ome_plane", "f4", shape=(1, 1, 75, 90))
    reduced(folder, "by_scale", "scales")
    reduced(folder, "by_page", "pages")
    overview(folder)
    thumbnail(folder)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[2]))
