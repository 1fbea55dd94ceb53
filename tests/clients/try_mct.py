"""Sony's Model Compression Toolkit, which makes 8-bit networks for the IMX500: its own simulation, and the memory that it counts.

Activations have one power of two as their range, weights one for each channel.
"""

from collections.abc import Iterator

import model_compression_toolkit as mct
import numpy as np
import torch
from torch import nn

import chains
from common import Net, Report, accuracy, compare, nets, report, run

IMAGES, CALIBRATION = 200, 64


def figures(net: Net, layers: nn.Module) -> tuple[str, dict]:
    """What the toolkit's 8-bit network of these layers computes, and the bytes that it counts for activations."""
    (x, classes), samples = net.images(IMAGES), net.calibration(CALIBRATION)

    def batches() -> Iterator[list[np.ndarray]]:
        yield from ([samples[i : i + 16]] for i in range(0, len(samples), 16))

    small, _ = mct.ptq.pytorch_post_training_quantization(layers, batches)
    used = mct.core.pytorch_resource_utilization_data(layers, batches)
    found = chains.run(small.cpu().eval(), x)
    gap = compare(run(net.path, x), found)
    right, kib = accuracy(found, classes), float(used.activation_memory) / 1024
    words = f"{gap.other} of {gap.count} classes differ from float32's, {right:.1%} right; activations {kib:.1f} KiB"
    return words, {"other": gap.other, "accuracy": right, "KiB": kib}


def main(found: Report) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for net in nets("digits_resnet", "resnet18w16"):
        # Folded, so that both have their normalisations in the convolutions: the toolkit would fold them, too.
        before, original = figures(net, chains.joined(net.rewrite("--skip", "residual")))
        after, rewritten = figures(net, chains.sequential(net.rewrite("--carry", "conv")))
        found.row(net.name, "--carry conv", before, after, before=original, after=rewritten)
        found.claim(rewritten["other"] <= 0.05 * IMAGES, f"{net.name}: int8 gives the same classes: {after}")
        found.claim(rewritten["KiB"] <= original["KiB"], f"{net.name}: no more memory for activations: {before}, {after}")


if __name__ == "__main__":
    with report("mct", "model-compression-toolkit", "torch") as found:
        main(found)
