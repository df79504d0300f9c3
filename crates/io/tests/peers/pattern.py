"""The volume that the Rust tests compute voxel by voxel (tests/tests/pattern.rs)."""

import numpy


def pattern(shape, dtype):
    """Values of a volume of shape (c, z, y, x)."""
    c, z, y, x = numpy.indices(shape)
    return ((((c * 13 + z) * 17 + y) * 19 + x) % 251 % 127).astype(dtype)
