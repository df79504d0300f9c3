"""What people run today instead of exavox: projection, flood fill, components and one FFN step.

    python benches/peers/compute.py GROUP CASE FOLDER --threads N --seconds S --runs R

`exavox bench --peers PYTHON` runs it, for each case, on the inputs that exavox has written to FOLDER as
.npy. Each program runs in a process of its own, once before the runs that count; each prints one line
of JSON: implementation, threads, seconds of each run, cpu_seconds of all, peak_memory_bytes (from the
moment when the inputs were read), answer (what right outputs agree in), or the reason why it did not run.
Outputs are allocated in the timed call. Versions: compute-requirements.txt.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np


def weighted_sum(outputs):
    """The sum of all values, each times 1 to 251 by its place."""
    total = 0.0
    for output in outputs:
        values = np.asarray(output).ravel()
        total += float(values.astype(np.float64) @ (np.arange(values.size) % 251 + 1))
    return total


def highest(outputs):
    return float(max(np.asarray(output).max() for output in outputs))


class Case:
    """A case of a group with its inputs."""

    def __init__(self, name, folder, threads):
        self.name, self.folder, self.threads = name, folder, threads

    def input(self, name):
        return np.load(os.path.join(self.folder, f"{name}.npy"))

    def channels(self):
        names = sorted(f for f in os.listdir(self.folder) if f.startswith("channel") and "max" not in f)
        return [np.load(os.path.join(self.folder, name)) for name in names]


# Each of these imports its program, reads the inputs and returns (name with version, threads, run).


def projection_numpy(case):
    channels = case.channels()
    return f"numpy {np.__version__}", 1, lambda: [c.max(0) for c in channels]


def projection_jax(case):
    jax, jnp = jax_cpu()
    channels = [jnp.asarray(c) for c in case.channels()]
    maximum = jax.jit(lambda c: jnp.max(c, axis=0))
    run = lambda: [maximum(c).block_until_ready() for c in channels]
    return f"jax {jax.__version__}", None, run


def projection_dask(case):
    import dask
    import dask.array

    dask.config.set(scheduler="threads", num_workers=case.threads)
    channels = [dask.array.from_array(c, chunks=(-1, 512, 512)) for c in case.channels()]
    return f"dask {dask.__version__}", case.threads, lambda: [c.max(0).compute() for c in channels]


def flood_scikit_image(case):
    import skimage
    from skimage.segmentation import flood

    mask, seed = case.input("image") >= 128, tuple(int(v) for v in case.input("seed").ravel())
    return f"scikit-image {skimage.__version__}", 1, lambda: [flood(mask, seed, connectivity=1)]


def flood_simpleitk(case):
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(case.threads)
    image = sitk.GetImageFromArray(case.input("image"))
    seed = [int(v) for v in case.input("seed").ravel()[::-1]]

    def run():
        return [sitk.ConnectedThreshold(image, [seed], lower=128, upper=255)]

    return f"SimpleITK {sitk.Version().VersionString()}", case.threads, run


def neighbours(case):
    return 26 if case.name.endswith("26") else 6


def components_cc3d(case):
    import importlib.metadata

    import cc3d

    voxels, connectivity = case.input("voxels"), neighbours(case)
    name = f"cc3d {importlib.metadata.version('connected-components-3d')}"
    return name, 1, lambda: [cc3d.connected_components(voxels, connectivity=connectivity)]


def components_scipy(case):
    import scipy
    from scipy import ndimage

    if case.name.startswith("labels"):
        raise ValueError("scipy.ndimage.label takes masks only")
    mask = case.input("voxels")
    around = ndimage.generate_binary_structure(3, 3 if neighbours(case) == 26 else 1)
    return f"scipy {scipy.__version__}", 1, lambda: [ndimage.label(mask, around)[0]]


def distance_edt(case):
    import importlib.metadata

    import edt

    # With a bool array edt is two times slower.
    mask = case.input("mask")
    name = f"edt {importlib.metadata.version('edt')}"
    return name, case.threads, lambda: [edt.edt(mask, parallel=case.threads)]


def gaussian_scipy(case):
    import scipy
    from scipy import ndimage

    image = case.input("image")
    return f"scipy {scipy.__version__}", 1, lambda: [ndimage.gaussian_filter(image, 8.17)]


def layers(case):
    """Weights of all layers: [taps z, y, x, channels in, channels out]."""
    weights = []
    while os.path.exists(os.path.join(case.folder, f"layer{len(weights)}.npy")):
        taps, channels_in, channels_out = (layer := case.input(f"layer{len(weights)}")).shape
        edge = round(taps ** (1 / 3))
        weights.append(layer.reshape(edge, edge, edge, channels_in, channels_out))
    return weights


def field_of_view(case):
    """Image and seed as [1, z, y, x, 2]."""
    return np.stack([case.input("image"), case.input("seed")], axis=-1)[None].astype(np.float32)


def network(x, weights, convolve, relu):
    """google/ffn's residual stack: the new logits without the seed."""
    x = convolve(relu(convolve(x, weights[0])), weights[1])
    for a, b in zip(weights[2:-1:2], weights[3:-1:2]):
        x = x + convolve(relu(convolve(relu(x), a)), b)
    return convolve(relu(x), weights[-1])


