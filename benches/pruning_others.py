"""What other tools make of a network at a share of its multiply-accumulates, without training; `pruning.py --others` runs this.

    python pruning_others.py onnxsim|torch-pruning MODEL SHARE CALIBRATION.npy TEST.npz

onnxsim's structured pruning works on the file; torch-pruning's magnitude pruner on what onnx2torch makes of it. All settings are
tried, each at the smallest cut that keeps to the share, and what each gets right of the test images is written as JSON: which is best is for
the reader to say. Its interpreter needs onnxsim and onnxruntime, or torch, torch-pruning and onnx2torch.
"""

import importlib.metadata
import itertools
import json
import sys

import numpy as np
import onnx

# How closely a cut is searched for.
STEPS = 12


def main():
    tool, path, share, calibration, test = sys.argv[1:]
    whole, cuts = TOOLS[tool](path, np.load(calibration), np.load(test))
    found = {}
    for name, cut in cuts:
        try:
            least = largest(cut, whole * float(share))
            found[name] = least and {"top1": least[1](), "macs": least[0] / whole}
        except Exception as error:  # Whatever a tool raises is what became of that setting.
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(name, found[name], file=sys.stderr, flush=True)
    json.dump({"version": importlib.metadata.version(tool), "settings": found}, sys.stdout)


def largest(cut, most):
    """The least cut that leaves at most `most` multiply-accumulates, or None; by bisection, for more never leaves more."""
    low, high, best = 0.0, 1.0, None
    for _ in range(STEPS):
        middle = (low + high) / 2
        pruned = cut(middle)
        if pruned[0] <= most:
            high, best = middle, pruned
        else:
            low = middle
    return best


def onnxsim(path, calibration, test):
    """Multiply-accumulates of the whole, and the settings: a name, and what a cut leaves of them, with how to test it."""
    from onnxsim import pruning

    model = simplified(onnx.load(path))
    name = model.graph.input[0].name
    data = [{name: calibration[i : i + 1]} for i in range(128)]
    left = lambda pruned: (count(pruned), lambda: top1(pruned, test))

    def settings():
        for norm, everywhere in itertools.product(("l1", "l2"), (False, True)):
            options = {"importance_norm": norm, "global_sparsity": everywhere}
            words = f"{norm}, {'global' if everywhere else 'uniform'}"
            yield f"magnitude, {words}", lambda s, o=options: left(pruning.apply_structured_pruning(model, sparsity=s, **o))
            yield f"wanda, {words}", lambda s, o=options: left(pruning.apply_structured_wanda_pruning(model, data, sparsity=s, **o))

    return count(model), settings()


def torch_pruning(path, _, test):
    """As `onnxsim`; the classes stay, everything else may lose channels."""
    import onnx2torch
    import torch
    import torch_pruning as tool

    torch.set_num_threads(1)
    example = torch.zeros(1, *shape(onnx.load(path))[1:])
    size = lambda module: tool.utils.count_ops_and_params(module, example)[0]

    def right(module):
        with torch.no_grad():
            scores = torch.cat([module(torch.from_numpy(x[None])).reshape(1, -1) for x in test["x"]])
        return 100 * float(np.mean(scores.argmax(1).numpy() == test["y"]))

    def cut(share, norm, everywhere):
        module = onnx2torch.convert(path).eval()
        last = [m for m in module.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))][-1]
        importance = tool.importance.GroupMagnitudeImportance(p=norm)
        options = {"pruning_ratio": share, "global_pruning": everywhere, "ignored_layers": [last]}
        tool.pruner.BasePruner(module, example, importance, **options).step()
        return size(module), lambda: right(module)

    def settings():
        for norm, everywhere in itertools.product((1, 2), (False, True)):
            words = f"magnitude, l{norm}, {'global' if everywhere else 'uniform'}"
            yield words, lambda s, n=norm, e=everywhere: cut(s, n, e)

    return size(onnx2torch.convert(path).eval()), settings()


TOOLS = {"onnxsim": onnxsim, "torch-pruning": torch_pruning}


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
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name, x = session.get_inputs()[0].name, test["x"]
    scores = np.concatenate([session.run(None, {name: x[i : i + 1]})[0] for i in range(len(x))])
    return 100 * float(np.mean(scores.reshape(len(x), -1).argmax(1) == test["y"]))


if __name__ == "__main__":
    main()
