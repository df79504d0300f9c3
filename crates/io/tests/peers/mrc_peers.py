"""mrcfile: `write DIR` makes MRC files of the pattern; `check DIR` reads ours."""

import pathlib
import struct
import sys

import mrcfile
import numpy

from pattern import pattern

SHAPE = (9, 21, 33)


def save(path, values, voxel_size=(40.0, 80.0, 400.0), extended=None, is_stack=False):
    """Voxel size in angstrom, x y z."""
    with mrcfile.new(str(path)) as file:
        file.set_data(values)
        if is_stack:
            file.set_image_stack()
        file.voxel_size = voxel_size
        if extended is not None:
            file.set_extended_header(extended)


def write(folder):
    for dtype in ["i1", "<i2", ">i2", "<u2", ">u2", "<f4", ">f4", "<f2", ">f2"]:
        name = f"{dtype.strip('<>')}_{'be' if dtype[0] == '>' else 'le'}.mrc"
        save(folder / name, pattern((1, *SHAPE), dtype)[0])
    save(folder / "extended.mrc", pattern((1, *SHAPE), "<i2")[0], extended=numpy.zeros(1000, "V1"))
    save(folder / "stack.mrc", pattern((1, *SHAPE), "<i2")[0], is_stack=True)
    save(folder / "plane.mrc", pattern((1, 1, *SHAPE[1:]), "<i2")[0, 0])
    save(folder / "volumes.mrc", pattern((3, *SHAPE), "<f4"))
    # Bytes without sign, as IMOD marks them; mrcfile has no way to write the stamp.
    save(folder / "imod.mrc", pattern((1, *SHAPE), "i1")[0])
    with open(folder / "imod.mrc", "r+b") as file:
        file.seek(152)
        file.write(struct.pack("<II", 1146047817, 0))
        file.seek(1024)
        file.write((pattern((1, *SHAPE), "u1")).tobytes())


def check(folder):
    for path in sorted(folder.glob("*.mrc")):
        with mrcfile.open(str(path)) as file:
            values = file.data
            shape = values.shape if values.ndim == 4 else (1, *values.shape)
            assert values.dtype.name in path.stem, path
            assert (values.reshape(shape) == pattern(shape, values.dtype)).all(), path
            assert numpy.allclose(file.voxel_size.tolist(), (40, 80, 400)), file.voxel_size
        assert mrcfile.validate(str(path)), path


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
