"""Pieces that the block families share. Plain PyTorch, nothing but `torch.nn`."""

import torch
from torch import nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def conv(inputs, outputs, kernel=3, *, stride=1, groups=1, dilation=1, bias=True, axes=2):
    """A convolution whose padding keeps the size (at stride 1)."""
    kernels = kernel if isinstance(kernel, tuple) else (kernel,) * axes
    padding = tuple(dilation * (k // 2) for k in kernels)
    return CONV[axes](inputs, outputs, kernels, stride, padding, dilation, groups, bias)


def conv_bn(inputs, outputs, kernel=3, *, axes=2, **rest):
    """A convolution without bias, and its batch normalisation."""
    return nn.Sequential(conv(inputs, outputs, kernel, bias=False, axes=axes, **rest), NORM[axes](outputs))


class Residual(nn.Module):
    """`after(scale * branch(x) + shortcut(x))`."""

    def __init__(self, branch, shortcut=None, after=None, scale=None):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()
        self.after = after or nn.Identity()
        self.scale = scale

    def forward(self, x):
        y = self.branch(x)
        if self.scale is not None:
            y = y * self.scale
        return self.after(y + self.shortcut(x))


class Sum(nn.Module):
    """The sum of parallel branches, then an activation."""

    def __init__(self, *branches, after=None):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.after = after or nn.Identity()

    def forward(self, x):
        first, *others = self.branches
        total = first(x)
        for branch in others:
            total = total + branch(x)
        return self.after(total)


class Gate(nn.Module):
    """Squeeze-excite: every channel times a weight in (0, 1) that the means of all channels decide."""

    def __init__(self, channels, squeezed, gate=None):
        super().__init__()
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, squeezed, 1),
            nn.ReLU(),
            conv(squeezed, channels, 1),
            gate or nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.weights(x)


def net(*body, inputs=3, channels=8, axes=2, act=nn.ReLU, last=None):
    """Stem, body and a 1x1 head: the head keeps the positions apart, so that no error can average out."""
    stem = [conv_bn(inputs, channels, axes=axes), act()]
    return nn.Sequential(*stem, *body, conv(last or channels, 4, 1, axes=axes))


@torch.no_grad()
def randomise(module, seed):
    """Weights that keep the scale, and batch normalisations that do something (some with a negative scale)."""
    rng = torch.Generator().manual_seed(seed)

    def uniform(like, low, high):
        return torch.rand(like.shape, generator=rng) * (high - low) + low

    for part in module.modules():
        if isinstance(part, tuple(CONV.values()) + (nn.Linear,)):
            fan = part.weight[0].numel()
            part.weight.copy_(torch.randn(part.weight.shape, generator=rng) * (1.4 / fan**0.5))
            if part.bias is not None:
                part.bias.copy_(uniform(part.bias, -0.5, 0.5))
        elif isinstance(part, tuple(NORM.values())):
            sign = torch.where(uniform(part.weight, 0, 1) < 0.2, -1.0, 1.0)
            part.weight.copy_(uniform(part.weight, 0.5, 1.5) * sign)
            part.bias.copy_(uniform(part.bias, -0.5, 0.5))
            part.running_mean.copy_(uniform(part.running_mean, -0.5, 0.5))
            part.running_var.copy_(uniform(part.running_var, 0.5, 2.0))
        elif isinstance(part, nn.PReLU):
            part.weight.copy_(uniform(part.weight, -0.2, 0.6))
