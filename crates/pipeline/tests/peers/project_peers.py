"""NumPy's projections of small stacks: `make DIR` writes stacks, `compare DIR` checks projections.

A projection of STACK.npy is STACK.npy.KIND.AXIS.npy, with 1 voxel on its axis.
"""

import pathlib
import sys

import numpy as np

AXES = {"z": 0, "y": 1, "x": 2}


def make(folder):
    random = np.random.default_rng(7)
    shapes = [(7, 33, 65), (6, 1, 129), (1, 5, 3), (70, 9, 11)]
    for dtype in ["uint8", "uint16", "int16", "int32", "uint32", "float32"]:
        for number, shape in enumerate(shapes):
            if dtype == "float32":
                stack = random.normal(100, 50, shape).astype(dtype)
                stack[random.random(shape) < 0.01] = np.nan
                stack[random.random(shape) < 0.01] = np.inf
            else:
                limits = np.iinfo(dtype)
                stack = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
            name = f"{dtype}_{number}.npy"
            np.save(folder / name, stack)
            print(name)


def project(stack, kind, axis):
    integer = stack.dtype.kind != "f"
    if kind == "median":
        return np.median(stack, axis).astype(stack.dtype)
    if kind == "argmax":
        return np.argmax(stack, axis).astype(np.uint16)
    if kind in ("mean", "std", "variance"):
        return getattr(np, {"variance": "var"}.get(kind, kind))(stack, axis, dtype=np.float64).astype(np.float32)
    if kind == "sum" and not integer:
        return np.sum(stack, axis, dtype=np.float64)
    return getattr(np, kind)(stack, axis)


def equal(found, expected, exact):
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    if exact:
        return np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
    # Sums of floats depend on their order.
    rounding = 4 * np.finfo(expected.dtype).eps
    return np.allclose(found, expected, rtol=rounding, atol=0, equal_nan=True)


def compare(folder):
    count = 0
    for path in sorted(folder.glob("*.npy.*.npy")):
        stack_name, kind, axis, _ = path.name.replace(".npy.", "/", 1).replace("/", ".").rsplit(".", 3)
        stack = np.load(folder / f"{stack_name}.npy")
        axis = AXES[axis]
        expected = np.expand_dims(project(stack, kind, axis), axis)
        exact = stack.dtype.kind != "f" or kind not in ("mean", "std", "variance", "sum")
        if not equal(np.load(path), expected, exact):
            sys.exit(f"{path.name} differs from NumPy")
        count += 1
    print(count, "equal")


if __name__ == "__main__":
    np.seterr(invalid="ignore")
    {"make": make, "compare": compare}[sys.argv[1]](pathlib.Path(sys.argv[2]))
