"""Writes the backend tests of the `onnx` package as files: node_tests.py FOLDER.

Each test becomes FOLDER/NAME/model.onnx with input_K.pb and output_K.pb beside it. The node tests exist only as code
in the package; those that it ships as files are copied.
"""

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def content(value, name):
    if isinstance(value, onnx.TensorProto):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return numpy_helper.from_array(np.asarray(value), name)
    # A sequence or an optional value: an empty file, which no one should read.
    return None


def write(case, folder):
    folder.mkdir(parents=True)
    onnx.save(case.model, folder / "model.onnx")
    graph = case.model.graph
    inputs, outputs = case.data_sets[0]
    for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
        for k, (value, info) in enumerate(zip(values, infos, strict=True)):
            tensor = content(value, info.name)
            (folder / f"{kind}_{k}.pb").write_bytes(tensor.SerializeToString() if tensor else b"")


def copy(model, folder):
    values = sorted((model.parent / "test_data_set_0").glob("*.pb"))
    if values:
        folder.mkdir(parents=True)
        for path in [model, *values]:
            shutil.copy(path, folder)


def main():
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    warnings.simplefilter("ignore")
    # Some of the tests draw from numpy's global generator.
    np.random.seed(0)
    for case in collect_testcases(None):
        write(case, target / case.name)
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for model in sorted(data.glob("*/*/model.onnx")):
        copy(model, target / f"{model.parent.parent.name}.{model.parent.name}")


main()
