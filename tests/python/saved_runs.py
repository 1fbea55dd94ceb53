"""Runs a model in ONNX Runtime on saved inputs: `saved_runs.py MODEL INPUTS OUTPUTS`. Its outputs must be those that were saved, to the
last bits; prints a line a run."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper


def read(path):
    tensor = onnx.TensorProto.FromString(path.read_bytes())
    return tensor.name, numpy_helper.to_array(tensor)


def main():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    for folder in sorted(Path(sys.argv[2]).iterdir()):
        feed = dict(read(path) for path in sorted(folder.iterdir()))
        saved = [read(path) for path in sorted((Path(sys.argv[3]) / folder.name).iterdir())]
        names = [name for name, _ in saved]
        for (name, value), found in zip(saved, session.run(names, feed), strict=True):
            assert value.dtype == found.dtype, (name, value.dtype, found.dtype)
            assert np.allclose(value, found, rtol=1e-6, atol=1e-6 * np.abs(found).max()), (folder.name, name)
        print(folder.name, len(saved))


if __name__ == "__main__":
    main()
