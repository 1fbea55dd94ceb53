"""Runs the models of two folders that have the same path in both, at several sizes, and prints how far apart they are.

    compare_sizes.py ORIGINALS REWRITTEN PATH=SIZE,SIZE...

Free sizes are 2 for the batch, which is the first axis, and SIZE for every other. One line a path and size: the path, the
size, and either the largest difference of an output over its largest value (at least FLOOR) and that value, or which of the
two does not run. Tabs stand between.
"""

import pathlib
import sys

import numpy
import onnxruntime

onnxruntime.set_default_logger_severity(4)

BATCH = 2
FLOOR = 0.25


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # What ONNX Runtime reuses by shapes that it inferred would hide a size that is wrong.
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def attempt(what, *arguments):
    try:
        return what(*arguments), None
    except Exception as error:  # ONNX Runtime raises types of its own
        return None, " ".join(str(error).split())


def values(inputs, size, rng):
    def shape(value):
        return [d if isinstance(d, int) else (BATCH if axis == 0 else size) for axis, d in enumerate(value.shape)]

    return {value.name: rng.normal(size=shape(value)).astype(numpy.float32) * 2 for value in inputs}


def distance(a, b):
    if a.shape != b.shape:
        return numpy.inf
    same = (a == b) | (numpy.isnan(a) & numpy.isnan(b))
    off = numpy.abs(numpy.where(same, 0, a - b))
    largest = numpy.abs(numpy.where(numpy.isfinite(a), a, 0)).max(initial=FLOOR)
    return numpy.where(numpy.isnan(off), numpy.inf, off).max(initial=0) / largest


def compare(sessions, size):
    rng = numpy.random.default_rng(size)
    (original, broken), (rewritten, spoilt) = sessions
    before = after = None
    if original:
        feed = values(original.get_inputs(), size, rng)
        before, broken = attempt(original.run, None, feed)
        if rewritten:
            after, spoilt = attempt(rewritten.run, None, feed)
    if broken and spoilt:
        return ["neither runs"]
    if broken:
        return ["only the rewritten model runs", broken]
    if spoilt:
        return ["only the original runs", spoilt]
    error = max(distance(a, b) for a, b in zip(before, after, strict=True))
    return [error, max(numpy.abs(a).max(initial=0) for a in before)]


def main(originals, rewritten, *paths):
    for argument in paths:
        path, sizes = argument.split("=")
        sessions = [attempt(session, pathlib.Path(folder) / path) for folder in (originals, rewritten)]
        for size in map(int, sizes.split(",")):
            print(path, size, *compare(sessions, size), sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
