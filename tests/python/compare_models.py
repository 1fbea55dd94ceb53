"""Runs the models of two folders that have the same path in both, and prints how far apart their outputs are.

    compare_models.py ORIGINALS REWRITTEN PATH...

One line a path: the largest difference of an output over its largest value, and that value.
"""

import pathlib
import sys

import numpy
import onnx
import onnxruntime
from compare import is_consistent

onnxruntime.set_default_logger_severity(3)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main(originals, rewritten, *paths):
    for path in paths:
        files = [pathlib.Path(folder) / path for folder in (originals, rewritten)]
        onnx.checker.check_model(files[1], full_check=is_consistent(files[0]))
        sessions = [session(file) for file in files]
        rng = numpy.random.default_rng(0)
        feed = {
            value.name: rng.normal(size=[d if isinstance(d, int) else 3 for d in value.shape]).astype(numpy.float32) * 2
            for value in sessions[0].get_inputs()
        }
        before, after = (s.run(None, feed) for s in sessions)
        largest = min(numpy.abs(a).max() for a in before)
        error = max(numpy.abs(a - b).max() / numpy.abs(a).max() for a, b in zip(before, after, strict=True))
        print(path, error, largest)


if __name__ == "__main__":
    main(*sys.argv[1:])
