"""What other tools make of a network at a share of its multiply-accumulates, without training; `pruning.py --others` runs this.

    python pruning_others.py MODEL SHARE CALIBRATION.npy TEST.npz

So far that is onnxsim's structured pruning. All settings are tried, each at the smallest cut that keeps to the share, and what each gets
right of the test images is written as JSON: which is best is for the reader to say. Its interpreter needs onnxsim and onnxruntime.
"""

import importlib.metadata
import itertools
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort

# How closely a cut is searched for.
STEPS = 12


def main():
    path, share, calibration, test = sys.argv[1:]
    model = simplified(onnx.load(path))
    test = np.load(test)
    found = {}
    for name, cut in onnxsim(model, np.load(calibration)):
        try:
            pruned = largest(cut, count(model) * float(share))
            found[name] = pruned and {"top1": top1(pruned, test), "macs": count(pruned) / count(model)}
        except Exception as error:  # Whatever a tool raises is what became of that setting.
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(name, found[name], file=sys.stderr, flush=True)
    json.dump({"version": importlib.metadata.version("onnxsim"), "settings": found}, sys.stdout)


def largest(cut, most):
    """The least cut that leaves at most `most` multiply-accumulates, or None; by bisection, for more never leaves more."""
    low, high, best = 0.0, 1.0, None
    for _ in range(STEPS):
        middle = (low + high) / 2
        pruned = cut(middle)
        if count(pruned) <= most:
            high, best = middle, pruned
        else:
            low = middle
    return best


def onnxsim(model, calibration):
    from onnxsim import pruning

    name = model.graph.input[0].name
    data = [{name: calibration[i : i + 1]} for i in range(128)]
    for norm, everywhere in itertools.product(("l1", "l2"), (False, True)):
        options = {"importance_norm": norm, "global_sparsity": everywhere}
        words = f"{norm}, {'global' if everywhere else 'uniform'}"
        yield f"magnitude, {words}", lambda s, o=options: pruning.apply_structured_pruning(model, sparsity=s, **o)
        yield f"wanda, {words}", lambda s, o=options: pruning.apply_structured_wanda_pruning(model, data, sparsity=s, **o)


def simplified(model):
    """Constants folded, BatchNormalization in its convolution, and one image at a time."""
    import onnxsim as tool

    return tool.simplify(model, overwrite_input_shapes={model.graph.input[0].name: [1, *shape(model)[1:]]})[0]


def shape(model):
    return [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]


def inferred(model):
    model = onnx.ModelProto.FromString(model.SerializeToString())
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*graph.input, *graph.value_info, *graph.output]}


def count(model):
    """Multiply-accumulates of convolutions and linear layers, for one image."""
    shapes, weights = inferred(model), {t.name: list(t.dims) for t in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]][1:])) * int(np.prod(weights[node.input[1]][1:]))
        elif node.op_type in ("Gemm", "MatMul") and node.input[1] in weights:
            total += int(np.prod(weights[node.input[1]]))
    return total


def top1(model, test):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name, x = session.get_inputs()[0].name, test["x"]
    scores = np.concatenate([session.run(None, {name: x[i : i + 1]})[0] for i in range(len(x))])
    return 100 * float(np.mean(scores.reshape(len(x), -1).argmax(1) == test["y"]))


if __name__ == "__main__":
    main()
