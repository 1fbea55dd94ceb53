"""The small residual network of docs/TUTORIAL.md, trained anew: for clients with few layers, or that are slow."""

import inspect
from pathlib import Path

import torch

from common import WORK, Net
from pages import blocks


def net(opset: int = 17) -> Net:
    """Trained in seconds on one thread; by the older exporter, in the opset that a client takes."""
    path = WORK / f"small.opset{opset}.onnx"
    if not path.exists():
        torch.set_num_threads(1)
        names: dict = {}
        exec(next(text for language, text in blocks("docs/TUTORIAL.md") if language == "python"), names)
        export(names["net"], path, opset)
    return Net("three blocks on digits", path, "digits")


def export(module: torch.nn.Module, path: Path, opset: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    free = {name: {0: "batch"} for name in ("input", "output")}
    # Older versions of torch know no other exporter.
    older = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    settings = {"opset_version": opset, "input_names": ["input"], "output_names": ["output"], "dynamic_axes": free}
    torch.onnx.export(module, torch.zeros(1, 1, 8, 8), str(path), **settings, **older)
