"""Measures the rates of src/plan/latency.rs: what single operators cost in ONNX Runtime on one thread.

    python benches/latency.py

Prints one line an operator: nanoseconds for a multiply-accumulate, for a weight, and for an element read or written. Dense convolutions
at 56x56 give the rate of a multiply-accumulate in whole blocks, groups of 4 and 8 that of one in smaller groups, small maps those
of a weight, a group and an operator. A convolution is measured as what two more of it add to a chain, so that the
layout in which the runtime computes is the same in front of it and behind.
"""

import statistics
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)
SIDES = (56, 28, 14, 7, 2)


def main():
    print(f"ONNX Runtime {ort.__version__}")
    for side in SIDES:
        for channels in (64, 256):
            for kernel in (1, 3):
                for width in (channels, 32, 16, 8, 4, 1):
                    convolution(channels, kernel, channels // width, side)
        for source, count in ((64, 512), (320, 320)):
            selection(source, count, side)
        for operator in ("Relu", "PRelu", "Max"):
            elementwise(operator, 256, side)


def convolution(channels, kernel, group, side):
    chain = lambda n: seconds(convolutions(channels, kernel, group, n), channels, side)
    taken = (chain(3) - chain(1)) / 2 * 1e9
    weights = channels // group * channels * kernel**2
    rates = [taken / (weights * side**2), taken / weights, taken / (2 * channels * side**2)]
    report(f"Conv {kernel}x{kernel} {channels} channels, {group} groups", side, taken, rates)


def selection(source, count, side):
    index = numpy_helper.from_array((RNG.permutation(count) % source).astype(np.int64), "index")
    node = helper.make_node("Gather", ["x", "index"], ["y"], axis=1)
    taken = seconds(([node], [index]), source, side) * 1e9
    report(f"Gather {count} of {source} channels", side, taken, [None, None, taken / (count * side**2)])


def elementwise(operator, channels, side):
    second = numpy_helper.from_array(np.zeros((channels, 1, 1), np.float32), "second")
    node = helper.make_node(operator, ["x"] if operator == "Relu" else ["x", "second"], ["y"])
    taken = seconds(([node], [second]), channels, side) * 1e9
    report(f"{operator} {channels} channels", side, taken, [None, None, taken / (2 * channels * side**2)])


def convolutions(channels, kernel, group, count):
    nodes, weights, x = [], [], "x"
    for i in range(count):
        shape = (channels, channels // group, kernel, kernel)
        weights.append(numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), f"w{i}"))
        window = dict(group=group, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)
        nodes.append(helper.make_node("Conv", [x, f"w{i}"], [f"c{i}"], **window))
        nodes.append(helper.make_node("Relu", [f"c{i}"], ["y" if i + 1 == count else f"r{i}"]))
        x = f"r{i}"
    return nodes, weights


def seconds(graph, channels, side):
    """CPU time of one run of `graph`, the median of nine samples of 4 ms or more."""
    nodes, constants = graph
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [value("x", [1, channels, side, side])], [value("y", None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x": np.abs(RNG.standard_normal((1, channels, side, side))).astype(np.float32)}
    session.run(None, feed)
    times = max(1, int(0.004 / max(sample(session, feed, 1), 1e-6)))
    return statistics.median(sample(session, feed, times) for _ in range(9))


def sample(session, feed, times):
    start = time.thread_time()
    for _ in range(times):
        session.run(None, feed)
    return (time.thread_time() - start) / times


def report(what, side, taken, rates):
    names = ("a MAC", "a weight", "an element")
    words = "  ".join(f"{rate:9.4f} {name}" for rate, name in zip(rates, names, strict=True) if rate is not None)
    print(f"{what:36} {side:2}x{side:<2} {taken / 1e3:9.1f} us  ns: {words}", flush=True)


if __name__ == "__main__":
    main()
