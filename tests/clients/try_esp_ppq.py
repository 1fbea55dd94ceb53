"""ESP-PPQ, which makes the 8-bit files of ESP-DL for Espressif's chips: scales are powers of two, one for a tensor of activations.

What is run is the tool's own simulation of the chip: an ESP32-P4 has a scale for each channel of a weight, an ESP32-S3 one for all.
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from esp_ppq.api import espdl_quantize_onnx
from esp_ppq.executor import TorchExecutor

from common import WORK, Net, Report, accuracy, compare, fixed, nets, report, run

IMAGES, CALIBRATION = 200, 64
CHIPS = ("esp32p4", "esp32s3")


def quantized(model: Path, calibration: np.ndarray, chip: str) -> tuple[TorchExecutor, Path]:
    """The simulation of the file on a chip, and the file that the chip would load."""
    out = WORK / "esp_ppq" / f"{model.stem}.{chip}.espdl"
    out.parent.mkdir(parents=True, exist_ok=True)
    # The tool writes a simplified model over the one it is given.
    copy = shutil.copy(fixed(model), out.with_suffix(".onnx"))
    samples = torch.from_numpy(calibration).split(1)
    graph = espdl_quantize_onnx(str(copy), str(out), list(samples), len(samples), list(samples[0].shape), target=chip, error_report=False)
    return TorchExecutor(graph, device="cpu"), out


def figures(net: Net, model: Path, chip: str) -> tuple[str, dict]:
    x, classes = net.images(IMAGES)
    simulated, file = quantized(model, net.calibration(CALIBRATION), chip)
    found = np.concatenate([simulated.forward(torch.from_numpy(x[i : i + 1]))[0].numpy().reshape(1, -1) for i in range(len(x))])
    gap = compare(run(net.path, x), found)
    right, kib = accuracy(found, classes), file.stat().st_size // 1024
    words = f"{gap.other} of {gap.count} classes differ from float32's, {right:.1%} right; {kib} KiB"
    return words, {"other": gap.other, "accuracy": right, "KiB": kib}


def main(found: Report) -> None:
    torch.set_num_threads(1)
    # The simulation takes minutes for a larger network.
    for net in nets("digits_resnet"):
        for chip in CHIPS:
            before, original = figures(net, net.path, chip)
            after, rewritten = figures(net, net.rewrite("--carry", "conv"), chip)
            found.row(f"{net.name}, {chip}", "--carry conv", before, after, before=original, after=rewritten)
            found.claim(rewritten["other"] <= 0.1 * IMAGES, f"{net.name}, {chip}: int8 gives the same classes: {after}")


if __name__ == "__main__":
    with report("esp_ppq", "esp-ppq", "torch") as found:
        main(found)
