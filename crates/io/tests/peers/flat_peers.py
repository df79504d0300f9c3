"""numpy: `write DIR` makes NPY files of the pattern; `check DIR` reads ours."""

import pathlib
import sys

import numpy

from pattern import pattern

SHAPE = (2, 9, 21, 33)


def save(path, values, version=None):
    with open(path, "wb") as file:
        numpy.lib.format.write_array(file, values, version=version)


def write(folder):
    for dtype in ["|u1", "<u2", ">u2", "<u4", ">u8", "|i1", ">i2", "<i4", "<i8", "<f4", ">f4", "<f8"]:
        save(folder / f"zyx_{dtype[1:]}_{ord(dtype[0])}.npy", pattern((1, *SHAPE[1:]), dtype)[0])
    save(folder / "czyx.npy", pattern(SHAPE, "<u2"))
    save(folder / "yx.npy", pattern((1, 1, *SHAPE[2:]), "u1")[0, 0])
    save(folder / "v2.npy", pattern((1, *SHAPE[1:]), "<u2")[0], version=(2, 0))
    save(folder / "v3.npy", pattern((1, *SHAPE[1:]), "<u2")[0], version=(3, 0))
    (folder / "bad").mkdir()
    save(folder / "bad/fortran.npy", numpy.asfortranarray(pattern((1, *SHAPE[1:]), "<u2")[0]))
    save(folder / "bad/complex.npy", numpy.zeros((2, 3), "c8"))
    save(folder / "bad/five.npy", numpy.zeros((1, 1, 1, 2, 3), "u1"))


def check(folder):
    for path in sorted(folder.glob("*.npy")):
        values = numpy.load(path)
        shape = values.shape if values.ndim == 4 else (1, *values.shape)
        assert (values.reshape(shape) == pattern(shape, values.dtype)).all(), path
        assert str(values.dtype) in path.stem, path


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
