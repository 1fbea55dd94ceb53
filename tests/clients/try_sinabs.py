"""SynSense Speck through sinabs: a chain becomes a spiking network on the chip's nine cores, a residual network does not.

samna, the driver of the boards, fetches itself from elsewhere when imported; conversion and placement on cores do not need it.
"""

import sys
from unittest import mock

for chip in ("samna", "samna.speck2b", "samna.speck2e", "samna.speck2f", "samna.dynapcnn"):
    sys.modules[chip] = sys.modules[f"{chip}.configuration"] = mock.MagicMock()
sys.modules["samnagui"] = mock.MagicMock()

import numpy as np
import torch
from sinabs.backend.dynapcnn import DynapcnnNetwork
from sinabs.backend.dynapcnn.chips.dynapcnn import DynapcnnConfigBuilder
from sinabs.from_torch import from_model
from sinabs.layers import StatefulLayer
from torch import nn

import chains
import small
from common import Report, attempt, report, run

IMAGES, STEPS, SHAPE = 50, 128, (1, 8, 8)


def on_chip(net: nn.Module) -> DynapcnnNetwork:
    """8-bit weights, 16-bit neurons, one layer a core."""
    spiking = from_model(net, input_shape=SHAPE, batch_size=1, add_spiking_output=True).spiking_model
    return DynapcnnNetwork(spiking, input_shape=SHAPE, dvs_input=False, discretize=True)


@torch.no_grad()
def scaled(net: nn.Sequential, x: np.ndarray) -> nn.Sequential:
    """Weights scaled layer by layer, so that rates fit: the usual step before, and exact for a chain with ReLU."""
    signals = [torch.from_numpy(x)]
    for layer in net:
        signals.append(layer(signals[-1]))
    before = 1.0
    for i, layer in enumerate(net):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            active = i + 1 < len(net) and isinstance(net[i + 1], nn.ReLU)
            scale = float(torch.quantile(signals[i + 2 if active else i + 1].flatten(), 0.9995))
            layer.weight *= before / scale
            layer.bias /= scale
            before = scale
    return net


@torch.no_grad()
def classes(net: DynapcnnNetwork, x: np.ndarray) -> np.ndarray:
    """The class that spikes most, in a simulation of what the chip does."""
    found = []
    for image in torch.from_numpy(x):
        for layer in net.modules():
            if isinstance(layer, StatefulLayer) and layer.is_state_initialised():
                layer.v_mem = torch.zeros_like(layer.v_mem)
        out = net((torch.rand(STEPS, *image.shape) < image).float())
        out = out[0] if isinstance(out, (tuple, list)) else out
        found.append(int(out.reshape(STEPS, -1).sum(0).argmax()))
    return np.array(found)


def main(found: Report) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = small.net()
    x, labels = net.images(IMAGES)
    _, refused = attempt(lambda: on_chip(chains.module(net.path)))
    found.claim(refused, "the residual network is refused")
    chain = scaled(chains.sequential(net.rewrite("--carry", "conv")), net.calibration(200))
    chip = on_chip(chain)
    cores = DynapcnnConfigBuilder.map_layers_to_cores(chip.dynapcnn_layers)
    answers, expected = classes(chip, x), run(net.path, x).argmax(1)
    same, right = int((answers == expected).sum()), int((answers == labels).sum())
    found.claim(len(cores) <= 9 and same >= 0.94 * IMAGES, f"on {len(cores)} cores, {same} of {IMAGES} classes the same")
    words = f"on {len(cores)} of 9 cores; spiking, 8 bits: same class {same} of {IMAGES}, {right} right"
    found.row(net.name, "--carry conv", f"refused: {refused}", words, cores=len(cores), same=same)


if __name__ == "__main__":
    with report("sinabs", "sinabs", "torch") as found:
        main(found)
