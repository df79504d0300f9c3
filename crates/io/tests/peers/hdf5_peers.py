"""h5py: `write DIR` makes files of the pattern; `sum FILE DATASET` prints facts of a dataset."""

import json
import pathlib
import sys

import h5py
import numpy

from pattern import pattern

SHAPE = (2, 9, 21, 33)


def write(folder):
    variants = {
        "contiguous": dict(dtype="<u2"),
        "gzip": dict(dtype="u1", chunks=(4, 8, 16), compression="gzip"),
        "shuffle": dict(dtype="<u4", chunks=(4, 8, 16), compression="gzip", shuffle=True),
        "fletcher": dict(dtype="<u8", chunks=(3, 21, 5), fletcher32=True),
        "chunked": dict(dtype="<i2", chunks=(9, 5, 7)),
        "big_endian": dict(dtype=">u2", chunks=(4, 8, 16), compression="gzip"),
        "big_endian_contiguous": dict(dtype=">i4"),
        "f32": dict(dtype="<f4", chunks=(4, 8, 16), compression="gzip"),
        "f64": dict(dtype="<f8"),
        "unlimited": dict(dtype="i1", chunks=(4, 8, 16), maxshape=(None, None, 33)),
    }
    for name, options in variants.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            values = pattern((1, *SHAPE[1:]), options["dtype"])[0]
            file.create_dataset("volumes/raw", data=values, **options)
    with h5py.File(folder / "latest.h5", "w", libver="latest") as file:
        values = pattern((1, *SHAPE[1:]), "u1")[0]
        file.create_dataset("v", data=values, chunks=(4, 8, 16), compression="gzip")
    with h5py.File(folder / "four.h5", "w") as file:
        file.create_dataset("v", data=pattern(SHAPE, "u2"), chunks=(1, 4, 8, 16))
    with h5py.File(folder / "plane.h5", "w") as file:
        file.create_dataset("v", data=pattern((1, 1, *SHAPE[2:]), "u1")[0, 0])
    two(folder)


def two(folder):
    (folder / "special").mkdir()
    with h5py.File(folder / "special/two.h5", "w") as file:
        raw = file.create_dataset("volumes/raw", data=pattern((1, *SHAPE[1:]), "u1")[0])
        raw.attrs["resolution"] = (40.0, 4.0, 4.0)
        labels = file.create_dataset("volumes/labels", data=pattern((1, *SHAPE[1:]), "u8")[0])
        labels.attrs["element_size_um"] = numpy.array([0.04, 0.008, 0.004], "f4")
        file.create_dataset("list", data=[1, 2, 3])
        file["volumes/self"] = file["volumes"]
    with h5py.File(folder / "special/none.h5", "w") as file:
        file.create_dataset("list", data=[1, 2, 3])
    with h5py.File(folder / "special/types.h5", "w") as file:
        file.create_dataset("complex", data=numpy.zeros((2, 3), "c8"))
        file.create_dataset("lzf", data=numpy.zeros((20, 300), "u1"), compression="lzf")
        file.create_dataset("five", data=numpy.zeros((1, 1, 1, 2, 3), "u1"))


def facts(name, dataset):
    with h5py.File(name) as file:
        values = file[dataset]
        low = values[10:20, 30:40, 50:70]
        print(json.dumps(dict(dtype=str(values.dtype), shape=values.shape,
                              sum=int(values[...].sum(dtype="u8")), part=int(low.sum(dtype="u8")))))


def check(folder):
    """Reads our files TYPE_CODEC.h5."""
    paths = sorted(folder.glob("*.h5"))
    assert len(paths) == 30, paths
    for path in paths:
        with h5py.File(path) as file:
            dataset = file["volumes/raw"]
            values = dataset[...]
            channels = values.shape[0] if values.ndim == 4 else 1
            assert values.dtype.name == path.stem.split("_")[0], path
            assert (values.reshape(channels, 9, 21, 33) == pattern((channels, 9, 21, 33), values.dtype)).all(), path
            assert dataset.chunks[-3:] == (4, 8, 16), dataset.chunks
            raw = path.stem.endswith("Raw")
            assert dataset.compression == (None if raw else "gzip"), path
            assert dataset.shuffle == (not raw and values.dtype.itemsize > 1), path
            assert dataset.attrs["resolution"].tolist() == [40.0, 4.5, 4.0]


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(pathlib.Path(sys.argv[2]))
    elif sys.argv[1] == "check":
        check(pathlib.Path(sys.argv[2]))
    else:
        facts(*sys.argv[2:])
