"""ONNX models out of torch's own layers, for clients that take nothing else."""

import operator
from pathlib import Path

import onnx2torch
import torch
from torch import fx, nn


def module(model: Path) -> nn.Module:
    """Any ONNX model as a module, by onnx2torch."""
    return onnx2torch.convert(str(model)).eval()


def sequential(model: Path) -> nn.Sequential:
    """The layers in their order. `ValueError` where a tensor is read more than once, or a layer is none of torch's own."""
    whole = module(model)
    layers = []
    for node in whole.graph.nodes:
        if len(node.users) > 1:
            raise ValueError(f"none of torch's own layers: '{node.name}' is read by {len(node.users)} layers")
        if node.op == "call_module":
            layers.append(plain(whole.get_submodule(node.target), node.name))
    return nn.Sequential(*layers).eval()


def joined(model: Path) -> fx.GraphModule:
    """As `sequential`, but tensors may be read more than once, and sums are a `+`: what a client finds that traces a residual network."""
    whole = module(model)
    whole.graph.eliminate_dead_code()
    layers, graph, made = {}, fx.Graph(), {}
    for node in whole.graph.nodes:
        # Constants that layers read, such as a new shape, are not in `made`: no layer of torch's own takes one.
        read = tuple(made[value] for value in node.args if value in made)
        if node.op == "get_attr":
            continue
        if node.op == "placeholder":
            made[node] = graph.placeholder(node.name)
        elif node.op == "output":
            graph.output(read[0])
        elif is_sum(whole, node):
            made[node] = graph.call_function(operator.add, read)
        else:
            layers[node.name] = plain(whole.get_submodule(node.target), node.name)
            made[node] = graph.call_module(node.name, read)
    return fx.GraphModule(layers, graph).eval()


def is_sum(whole: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and getattr(whole.get_submodule(node.target), "math_op_function", None) is torch.add


def plain(layer: nn.Module, name: str) -> nn.Module:
    kind = type(layer).__name__
    if kind in ("OnnxFlatten", "OnnxReshape", "Flatten"):
        return nn.Flatten()
    if kind == "OnnxGlobalAveragePoolWithKnownInputShape" or kind == "OnnxGlobalAveragePool":
        return nn.AdaptiveAvgPool2d(1)
    if not type(layer).__module__.startswith("torch.nn"):
        raise ValueError(f"none of torch's own layers: '{name}' is a {kind}")
    return layer


def run(net: nn.Module, x) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([net(torch.from_numpy(x[i : i + 50])) for i in range(0, len(x), 50)]).flatten(1).numpy()
