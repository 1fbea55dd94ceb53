"""Qualia-CodeGen: plain C for microcontrollers, here in float32, compiled for and run on this machine.

A network becomes one C function with static arrays for activations: as few as the tool finds, each as large as its largest tensor.
"""

import contextlib
import ctypes
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from qualia_codegen_core import Converter
from qualia_codegen_core.graph.TorchModelGraph import TorchModelGraph
from qualia_codegen_core.main import annotate_quantization
from torch import nn

import chains
from common import WORK, Net, Report, compare, nets, report, run

IMAGES = 100


def generated(layers: nn.Module, name: str, shape: tuple[int, ...]) -> Path:
    """The C of a module that takes `shape`, channels first, as a library for this machine."""
    folder = WORK / "qualia" / name
    shutil.rmtree(folder, ignore_errors=True)
    sized_pools(layers, shape)
    layers.input_shape = (*shape[1:], shape[0])
    with contextlib.redirect_stdout(io.StringIO()):
        graph = TorchModelGraph(layers).convert()
        if graph is None or not annotate_quantization(graph, {}, float, 32, 32) or not Converter(output_path=folder).convert_model(graph):
            raise RuntimeError("no C was written")
    library = folder / "model.so"
    command = ["cc", "-O2", "-shared", "-fPIC", f"-I{folder}", f"-I{folder}/include", folder / "model.c", "-o", library]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return library


def sized_pools(layers: nn.Module, shape: tuple[int, ...]) -> None:
    """Pools over a whole map, with its size written out: the tool takes them in no other way."""
    for name, layer in layers.named_children():
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            seen: list[torch.Size] = []
            hook = layer.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0].shape[2:]))
            layers(torch.zeros(1, *shape))
            hook.remove()
            setattr(layers, name, nn.AvgPool2d(tuple(seen[0])))


def outputs(library: Path, x: np.ndarray, classes: int) -> np.ndarray:
    infer = ctypes.CDLL(str(library)).cnn
    pointer = ctypes.POINTER(ctypes.c_float)
    found = np.zeros((len(x), classes), np.float32)
    for image, out in zip(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), found, strict=True):
        infer(image.ctypes.data_as(pointer), out.ctypes.data_as(pointer))
    return found


def arrays(library: Path) -> list[int]:
    """Bytes of each static array for activations."""
    symbols = subprocess.run(["nm", "-S", library], capture_output=True, text=True, check=True).stdout
    return [int(size, 16) for size in re.findall(r"^\w+ (\w+) b activations\d+", symbols, re.MULTILINE)]


def figures(net: Net, layers: nn.Module, kind: str) -> tuple[str, dict]:
    x, _ = net.images(IMAGES)
    expected = run(net.path, x)
    library = generated(layers, f"{net.name}.{kind}", x.shape[1:])
    gap, sizes = compare(expected, outputs(library, x, expected.shape[1])), arrays(library)
    words = f"{gap}; {len(sizes)} arrays for activations, {sum(sizes) / 1024:.1f} KiB"
    return words, {"other": gap.other, "error": gap.error, "arrays": len(sizes), "bytes": sum(sizes)}


def main(found: Report) -> None:
    for net in nets("digits_resnet", "resnet18w16"):
        # Folded, so that both have their normalisations in the convolutions, and all else is as it was.
        before, original = figures(net, chains.joined(net.rewrite("--skip", "residual")), "folded")
        after, rewritten = figures(net, chains.sequential(net.rewrite("--carry", "conv")), "chain")
        found.row(net.name, "--carry conv", before, after, before=original, after=rewritten)
        found.claim(rewritten["arrays"] < original["arrays"], f"{net.name}: fewer arrays: {before}, {after}")
        found.claim(rewritten["other"] == 0 and rewritten["error"] < 1e-4, f"{net.name}: the chain's C computes the same: {after}")


if __name__ == "__main__":
    with report("qualia", "qualia-codegen-core", "torch") as found:
        main(found)
