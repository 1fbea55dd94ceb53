"""Explanations by layer-wise relevance propagation: captum and zennit.

With biases left out, relevance is conserved: what reaches the input is what the class's logit was. At a join both sides get all of it.
"""

import captum.attr
import numpy as np
import torch
from torch import nn
from zennit.attribution import Gradient
from zennit.composites import LayerMapComposite
from zennit.rules import Norm, Pass, ZPlus
from zennit.types import Activation, AvgPool, Convolution, Linear

import chains
from common import Net, Report, attempt, nets, report, run

IMAGES = 32
RULES = [(Activation, Pass()), (AvgPool, Norm()), ((Convolution, Linear), ZPlus(zero_params="bias"))]


def kept(net: nn.Module, x: np.ndarray) -> float:
    """Relevance at the input over the logit that it explains, the median of the images: zennit, rule z+."""
    logits = torch.from_numpy(chains.run(net, x))
    target = torch.eye(logits.shape[1])[logits.argmax(1)] * logits
    with Gradient(model=net, composite=LayerMapComposite(RULES)) as attribute:
        _, relevance = attribute(torch.from_numpy(x), target)
    return float((relevance.flatten(1).sum(1) / target.sum(1)).median())


class Layers(nn.Module):
    """The same layers, with flattening as a function, for which captum needs no rule."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer in net if not isinstance(layer, nn.Flatten))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x)
        return x.flatten(1)


def by_captum(net: nn.Module, x: np.ndarray) -> None:
    captum.attr.LRP(net).attribute(torch.from_numpy(x), target=torch.zeros(len(x), dtype=torch.long))


def main(found: Report) -> None:
    torch.set_num_threads(1)
    for net in nets("resnet18w16", "digits_resnet"):
        found_in(found, net)


def found_in(found: Report, net: Net) -> None:
    x, _ = net.images(IMAGES)
    whole, chain = chains.module(net.path), chains.sequential(net.rewrite("--carry", "conv"))
    same = np.abs(chains.run(chain, x) - run(net.path, x)).max()
    found.claim(same < 1e-3, f"{net.name}: the chain in torch is {same} away")
    _, refused = attempt(by_captum, whole, x)
    _, broken = attempt(by_captum, Layers(chain), x)
    before, after = kept(whole, x), kept(chain, x)
    found.claim(refused and not broken, f"{net.name}: captum takes the chain alone: {refused}, {broken}")
    found.claim(abs(after - 1) < 0.1 < abs(before - 1), f"{net.name}: relevance is conserved in the chain: {before}, {after}")
    found.row(
        net.name, "--carry conv", f"captum refuses it; zennit: relevance {before:.1f} for 1",
        f"captum runs; zennit: {after:.3f} for 1", captum=refused, before=before, after=after,
    )  # fmt: skip


if __name__ == "__main__":
    with report("relevance", "captum", "zennit", "torch") as found:
        main(found)
