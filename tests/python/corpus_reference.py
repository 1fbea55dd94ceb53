"""Evaluates corpus skeletons in float64 with onnx's own evaluator: corpus_reference.py CORPUS FOLDER NAME...

For each name FOLDER/NAME gets model.onnx (refilled, float32), and inputs.onnx and tensors.onnx, whose initializers are
the inputs and all tensors that nodes compute.
"""

import math
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


class Erf(OpRun):
    """The package's own Erf rounds to float32."""

    op_domain = ""

    def _run(self, x):
        return (np.vectorize(math.erf, otypes=[np.float64])(x),)


class HardSwish(OpRun):
    """The package's own has a sixth that is rounded to float32."""

    op_domain = ""

    def _run(self, x):
        return (x * np.clip(x / 6 + 0.5, 0, 1),)


def doubled(tensor):
    if tensor.data_type == TensorProto.FLOAT:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def in_float64(model):
    """The model with float64 in place of float32, everywhere."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    graph = double.graph
    del graph.value_info[:]
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    for tensor in graph.initializer:
        doubled(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            doubled(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
    return double


def feeds(model, rng):
    weights = {t.name for t in model.graph.initializer}
    shape = lambda info: [d.dim_value or 2 for d in info.type.tensor_type.shape.dim]
    return {i.name: rng.standard_normal(shape(i)) for i in model.graph.input if i.name not in weights}


def save(values, path):
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]
    onnx.save(helper.make_model(helper.make_graph([], "values", [], [], initializer=tensors)), path)


def main():
    corpus, target, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    sys.path.insert(0, str(corpus))
    import skeleton

    for name in names:
        folder = target / name
        folder.mkdir(parents=True)
        source = str(corpus / "skeletons" / f"{name}.skel.xz")
        model = skeleton.fill(source, str(folder / "model.onnx"))
        inputs = feeds(model, np.random.default_rng(7))
        results = ReferenceEvaluator(in_float64(model), new_ops=[Erf, HardSwish]).run(None, inputs, intermediate=True)
        computed = {o for node in model.graph.node for o in node.output}
        save(inputs, folder / "inputs.onnx")
        save({k: v for k, v in results.items() if k in computed and v is not None}, folder / "tensors.onnx")


main()
