"""Lists models and tensors of the `onnx` package, one `kind path` a line, where kind is `model` or `tensor`.

These are the files of its backend tests, and the models of its node tests, which exist only as code: they are written
into the folder given.
"""

import sys
import warnings
from pathlib import Path

import onnx
from onnx.backend.test.case.node import collect_testcases


def main():
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for path in sorted(data.rglob("*.onnx")):
        print("model", path)
        print_tensors(path)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for case in collect_testcases(None):
        path = folder / f"{case.name}.onnx"
        path.write_bytes(case.model.SerializeToString())
        print("model", path)


def print_tensors(model_path):
    """The data files beside a model whose value is a tensor by the model's own types."""
    graph = onnx.load(model_path, load_external_data=False).graph
    weights = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in weights]
    for kind, values in (("input", inputs), ("output", graph.output)):
        for index, value in enumerate(values):
            if value.type.WhichOneof("value") == "tensor_type":
                for path in sorted(model_path.parent.glob(f"test_data_set_*/{kind}_{index}.pb")):
                    print("tensor", path)


main()
