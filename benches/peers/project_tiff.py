"""Maximum projection of a folder of TIFF planes: exavox beside the script that people run today.

    python benches/peers/project_tiff.py EXAVOX [PLANES_Y_X [RUNS]]

Makes 8 channels x 7 planes of PLANES_Y_X^2 (default 4096) uint16 in a temporary folder, then runs both
in turn, each in a process of its own: the script reads a channel with tifffile, stacks it and takes
numpy.max. Prints seconds, GB/s of input and peak memory of each run, and the ratios of the medians.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

CHANNELS = ["DAPI", "Pcp4", "PolyT", "Prox1", "Snap25", "TAG", "Ttr", "hSETBP1"]
PLANES = 7

SCRIPT = """
import sys, numpy as np, tifffile
folder, channels, planes = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
for channel in channels:
    stack = np.stack([tifffile.imread(f"{folder}/mosaic_{channel}_z{z}.tif") for z in range(planes)])
    tifffile.imwrite(f"{folder}/numpy_{channel}.tif", stack.max(axis=0))
"""


MAKE = """
import sys, numpy as np, tifffile
folder, channels, planes, size = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]), int(sys.argv[4])
base = np.random.default_rng(1).poisson(200, (size, size)).astype(np.uint16)
for number, channel in enumerate(channels):
    for z in range(planes):
        plane = np.roll(base, (z * 13, number * 7), (0, 1))
        tifffile.imwrite(f"{folder}/mosaic_{channel}_z{z}.tif", plane)
"""

COMPARE = """
import sys, numpy as np, tifffile
folder, channels = sys.argv[1], sys.argv[2].split(",")
for channel in channels:
    ours, theirs = (tifffile.imread(f"{folder}/{who}_{channel}.tif") for who in ("out", "numpy"))
    assert np.array_equal(ours, theirs), channel
"""


def python(script, *arguments):
    """Runs a script in a process of its own: this one must stay small, because Linux counts the
    memory of a process that starts another as the other's peak, too."""
    subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=True)


def measure(command):
    """Seconds and peak MiB of a process, as the operating system counts them."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} ended with status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    exavox = sys.argv[1]
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 4096
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder:
        channels = ",".join(CHANNELS)
        python(MAKE, folder, channels, PLANES, size)
        project = [exavox, "--quiet", "--device", "cpu"]
        pattern = [f"{folder}/mosaic_{{channel}}_z{{z}}.tif", f"{folder}/out_{{channel}}.tif"]
        commands = {
            "numpy + tifffile": [sys.executable, "-c", SCRIPT, folder, channels, str(PLANES)],
            "exavox": project + ["project", *pattern, "--overwrite"],
            "exavox --threads 2": project + ["--threads", "2", "project", *pattern, "--overwrite"],
        }
        figures = {name: [] for name in commands}
        for run in range(runs + 1):
            for name, command in commands.items():
                result = measure(command)
                if run:  # the first run warms the page cache
                    figures[name].append(result)
        python(COMPARE, folder, channels)
    gigabytes = len(CHANNELS) * PLANES * size * size * 2 / 1e9
    medians = {name: [statistics.median(v) for v in zip(*f)] for name, f in figures.items()}
    peer_seconds, peer_memory = medians["numpy + tifffile"]
    for name, (seconds, memory) in medians.items():
        ratio = f"{peer_seconds / seconds:.2f}x the speed, {memory / peer_memory:.3f}x the memory"
        print(f"{name:20} {seconds:.3f} s {gigabytes / seconds:.2f} GB/s {memory:.0f} MiB ({ratio})")


if __name__ == "__main__":
    main()
