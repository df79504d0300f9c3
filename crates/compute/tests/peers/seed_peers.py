"""Seed policies by NumPy, SciPy and scikit-image: `make DIR` writes images, `compare DIR` checks seeds.

Seeds of IMAGE.npy by a case are lines `z y x` of IMAGE.npy.CASE.txt. Labels and masks are made by the same
formulas on both sides.
"""

import pathlib
import sys

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.morphology import disk

MARGIN = np.array([2, 3, 4])
VOXEL_SIZE = (3.0, 1.0, 2.0)
MASK = "((z*31 + y*17 + x*7) % 97 == 0) | (x > 40)"
SEED_MASK = "(abs(z - 9) < 2) & ~(y < 12)"


def make(folder):
    random = np.random.default_rng(3)
    for number, shape in enumerate([(19, 40, 47), (45, 26, 31), (7, 9, 90)]):
        noise = random.normal(0, 1, shape)
        smooth = ndimage.gaussian_filter(noise, 2.5)
        image = 128 + 60 * smooth / smooth.std()
        if number == 1:
            image = image // 24 * 24  # plateaus
        name = f"image_{number}.npy"
        np.save(folder / name, image.clip(0, 255).astype(np.uint8))
        print(name)
    np.save(folder / "even.npy", np.full((17, 18, 19), 90, np.uint8))
    print("even.npy")


def of_coordinates(expression, shape):
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    return eval(expression)


def labels(shape):
    kind = of_coordinates("(z // 6 + y // 7 + x // 9) % 5", shape)
    return np.where((kind == 1) | (kind == 2), kind, 0)


def edges(image):
    magnitude = ndimage.generic_gradient_magnitude(image, ndimage.sobel)
    average = np.zeros(image.shape, np.float32)
    ndimage.gaussian_filter(magnitude, 49 / 6, output=average, mode="reflect")
    return magnitude > average


def distance(edge, size=None):
    if not edge.any():
        return np.full(edge.shape, np.inf, np.float32)
    return ndimage.distance_transform_edt(~edge, sampling=size).astype(np.float32)


def noisy_peaks(heights, **rule):
    noise = np.random.RandomState(seed=42).rand(*heights.shape) * 1e-4
    return peak_local_max(heights + noise, **rule)


def ordered(seeds):
    return np.array(sorted(map(tuple, seeds))).reshape(-1, 3)


def peaks(image, size=None, masks=()):
    edge = edges(image)
    for mask in masks:
        edge[mask] = True
    if edge.all():
        return []
    heights = distance(edge, size)
    for mask in masks:
        heights[mask] = -1
    if masks:
        heights[labels(image.shape) > 0] = -1
    heights[~np.isfinite(heights)] = -1
    return ordered(noisy_peaks(heights, min_distance=3, threshold_abs=0, threshold_rel=0))


def both_masks(shape):
    return [of_coordinates(text, shape) for text in (MASK, SEED_MASK)]


def of_planes(image, find):
    return [(z, y, x) for z, plane in enumerate(image) for y, x in find(plane, z)]


def peaks_2d(image, min_distance=7, threshold_abs=2.5, mask=None):
    def find(plane, z):
        edge = edges(plane)
        if mask is not None:
            edge[mask[z]] = True
        return noisy_peaks(distance(edge), min_distance=min_distance, threshold_abs=threshold_abs, threshold_rel=0)

    return ordered(of_planes(image, find))


def max_peaks(image, **rule):
    image = image.copy()
    for mask in [*both_masks(image.shape), labels(image.shape) > 0]:
        image[mask] = 0
    return ordered(noisy_peaks(image, **rule))


def image_peaks(image, distance_2d, distance_3d):
    seeds = peak_local_max(image, min_distance=distance_3d).tolist() if distance_3d >= 0 else []
    if distance_2d >= 0:
        seeds += of_planes(image, lambda plane, _: peak_local_max(plane, min_distance=distance_2d))
    return seeds


def disk_peaks(image, distance, threshold_rel, radius):
    rule = dict(min_distance=distance, p_norm=2, threshold_rel=threshold_rel, footprint=disk(radius))
    return of_planes(image, lambda plane, _: peak_local_max(plane, exclude_border=True, **rule))


def brightest(image):
    order = np.argsort(image.ravel(), kind="stable")[::-1]
    return np.transpose(np.unravel_index(order, image.shape))


def grid(shape, step, offsets, is_3d):
    seeds = []
    for offset in offsets:
        first = (offset if is_3d else 0, offset, offset)
        steps = (step if is_3d else 1, step, step)
        axes = [np.arange(a, b, c) for a, b, c in zip(first, shape, steps)]
        seeds += np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).tolist()
    return seeds


def dense(image, threshold, erosions, invert):
    mask = (image > threshold) != invert
    for _ in range(erosions):
        mask = ndimage.binary_erosion(mask, border_value=1)
    return np.argwhere(mask)


CASES = {
    "peaks": peaks,
    "peaks_sized": lambda image: peaks(image, VOXEL_SIZE),
    "peaks_masked": lambda image: peaks(image, None, both_masks(image.shape)),
    "peaks_2d": peaks_2d,
    "peaks_2d_masked": lambda image: peaks_2d(image, 2, 0.0, both_masks(image.shape)[0])[::-1],
    "fill": lambda image: ordered(
        noisy_peaks(distance(labels(image.shape) > 0), min_distance=2, threshold_abs=0.5, threshold_rel=0)
    ),
    "max": brightest,
    "max_peaks": lambda image: max_peaks(image, min_distance=3, threshold_abs=0, threshold_rel=0),
    "max_peaks_high": lambda image: max_peaks(image, min_distance=1, threshold_abs=-1, threshold_rel=0.25),
    "image_peaks": lambda image: image_peaks(image, 2, 4),
    "image_peaks_2d": lambda image: image_peaks(image, 0, -1),
    "disk_peaks": lambda image: disk_peaks(image, 3, 0.5, 1),
    "disk_peaks_wide": lambda image: disk_peaks(image, 1, 0.1, 3),
    "grid_3d": lambda image: grid(image.shape, 16, (0, 8, 4, 12, 2, 10, 14), True),
    "grid_2d": lambda image: grid(image.shape, 5, (3, 1), False),
    "dense": lambda image: dense(image, 0.5, 0, False),
    "dense_eroded": lambda image: dense(image, 0.25, 2, True),
}


def compare(folder):
    equal = 0
    for path in sorted(folder.glob("*.npy")):
        raw = np.load(path)
        image = (raw.astype(np.float32) - np.float32(128)) / np.float32(33)
        for case, policy in CASES.items():
            expected = np.asarray(policy(image)).reshape(-1, 3)
            inside = ((expected >= MARGIN) & (expected + MARGIN < raw.shape)).all(1)
            expected = expected[inside]
            lines = (folder / f"{path.name}.{case}.txt").read_text().splitlines()
            found = np.array([line.split() for line in lines], int).reshape(-1, 3)
            if not np.array_equal(found, expected):
                sys.exit(f"{path.name} {case}: expected {len(expected)} seeds, found {len(found)}")
            equal += 1
            if path.name != "even.npy":
                print(path.name, case, len(found), file=sys.stderr)
    print(equal, "equal")


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](pathlib.Path(sys.argv[2]))
