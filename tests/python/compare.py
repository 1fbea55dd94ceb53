"""Checks and runs pairs of models: `compare.py BEFORE AFTER [BEFORE AFTER ...]`.

Every model must pass `onnx.checker` with full shape inference. Both of a pair are run in ONNX Runtime without
optimisations on the same seeded inputs. For each pair one line is printed: the largest difference of any output over the
largest value of that output.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

FREE = 2  # what a free dimension becomes
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def is_consistent(path):
    """False where an exporter says of shapes what contradicts the graph: what it says of tensors that stay, stays."""
    try:
        onnx.checker.check_model(path, full_check=True)
    except onnx.shape_inference.InferenceError:
        return False
    return True


def main():
    ort.set_default_logger_severity(3)
    paths = sys.argv[1:]
    for before, after in zip(paths[::2], paths[1::2], strict=True):
        for path in (before, after):
            onnx.checker.check_model(path, full_check=is_consistent(before))
        print(f"{Path(before).name} {distance(before, after):.3e}")


def distance(before, after):
    a, b = session(before), session(after)
    describe = lambda values: [(v.name, v.type, v.shape) for v in values]
    for one, other in ((a.get_inputs(), b.get_inputs()), (a.get_outputs(), b.get_outputs())):
        assert describe(one) == describe(other), f"{describe(one)} became {describe(other)}"
    rng = np.random.default_rng(7)
    worst = 0.0
    for scale in (1.0, 100.0):
        feed = {i.name: scale * rng.standard_normal(shape(i)) for i in a.get_inputs()}
        feed = {i.name: np.asarray(feed[i.name], TYPES[i.type]) for i in a.get_inputs()}
        for x, y in zip(a.run(None, feed), b.run(None, feed), strict=True):
            largest = np.abs(x).max()
            assert x.shape == y.shape and x.dtype == y.dtype and largest > 1e-6, "no evidence"
            difference = np.abs(x.astype(np.float64) - y).max() / largest
            worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst


def session(path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def shape(value):
    return [d if isinstance(d, int) else FREE for d in value.shape]


if __name__ == "__main__":
    main()
