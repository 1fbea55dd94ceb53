"""An ONNX chain as `torch.nn.Sequential`, for clients that take nothing else."""

from pathlib import Path

import onnx2torch
import torch
from torch import nn


def module(model: Path) -> nn.Module:
    """Any ONNX model as a module, by onnx2torch."""
    return onnx2torch.convert(str(model)).eval()


def sequential(model: Path) -> nn.Sequential:
    """The layers in their order. `ValueError` where a tensor is read more than once, or a layer is none of torch's own."""
    whole = module(model)
    layers = []
    for node in whole.graph.nodes:
        if len(node.users) > 1:
            raise ValueError(f"no sequence: '{node.name}' is read by {len(node.users)} layers")
        if node.op == "call_module":
            layers.append(plain(whole.get_submodule(node.target), node.name))
    return nn.Sequential(*layers).eval()


def plain(layer: nn.Module, name: str) -> nn.Module:
    kind = type(layer).__name__
    if kind in ("OnnxFlatten", "OnnxReshape", "Flatten"):
        return nn.Flatten()
    if kind == "OnnxGlobalAveragePoolWithKnownInputShape" or kind == "OnnxGlobalAveragePool":
        return nn.AdaptiveAvgPool2d(1)
    if not type(layer).__module__.startswith("torch.nn"):
        raise ValueError(f"no sequence: '{name}' is a {kind}")
    return layer


def run(net: nn.Module, x) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([net(torch.from_numpy(x[i : i + 50])) for i in range(0, len(x), 50)]).flatten(1).numpy()
