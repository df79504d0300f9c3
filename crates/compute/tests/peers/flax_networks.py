"""Networks made and run by flax itself, for `tests/flax.rs`.

    python3 -m venv flax && flax/bin/pip install -r flax-requirements.txt
    flax/bin/python flax_networks.py golden ../golden        # the files that are in the repository
    flax/bin/python flax_networks.py one large --fov 33 --depth 12 --features 32 --time

For each network `NAME.msgpack` (flax.serialization), and the input and output of one step:
`NAME.image.npy` [channel, z, y, x], `NAME.seed.npy` and `NAME.logits.npy` [z, y, x].
"""

import argparse
import pathlib
import time

import flax.linen as nn
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Network(nn.Module):
    """Convolutions before, residual modules of convolutions, one convolution to a logit."""

    features: tuple
    depth: int
    num_convs: int = 2
    layer_norm: bool = True
    padding: str = "same"
    kernel: tuple = (3, 3, 3)

    @nn.compact
    def __call__(self, x):
        widths = iter(self.features)

        def convolve(name, x):
            return nn.Conv(next(widths), self.kernel, padding=self.padding, name=name)(x)

        def norm(x):
            return nn.LayerNorm()(x) if self.layer_norm else x

        x = norm(convolve("pre_a", x))
        for letter in LETTERS[1 : self.num_convs]:
            x = convolve("pre_" + letter, nn.relu(x))
        for module in range(self.depth):
            inner = norm(x)
            for letter in LETTERS[: self.num_convs]:
                inner = convolve(f"res{module}{letter}", nn.relu(inner))
            x = inner + middle(x, inner.shape[1:4])
        return nn.Conv(1, (1, 1, 1), name="output")(nn.relu(norm(x)))


def middle(x, shape):
    starts = [(size - kept) // 2 for size, kept in zip(x.shape[1:4], shape)]
    box = tuple(slice(start, start + kept) for start, kept in zip(starts, shape))
    return x[(slice(None), *box)]


def shaken(parameters, key):
    """Biases and scales as after a training: flax starts with zeros and ones."""
    leaves, tree = jax.tree_util.tree_flatten(parameters)
    keys = jax.random.split(key, len(leaves))
    moved = [leaf + 0.1 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
    return jax.tree_util.tree_unflatten(tree, moved)


def save_step(folder, name, network, fov, additive, channels, seed=0, timed=False):
    image_key, seed_key, init_key, shake_key = jax.random.split(jax.random.PRNGKey(seed), 4)
    image = jax.random.normal(image_key, (1, *fov, channels))
    logits = 3 * jax.random.normal(seed_key, (1, *fov, 1))
    x = jnp.concatenate([image, logits], axis=-1)
    variables = network.init(init_key, x)
    parameters = shaken(variables["params"], shake_key)
    step = jax.jit(lambda x: network.apply({"params": parameters}, x))
    out = step(x)
    if additive:
        out = out + middle(logits, out.shape[1:4])
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.image.npy", np.moveaxis(np.asarray(image[0]), -1, 0))
    np.save(folder / f"{name}.seed.npy", np.asarray(logits[0, ..., 0]))
    np.save(folder / f"{name}.logits.npy", np.asarray(out[0, ..., 0]))
    if timed:
        started = time.perf_counter()
        for _ in range(10):
            step(x).block_until_ready()
        print(f"{(time.perf_counter() - started) * 100:.1f} ms a step")
    return parameters


def write(folder, name, tree):
    (folder / f"{name}.msgpack").write_bytes(flax.serialization.to_bytes(tree))


def state(parameters):
    """A training state, as clu and flax keep them: averages and an optimizer beside the parameters."""
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    return {
        "step": 2116,
        "opt_state": {"0": {"count": np.int32(7), "mu": zeros, "nu": zeros}},
        "ema_params": jax.tree_util.tree_map(lambda p: p + 1, parameters),
        "params": parameters,
    }


def golden(folder):
    """Small networks of every kind; some KiB each."""
    plain = Network(features=(4,) * 6, depth=2)
    write(folder, "plain", save_step(folder, "plain", plain, (7, 9, 5), False, 1))
    bare = Network(features=(4,) * 6, depth=2, layer_norm=False)
    parameters = save_step(folder, "bare", bare, (5, 5, 7), True, 1, seed=1)
    half = jax.tree_util.tree_map(lambda p: p.astype(jnp.bfloat16), parameters)
    write(folder, "bare", {"params": parameters})
    write(folder, "bare.bfloat16", half)
    valid = Network(features=(4,) * 4, depth=1, padding="valid")
    write(folder, "valid", state(save_step(folder, "valid", valid, (11, 9, 11), True, 1, seed=2)))
    widths = Network(features=(3, 5, 6, 5, 2, 5), depth=2)
    parameters = save_step(folder, "widths", widths, (5, 7, 5), False, 2, seed=3)
    numbered = {f"{n}:{k}" if k[0] != "L" else k: v for n, (k, v) in enumerate(parameters.items())}
    write(folder, "widths", {"optimizer": {"target": {"params": numbered}}})
    three = Network(features=(4,) * 6, depth=1, num_convs=3, padding="valid", kernel=(1, 3, 3))
    parameters = save_step(folder, "three", three, (3, 15, 15), False, 1, seed=4)
    # Pieces of 64 bytes: flax cuts arrays of 2^30 bytes in the same way.
    flax.serialization.MAX_CHUNK_SIZE = 64
    write(folder, "three", parameters)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    commands = arguments.add_subparsers(dest="command", required=True)
    commands.add_parser("golden").add_argument("folder", type=pathlib.Path)
    one = commands.add_parser("one")
    one.add_argument("folder", type=pathlib.Path)
    for name in ("fov", "depth", "features"):
        one.add_argument("--" + name, type=int, required=True)
    one.add_argument("--time", action="store_true")
    given = arguments.parse_args()
    if given.command == "golden":
        return golden(given.folder)
    network = Network(features=(given.features,) * (2 * given.depth + 2), depth=given.depth)
    fov = (given.fov,) * 3
    write(given.folder, "one", save_step(given.folder, "one", network, fov, False, 1, timed=given.time))


if __name__ == "__main__":
    main()
