"""Reading and writing Zarr v3: exavox beside tensorstore and zarr-python, in one run.

    python benches/peers/zarr_rates.py VOLUME_RATES [IMAGES.npy|IMAGES.h5:DATASET [RUNS [FOLDER]]]

VOLUME_RATES is the program of that name in `benches/`. The volume is 512^3 uint8, tiled from the images
(default: smoothed noise that zstd compresses to 0.87, as electron microscopy). Each figure is the best
of RUNS (default 7), exavox and the peers in turn, so that all see the same minute. Files are in the
page cache; a read includes opening, and fills a fresh buffer; single chunks are read of a volume that
stays open, without a cache of voxels. Prints GB/s of voxels and the ratio.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorstore as ts
import zarr

SIZE = 512


def images(name):
    if not name:
        rng = np.random.default_rng(1)
        noise = rng.normal(128, 40, (128, SIZE, SIZE)).astype(np.float32)
        smooth = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)) / 3
        return np.tile(np.clip(smooth, 0, 255).astype(np.uint8), (4, 1, 1))
    if ":" in name:
        import h5py
        path, dataset = name.rsplit(":", 1)
        data = h5py.File(path)[dataset][:]
    else:
        data = np.load(name)
    for axis in range(3):
        data = np.take(data, np.arange(SIZE) % data.shape[axis], axis=axis)
    return np.ascontiguousarray(data)


def spec(path, codecs, chunk, shard, sync):
    inner = [{"name": "bytes"}] + codecs
    if shard:
        inner = [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [chunk] * 3, "codecs": inner,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}}]
    return {
        "driver": "zarr3", "kvstore": {"driver": "file", "path": path},
        "context": {"file_io_sync": sync},
        "metadata": {
            "shape": [SIZE] * 3, "data_type": "uint8", "codecs": inner,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard or chunk] * 3}},
        },
    }


def ts_write(volume, path, codecs, chunk, shard, sync):
    shutil.rmtree(path, ignore_errors=True)
    start = time.perf_counter()
    ts.open(spec(path, codecs, chunk, shard, sync), create=True).result().write(volume).result()
    return time.perf_counter() - start


def ts_open(path):
    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path},
                    "recheck_cached_data": "open"}, open=True).result()


def timed(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


class Ours:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def status(self, key):
        lines = open(f"/proc/{self.process.pid}/status").read().splitlines()
        return next(line for line in lines if line.startswith(key)).split(None, 1)[1]


def report(what, seconds, size):
    best = {who: min(times) for who, times in seconds.items()}
    rates = "  ".join(f"{who} {size / t / 1e9:6.2f}" for who, t in best.items())
    print(f"{what:34} GB/s: {rates}   ratio {best['tensorstore'] / best['exavox']:.2f}", flush=True)


def main():
    program = sys.argv[1]
    volume = images(sys.argv[2] if len(sys.argv) > 2 else "")
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    folder = tempfile.mkdtemp(dir=sys.argv[4] if len(sys.argv) > 4 else None)
    print(f"tensorstore {ts.__version__ if hasattr(ts, '__version__') else ''}, zarr {zarr.__version__}, "
          f"{os.cpu_count()} cores")
    np.save(f"{folder}/source.npy", volume)
    for codec, codecs in (("raw", []), ("zstd", [{"name": "zstd", "configuration": {"level": 3}}])):
        mine, theirs = f"{folder}/{codec}.zarr", f"{folder}/ts_{codec}.zarr"
        for sync in (False, True):
            ours = Ours(program)
            seconds = {"exavox": [], "tensorstore": []}
            for _ in range(runs if not sync else max(2, runs // 2)):
                shutil.rmtree(mine, ignore_errors=True)
                seconds["exavox"].append(ours("write", f"{folder}/source.npy", mine, codec, 128, 0, int(sync)))
                seconds["tensorstore"].append(ts_write(volume, theirs, codecs, 128, 0, sync))
            report(f"write 128^3 {codec}{', synced' if sync else ''}", seconds, volume.nbytes)
        sizes = [sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(p) for f in fs)
                 for p in (mine, theirs)]
        print(f"{'':34} size / voxels: exavox {sizes[0] / volume.nbytes:.4f}  tensorstore {sizes[1] / volume.nbytes:.4f}")
        assert np.array_equal(ts_open(f"{mine}/0").read().result(), volume)
        ours = Ours(program)
        seconds = {"exavox": [], "tensorstore": [], "zarr-python": []}
        for _ in range(runs):
            seconds["exavox"].append(ours("read", theirs))
            seconds["tensorstore"].append(timed(lambda: ts_open(theirs).read().result())[0])
            seconds["zarr-python"].append(timed(lambda: zarr.open(theirs)[:])[0])
        report(f"read 128^3 {codec}", seconds, volume.nbytes)
        print(f"{'':34} peak memory of exavox: {ours.status('VmHWM')} (region {volume.nbytes // 1024} kB)")
    shards = f"{folder}/shards.zarr"
    for codec, codecs in (("raw", []), ("zstd", [{"name": "zstd", "configuration": {"level": 3}}])):
        ts_write(volume, shards, codecs, 64, 256, False)
        ours = Ours(program)
        seconds = {"exavox": [], "tensorstore": []}
        opened = ts_open(shards)
        for run in range(40 * runs):
            at = [64 * (run * step % 8) for step in (1, 3, 5)]
            box = tuple(slice(a, a + 64) for a in at)
            seconds["exavox"].append(ours("chunk", shards, *at, 64))
            seconds["tensorstore"].append(timed(lambda: opened[box].read().result())[0])
        report(f"one 64^3 chunk of a 256^3 shard {codec}", seconds, 64 ** 3)
        median = {who: sorted(t)[len(t) // 2] for who, t in seconds.items()}
        print(f"{'':34} medians: ratio {median['tensorstore'] / median['exavox']:.2f}")
    shutil.rmtree(folder)


main()