def ffn_tensorflow(case):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(case.threads)
    weights = [tf.constant(w) for w in layers(case)]
    seed = case.input("seed")
    convolve = lambda x, w: tf.nn.conv3d(x, w, [1] * 5, "SAME")
    step = tf.function(lambda x: network(x, weights, convolve, tf.nn.relu))
    x = tf.constant(field_of_view(case))
    return f"tensorflow {tf.__version__}", case.threads, lambda: [step(x).numpy()[0, ..., 0] + seed]


def ffn_jax(case):
    jax, jnp = jax_cpu()
    weights, seed = [jnp.asarray(w) for w in layers(case)], case.input("seed")
    axes = ("NDHWC", "DHWIO", "NDHWC")
    convolve = lambda x, w: jax.lax.conv_general_dilated(x, w, (1,) * 3, "SAME", dimension_numbers=axes)
    step = jax.jit(lambda x: network(x, weights, convolve, jax.nn.relu))
    x = jnp.asarray(field_of_view(case))
    return f"jax {jax.__version__}", None, lambda: [np.asarray(step(x))[0, ..., 0] + seed]


def onnx_file(case):
    """The network as an ONNX file, channels first."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors = [], []

    def convolve(x, weights):
        name = f"t{len(nodes)}"
        tensors.append(numpy_helper.from_array(weights.transpose(4, 3, 0, 1, 2).copy(), f"{name}_w"))
        edge = weights.shape[0]
        shape = {"kernel_shape": [edge] * 3, "pads": [edge // 2] * 6}
        nodes.append(helper.make_node("Conv", [x.name, f"{name}_w"], [name], **shape))
        return Value(name)

    def relu(x):
        nodes.append(helper.make_node("Relu", [x.name], [f"t{len(nodes)}"]))
        return Value(nodes[-1].output[0])

    class Value:
        def __init__(self, name):
            self.name = name

        def __add__(self, other):
            nodes.append(helper.make_node("Add", [self.name, other.name], [f"t{len(nodes)}"]))
            return Value(nodes[-1].output[0])

    result = network(Value("x"), layers(case), convolve, relu)
    shape = list(case.input("image").shape)
    info = lambda name, channels: helper.make_tensor_value_info(
        name, TensorProto.FLOAT, [1, channels, *shape]
    )
    graph = helper.make_graph(nodes, "ffn", [info("x", 2)], [info(result.name, 1)], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = os.path.join(case.folder, f"ffn-{os.getpid()}.onnx")
    onnx.save(model, path)
    return path


def channels_first(case):
    return np.ascontiguousarray(field_of_view(case).transpose(0, 4, 1, 2, 3))


def ffn_onnxruntime(case):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(onnx_file(case), options, providers=providers)
    x, seed = channels_first(case), case.input("seed")
    run = lambda: [session.run(None, {"x": x})[0][0, 0] + seed]
    return f"onnxruntime {onnxruntime.__version__}", case.threads, run


def openvino(case, precision):
    import openvino as ov

    hints = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": case.threads,
    }
    request = ov.Core().compile_model(onnx_file(case), "CPU", hints).create_infer_request()
    x, seed = channels_first(case), case.input("seed")
    version = ov.__version__.split("-")[0]
    run = lambda: [next(iter(request.infer({"x": x}).values()))[0, 0] + seed]
    return f"openvino {precision} {version}", case.threads, run


def ffn_openvino_f32(case):
    return openvino(case, "f32")


def ffn_openvino_bf16(case):
    return openvino(case, "bf16")


def jax_cpu():
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp

    return jax, jnp


GROUPS = {
    "projection": [projection_numpy, projection_jax, projection_dask],
    "flood": [flood_scikit_image, flood_simpleitk],
    "components": [components_cc3d, components_scipy],
    "distance": [distance_edt],
    "gaussian": [gaussian_scipy],
    "ffn": [ffn_tensorflow, ffn_openvino_f32, ffn_openvino_bf16, ffn_onnxruntime, ffn_jax],
}


def forget_peak_memory():
    """Makes the peak of this process' memory what it holds now, where Linux allows it."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak_memory_bytes():
    try:
        with open("/proc/self/status") as file:
            lines = [line for line in file if line.startswith("VmHWM:")]
    except OSError:
        return None
    return int(lines[0].split()[1]) * 1024 if lines else None


