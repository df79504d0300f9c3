"""NRRD peers (pynrrd, SimpleITK): `write DIR` makes files of the pattern; `check DIR` reads ours."""

import pathlib
import sys

import nrrd
import numpy
import SimpleITK

from pattern import pattern

SHAPE = (9, 21, 33)
DTYPES = ["u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8", "i1", "<i2", "<i4", ">i8", "<f4", ">f4", "<f8"]


def write(folder):
    for dtype in DTYPES:
        for encoding in ["raw", "gzip"]:
            name = f"{dtype.strip('<>')}_{'be' if dtype[0] == '>' else 'le'}_{encoding}.nrrd"
            header = {"encoding": encoding, "space directions": numpy.diag([4.0, 8.0, 40.0]),
                      "space dimension": 3, "space units": ["nm", "nm", "nm"]}
            nrrd.write(str(folder / name), pattern((1, *SHAPE), dtype)[0], header, index_order="C")
    values = pattern((2, *SHAPE), "<u2")
    nrrd.write(str(folder / "channels.nrrd"), values, {
        "encoding": "gzip", "kinds": ["domain", "domain", "domain", "list"],
        "spacings": [4.0, 8.0, 40.0, numpy.nan], "units": ["nm", "nm", "nm", ""]}, index_order="C")
    nrrd.write(str(folder / "plane.nrrd"), values[0, 0], {"encoding": "raw"}, index_order="C")
    for encoding in ["raw", "gzip"]:
        nrrd.write(str(folder / f"{encoding}.nhdr"), values[0],
                   {"encoding": encoding, "spacings": [4.0, 8.0, 40.0], "units": ["nm", "nm", "nm"]},
                   detached_header=True, index_order="C")
    for compress in [False, True]:
        image = SimpleITK.GetImageFromArray(values[0].astype("f4"))
        image.SetSpacing((0.000004, 0.000008, 0.00004))
        SimpleITK.WriteImage(image, str(folder / f"itk_{compress}.nrrd"), compress)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values[0]), str(folder / "itk.nhdr"), False)


def check(folder):
    for path in sorted(folder.glob("*.nrrd")):
        values, header = nrrd.read(str(path), index_order="C")
        shape = values.shape if values.ndim == 4 else (1, *values.shape)
        expected = pattern(shape, values.dtype)
        assert values.dtype.name in path.stem, path
        assert (values.reshape(shape) == expected).all(), f"pynrrd: {path}"
        directions = header["space directions"][-3:] if values.ndim == 3 else header["space directions"][:3]
        assert numpy.allclose(numpy.abs(directions), numpy.diag([4, 8, 40])), directions
        image = SimpleITK.ReadImage(str(path))
        # ITK takes the channels as the components of a pixel.
        found = SimpleITK.GetArrayFromImage(image)
        found = numpy.moveaxis(found, -1, 0) if values.ndim == 4 else found[None]
        assert (found == expected).all(), f"SimpleITK: {path}"
        assert numpy.allclose(image.GetSpacing(), (4, 8, 40)), image.GetSpacing()


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
