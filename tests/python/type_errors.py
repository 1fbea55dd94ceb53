"""Writes models with and without wrong element types, and says what ONNX Runtime makes of each: type_errors.py FOLDER.

The models are the node tests of the `onnx` package, as they are and with the type of one input, output or weight changed. Printed is
one line for each: `ok` or `refused` for an error of types, and the file. Models that are refused for another reason are left out.
"""

import random
import shutil
import sys
import warnings
from pathlib import Path

import onnx
import onnxruntime as ort
from onnx import TensorProto
from onnx.backend.test.case.node import collect_testcases

OTHERS = [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL]
TYPE_ERRORS = ("Type Error", "bound to different types", "does not match expected type", "Mismatched tensor element type",
               "elem type differs", "has element type", "TypeInferenceError")
NEWEST = 23  # of the operator sets that this runtime knows for sure


def verdict(model):
    try:
        ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return "ok"
    except Exception as error:
        text = str(error)
        if any(t in text for t in TYPE_ERRORS):
            return "refused"
        # The types are right where only the kernel is missing.
        return "ok" if "NOT_IMPLEMENTED" in text else None


def spoilt(model, rng):
    """A copy with one type changed."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    values = [v for v in (*graph.input, *graph.output) if v.type.HasField("tensor_type")]
    if not values:
        return model
    value = rng.choice(values).type.tensor_type
    value.elem_type = rng.choice([t for t in OTHERS if t != value.elem_type])
    return model


def main():
    ort.set_default_logger_severity(4)
    warnings.simplefilter("ignore")
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    rng = random.Random(5)
    for case in collect_testcases(None):
        imports = {o.domain: o.version for o in case.model.opset_import}
        if imports.get("", 0) > NEWEST or any(n.domain for n in case.model.graph.node):
            continue
        models = [("", case.model), ("_1", spoilt(case.model, rng)), ("_2", spoilt(case.model, rng))]
        for suffix, model in models:
            found = verdict(model)
            if found:
                path = target / f"{case.name}{suffix}.onnx"
                onnx.save(model, path)
                print(found, path)


main()
