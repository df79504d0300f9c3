"""Synthetic tissue: `cells.py DIR` writes `image.npy` (uint8) and `labels.npy` (uint64), z, y, x.

Cells are the regions nearest to random points, in a space that is bent; membranes are dark.
"""

import pathlib
import sys

import numpy
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

EDGE = 250
CELLS = 220


def bent_places(random):
    """Places of all voxels (z, y, x), each moved smoothly by some voxels."""
    places = numpy.indices((EDGE, EDGE, EDGE), dtype="f4")
    for axis in range(3):
        bend = gaussian_filter(random.normal(size=(EDGE, EDGE, EDGE)).astype("f4"), 14, mode="wrap")
        places[axis] += 12 * bend / bend.std()
    return places.reshape(3, -1).T


def cells():
    random = numpy.random.default_rng(7)
    seeds = random.uniform(-20, EDGE + 20, size=(CELLS, 3))
    distances, nearest = cKDTree(seeds).query(bent_places(random), k=2)
    shape = (EDGE, EDGE, EDGE)
    names = random.integers(1, 2**40, size=CELLS, dtype="u8")
    wall = (distances[:, 1] - distances[:, 0]).reshape(shape)
    texture = gaussian_filter(random.normal(size=shape), 1.5)
    grey = 165 + 45 * texture / texture.std() * 0.5 - 110 * numpy.exp(-((wall / 3) ** 2))
    grey += random.normal(scale=8, size=shape)
    labels = names[nearest[:, 0]].reshape(shape)
    labels[wall < 1.5] = 0
    return grey.clip(0, 255).astype("u1"), labels


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    image, labels = cells()
    numpy.save(folder / "image.npy", image)
    numpy.save(folder / "labels.npy", labels)
