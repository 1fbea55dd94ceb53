"""Writes the node tests of the `onnx` package as files: node_tests.py FOLDER.

Each test becomes FOLDER/NAME/model.onnx with input_K.pb and output_K.pb beside it (TensorProto). A test with a
value that is no tensor (sequence, optional, map) gets a file `no_tensor` instead of its values.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def tensor(value, info):
    if isinstance(value, onnx.TensorProto):
        return value
    if info.type.WhichOneof("value") != "tensor_type" or not isinstance(value, (np.ndarray, np.generic)):
        return None
    return numpy_helper.from_array(np.asarray(value), info.name)


def write(case, folder):
    folder.mkdir(parents=True, exist_ok=True)
    graph = case.model.graph
    onnx.save(case.model, folder / "model.onnx")
    inputs, outputs = case.data_sets[0]
    for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
        for k, (value, info) in enumerate(zip(values, infos, strict=True)):
            t = tensor(value, info)
            if t is None:
                (folder / "no_tensor").touch()
            else:
                (folder / f"{kind}_{k}.pb").write_bytes(t.SerializeToString())


def main():
    target = pathlib.Path(sys.argv[1])
    # Some of the package's tests draw from numpy's global generator.
    np.random.seed(0)
    for case in collect_testcases(None):
        write(case, target / case.name)
    (target / "complete").touch()


main()
