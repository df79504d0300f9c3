"""N5 peers (tensorstore, z5py, lz4): `write DIR` makes containers of the pattern; `check DIR` reads ours."""

import gzip
import json
import pathlib
import struct
import sys
import zlib

import lz4.block
import lz4.frame
import numpy
import tensorstore
import xxhash
import z5py

from pattern import pattern

SHAPE = (9, 21, 33)
BLOCK = (4, 8, 16)
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]
COMPRESSIONS = {
    "raw": {"type": "raw"},
    "gzip": {"type": "gzip", "level": 5},
    "zlib": {"type": "gzip", "level": 5, "useZlib": True},
    "bzip2": {"type": "bzip2", "blockSize": 9},
    "xz": {"type": "xz", "preset": 6},
    "zstd": {"type": "zstd", "level": 3},
    "blosc": {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1},
    "blosc_zstd_bit": {"type": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2},
    "blosc_lz4hc_none": {"type": "blosc", "cname": "lz4hc", "clevel": 9, "shuffle": 0},
    "blosc_zlib": {"type": "blosc", "cname": "zlib", "clevel": 1, "shuffle": 1},
    "blosc_blosclz": {"type": "blosc", "cname": "blosclz", "clevel": 5, "shuffle": 1},
}


def write_tensorstore(path, values, block, compression, extra=None):
    """`values` in C order; N5 counts its axes from the fastest."""
    metadata = {"dimensions": values.shape[::-1], "blockSize": block[::-1],
                "dataType": values.dtype.name, "compression": compression, **(extra or {})}
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": str(path)}, "metadata": metadata}
    tensorstore.open(spec, create=True).result()[...] = values.T


def write_z5py(folder):
    with z5py.File(str(folder / "z5py.n5"), mode="a") as file:
        for name in ["raw", "gzip", "blosc", "bzip2", "lz4", "xz", "zstd"]:
            file.create_dataset(name, data=pattern((1, *SHAPE), "u2")[0], chunks=BLOCK,
                                compression=name)


def lz4_block_stream(data, part=200):
    """The stream of lz4-java: parts of at most `part` bytes, then an empty one."""
    out = b""
    for start in range(0, len(data), part):
        piece = data[start:start + part]
        packed = lz4.block.compress(piece, store_size=False)
        method = 0x20 if len(packed) < len(piece) else 0x10
        packed = packed if method == 0x20 else piece
        checksum = xxhash.xxh32_intdigest(piece, seed=0x9747B28C) & 0x0FFFFFFF
        out += b"LZ4Block" + struct.pack("<BIII", method | 5, len(packed), len(piece), checksum) + packed
    return out + b"LZ4Block" + struct.pack("<BIII", 0x15, 0, 0, 0)


def write_by_hand(path, compression, encode, varlength=False, padded=False):
    """A dataset written block by block, for what no peer writes."""
    values = pattern((1, *SHAPE), ">u2")[0]
    path.mkdir(parents=True)
    attributes = {"dimensions": SHAPE[::-1], "blockSize": BLOCK[::-1], "dataType": "uint16",
                  "compression": compression}
    (path / "attributes.json").write_text(json.dumps(attributes))
    for index in numpy.ndindex(*(-(-s // b) for s, b in zip(SHAPE, BLOCK))):
        block = values[tuple(slice(i * b, i * b + b) for i, b in zip(index, BLOCK))]
        if padded:
            full = numpy.full(BLOCK, 77, ">u2")
            full[tuple(slice(0, n) for n in block.shape)] = block
            block = full
        header = struct.pack(">HH3I", int(varlength), 3, *block.shape[::-1])
        header += struct.pack(">I", block.size) if varlength else b""
        key = path.joinpath(*(str(i) for i in index[::-1]))
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(header + encode(block.tobytes()))


def write(folder):
    for name, compression in COMPRESSIONS.items():
        write_tensorstore(folder / f"ts.n5/{name}", pattern((1, *SHAPE), "u2")[0], BLOCK, compression)
    for dtype in DTYPES:
        write_tensorstore(folder / f"types.n5/{dtype}", pattern((1, *SHAPE), dtype)[0], BLOCK,
                          {"type": "zstd", "level": 1})
    gz = {"type": "gzip"}
    write_tensorstore(folder / "axes.n5/xy", pattern((1, 1, *SHAPE[1:]), "u1")[0, 0], (5, 7), gz)
    write_tensorstore(folder / "axes.n5/xyzc", pattern((3, *SHAPE), "f4"), (2, *BLOCK), gz)
    times = numpy.stack([numpy.zeros((2, *SHAPE), "u1"), pattern((2, *SHAPE), "u1")])
    write_tensorstore(folder / "axes.n5/xyzct", times, (1, 2, *BLOCK), gz,
                      {"axes": ["x", "y", "z", "c", "t"], "units": ["nm", "nm", "nm", "", ""],
                       "resolution": [4, 8, 40, 1, 1]})
    write_z5py(folder)
    hand = folder / "hand.n5"
    write_by_hand(hand / "lz4_java", {"type": "lz4", "blockSize": 65536}, lz4_block_stream)
    write_by_hand(hand / "lz4_frame", {"type": "lz4"},
                  lambda data: lz4.frame.compress(data, content_checksum=True))
    write_by_hand(hand / "lz4_bare", {"type": "lz4"},
                  lambda data: lz4.block.compress(data, store_size=False))
    write_by_hand(hand / "zlib", {"type": "gzip", "useZlib": True}, zlib.compress)
    write_by_hand(hand / "varlength", gz, gzip.compress, varlength=True)
    write_by_hand(hand / "padded", gz, gzip.compress, padded=True)


def check(folder):
    for path in sorted(folder.glob("*.n5")):
        spec = {"driver": "n5", "kvstore": {"driver": "file", "path": str(path / "s0")}}
        values = tensorstore.open(spec, read=True).result().read().result().T
        shape = values.shape if values.ndim == 4 else (1, *values.shape)
        expected = pattern(shape, values.dtype).reshape(values.shape)
        assert path.stem.startswith(values.dtype.name), path
        assert (values == expected).all(), f"tensorstore: {path}"
        with z5py.File(str(path), mode="r") as file:
            assert (file["s0"][...] == expected).all(), f"z5py: {path}"


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