def as_arrays(outputs):
    """Outputs as NumPy sees them; SimpleITK's images are none by themselves."""
    if type(outputs[0]).__module__.startswith("SimpleITK"):
        import SimpleITK as sitk

        return [sitk.GetArrayViewFromImage(output) for output in outputs]
    return outputs


def measure(function, arguments):
    """One row, in this process."""
    case = Case(arguments.case, arguments.folder, arguments.threads)
    name, threads, run = function(case)
    forget_peak_memory()
    started = time.perf_counter()
    outputs = run()
    first = time.perf_counter() - started
    peak = peak_memory_bytes()
    answer = (highest if arguments.group == "components" else weighted_sum)(as_arrays(outputs))
    del outputs
    seconds, started, cpu = [], time.perf_counter(), time.process_time()
    while (
        first < arguments.seconds
        and len(seconds) < arguments.runs
        and time.perf_counter() - started < arguments.seconds
    ):
        began = time.perf_counter()
        outputs = run()
        seconds.append(time.perf_counter() - began)
        del outputs
    return {
        "implementation": name,
        "threads": threads,
        "seconds": seconds or [first],
        "cpu_seconds": time.process_time() - cpu if seconds else None,
        "peak_memory_bytes": peak,
        "answer": answer,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", choices=sorted(GROUPS))
    parser.add_argument("case")
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--only", help="measure this one, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        functions = {f.__name__: f for f in GROUPS[arguments.group]}
        print(json.dumps(measure(functions[arguments.only], arguments)))
        return
    for function in GROUPS[arguments.group]:
        command = [sys.executable, *sys.argv, "--only", function.__name__]
        done = subprocess.run(command, capture_output=True, text=True)
        line = done.stdout.strip().splitlines()[-1:] if done.returncode == 0 else []
        errors = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        name = function.__name__.split("_", 1)[1].replace("_", " ")
        refused = {"implementation": name, "threads": None, "reason": errors[-1]}
        print(line[0] if line else json.dumps(refused), flush=True)


if __name__ == "__main__":
    main()
