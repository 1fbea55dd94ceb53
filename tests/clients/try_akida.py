"""BrainChip Akida 2: int8 by quantizeml, conversion by cnn2snn, the vendor's own software backend and virtual devices."""

import contextlib
import io
from pathlib import Path

import akida
import numpy as np
import onnx
from cnn2snn import AkidaVersion, convert, set_akida_version
from onnx import numpy_helper
from quantizeml.models import quantize

from common import Net, Report, accuracy, attempt, nets, report, run

IMAGES, CALIBRATION = 100, 64
DEVICES = {2: akida.TwoNodesIPv2, 4: akida.FourNodesIPv2, 6: akida.SixNodesIPv2, 12: akida.TwelveNodesIPv2}


def made(model: Path, calibration: np.ndarray) -> akida.Model:
    """The Akida model of an ONNX file, 8 bits for weights and activations."""
    with set_akida_version(AkidaVersion.v2), contextlib.redirect_stdout(io.StringIO()):
        quantized = quantize(onnx.load(model), samples=calibration, num_samples=len(calibration), batch_size=64)
        return convert(quantized)


def outputs(model: Path, converted: akida.Model, x: np.ndarray) -> np.ndarray:
    """Integer results, `[images, classes]`; a linear layer that the tool left out is applied here in float32."""
    behind = x.transpose(0, 2, 3, 1)
    found = converted.predict(np.ascontiguousarray(behind if converted.input_shape == behind.shape[1:] else x))
    found = found.reshape(len(x), -1)
    graph = onnx.load(model).graph
    classes = run(model, x[:1]).shape[1]
    if found.shape[1] != classes:
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        layer = next(node for node in graph.node if node.op_type == "Gemm")
        found = found @ constants[layer.input[1]].T + constants[layer.input[2]]
    return found


def fits(converted: akida.Model) -> list[int]:
    """The sizes of device, in nodes, that hold the whole model in hardware."""
    return [nodes for nodes, device in DEVICES.items() if not attempt(map_on, converted, device())[1]]


def map_on(converted: akida.Model, device: akida.Device) -> None:
    converted.map(device, hw_only=True)


def tried(net: Net, model: Path) -> tuple[str, dict]:
    x, classes = net.images(IMAGES)
    converted, why = attempt(made, model, net.calibration(CALIBRATION))
    if converted is None:
        return f"refused: {why}", {"devices": []}
    found, expected = outputs(model, converted, x), run(net.path, x)
    same = float((found.argmax(1) == expected.argmax(1)).mean())
    devices = fits(converted)
    where = ", ".join(map(str, devices)) or "no size of device"
    words = f"{len(converted.layers)} layers; whole on {where} nodes; same class as float {same:.1%} ({accuracy(found, classes):.1%} right)"
    return words, {"devices": devices, "agreement": same, "layers": len(converted.layers)}


def main(found: Report) -> None:
    for net in nets("resnet20", "resnet8", "digits_resnet"):
        before, original = tried(net, net.path)
        after, rewritten = tried(net, net.rewrite("--carry", "conv"))
        found.row(net.name, "--carry conv", before, after, before=original, after=rewritten)
        found.claim(len(rewritten["devices"]) > len(original["devices"]), f"{net.name}: more devices hold it")
        found.claim(rewritten.get("agreement", 0) > 0.93, f"{net.name}: int8 gives the same classes")


if __name__ == "__main__":
    with report("akida", "akida", "cnn2snn", "quantizeml") as found:
        main(found)
