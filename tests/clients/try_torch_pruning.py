"""torch-pruning: which convolutions may lose channels on their own. That is structure; accuracy is no better (docs/PRUNING.md)."""

import torch
import torch_pruning
from torch import nn

import chains
from common import Report, nets, report


def groups(net: nn.Module, x: torch.Tensor) -> list[int]:
    """For every set of channels that can only go together, how many convolutions give them."""
    last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1:]
    graph = torch_pruning.DependencyGraph().build_dependency(net, x)
    found = []
    for group in graph.get_all_groups(ignored_layers=last, root_module_types=[nn.Conv2d]):
        tied = {id(d.target.module) for d, _ in group if isinstance(d.target.module, nn.Conv2d) and "out" in d.handler.__name__}
        found.append(len(tied))
    return found


def main(found: Report) -> None:
    torch.set_num_threads(1)
    for net in nets("resnet18w16", "digits_resnet"):
        x = torch.from_numpy(net.images(1)[0])
        before = groups(chains.module(net.path), x)
        after = groups(chains.module(net.rewrite("--carry", "conv")), x)
        words = [f"{sizes.count(1)} of {sum(sizes)} convolutions alone, up to {max(sizes)} tied" for sizes in (before, after)]
        found.claim(max(before) > 1 and max(after) == 1, f"{net.name}: every convolution of the chain stands alone: {words}")
        found.row(net.name, "--carry conv", *words)


if __name__ == "__main__":
    with report("torch_pruning", "torch-pruning", "torch") as found:
        main(found)
